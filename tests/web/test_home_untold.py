"""What needs attention on the homepage besides alarms, in which order, and what each role may do about it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tasks.models import BackupTask, Cluster, Node, Pulse, Run, Service
from tasks.permissions import BACKUP_ADMINISTRATOR, OPERATOR, VIEWER
from tasks.states import Mode, RunState
from tests.conftest import Login, MakeRun, MakeTask
from tests.web.home_kit import HOUR, admin, fail, heading, home, now, only, raise_of, safe, todos, well

__all__ = ["admin", "now", "safe"]


# --- Silent workers -------------------------------------------------------------------------------------------------
def test_silent_workers_come_first_with_the_command(admin: Client, safe: BackupTask) -> None:
    raise_of("restoration-unknown", safe, subject=f"cluster {safe.cluster_id}", link="/clusters/")
    Pulse.objects.all().delete()
    text = home(admin)
    found = todos(text)
    assert found[0].title == "No backup starts: the workers are silent"
    assert len(found) == 2
    assert "manage.py runworkers</code>" in text
    assert heading(text) == "No backup starts: the workers are silent."


def test_silent_workers_are_told_once(admin: Client, safe: BackupTask) -> None:
    raise_of("workers-silent", safe, subject="workers", cluster=None)
    Pulse.objects.all().delete()
    text = home(admin)
    assert len(todos(text)) == 1
    assert "<p>1</p>" in text


# --- What no alarm tells --------------------------------------------------------------------------------------------
def test_postponed(admin: Client, safe: BackupTask, make_run: MakeRun, now: datetime) -> None:
    reason = "Postponed: the start was 6 min late (limit 120 s). The next run is 2026-11-24 03:00 +01:00."
    make_run(safe, RunState.POSTPONED, now - HOUR, reason=reason)
    todo = only(admin)
    assert todo.title == "east-daily was postponed"
    assert "The start was 6 min late (limit 120 s). The next run is 2026-11-24 03:00." in todo.text
    assert "Its newest set is of" in todo.text
    assert todo.icon == "post"
    assert list(todo.actions) == ["Back Up Now", "View History"]


def test_what_failed_by_hand_raises_no_alarm_and_is_told_all_the_same(
    admin: Client, safe: BackupTask, make_run: MakeRun, now: datetime
) -> None:
    make_run(safe, RunState.FAILED, now - HOUR, error_code="no-space", reason="The disk is full.")
    todo = only(admin)
    assert todo.title == "east-daily failed when anna started it"
    assert "The disk is full." in todo.text
    assert list(todo.actions) == ["Lower copies", "Back Up Now", "View log"]
    raise_of("backup-failed", safe)
    assert only(admin).title == "east-daily failed"


@pytest.mark.parametrize("ago", [25, 48])
def test_what_was_postponed_long_ago_is_no_news(
    ago: int, admin: Client, safe: BackupTask, make_run: MakeRun, now: datetime
) -> None:
    make_run(safe, RunState.POSTPONED, now - ago * HOUR, reason="Postponed: late.")
    assert todos(home(admin)) == []


def test_a_task_of_which_an_alarm_tells_is_told_once(
    admin: Client, safe: BackupTask, make_run: MakeRun, now: datetime
) -> None:
    make_run(safe, RunState.POSTPONED, now - HOUR, reason="Postponed: late.")
    raise_of("task-overdue", safe)
    assert [todo.title for todo in todos(home(admin))] == ["east-daily is overdue"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"mode": Mode.MANUAL, "started": None, "next_run_at": None}, "nothing starts it but Back Up Now"),
        ({"suspended": True, "next_run_at": None}, "It is suspended"),
        ({}, "Its first run is"),
        ({"next_run_at": None}, "No run of it has given a set."),
    ],
)
def test_never_backed_up(
    fields: dict[str, Any], why: str, admin: Client, safe: BackupTask, make_task: MakeTask
) -> None:
    new = well(make_task("west-daily"), last_verified_at=None, **fields)
    todo = only(admin)
    assert todo.title == "west-daily has never backed up plant"
    assert why in todo.text
    assert todo.actions == {"Back Up Now": reverse("task-run", args=[new.pk])}


@pytest.mark.parametrize("state", [RunState.WAITING, RunState.RUNNING])
def test_a_first_run_that_is_under_way_needs_nobody(
    state: RunState, admin: Client, safe: BackupTask, make_task: MakeTask, make_run: MakeRun
) -> None:
    make_run(make_task("west-daily"), state, timezone.now())
    assert todos(home(admin)) == []


def test_a_cluster_without_a_task(admin: Client, safe: BackupTask) -> None:
    bare = Cluster.objects.create(name="lab")
    text = home(admin)
    assert todos(text)[0].title == "Nothing backs up lab"
    assert todos(text)[0].actions == {"Add nodes": reverse("cluster", args=[bare.pk])}
    assert heading(text) == "One of two clusters is protected. lab needs you."
    service = Service.objects.create(cluster=bare, name="IoTDB")
    Node.objects.create(service=service, name="n1", home="/opt/iotdb")
    assert only(admin).actions == {"Create a task": f"{reverse('task-new')}?cluster={bare.pk}"}
    raise_of("no-remote-task", safe, subject=f"cluster {bare.pk}", place="lab", cluster=bare)
    assert [todo.title for todo in todos(home(admin))] == ["lab has no periodic copy on another host"]


def test_never_proven(admin: Client, safe: BackupTask) -> None:
    well(safe, last_verified_at=None)
    todo = only(admin)
    assert todo.title == "No set of east-daily has been proven"
    assert todo.text == "1 set is at the destination; only the size was compared, no byte of them was read back."
    assert todo.actions["Check set"] == reverse("run-check", args=[Run.objects.get(task=safe).pk])


def test_never_rehearsed_although_the_task_wants_it(admin: Client, safe: BackupTask) -> None:
    well(safe, rehearse_after_days=30)
    todo = only(admin)
    assert todo.title == "east-daily has never been rehearsed"
    assert "the task wants that every 30 days" in todo.text
    assert todo.actions["Rehearse"] == reverse("run-rehearse", args=[Run.objects.get(task=safe).pk])


# --- Order, number, rights ------------------------------------------------------------------------------------------
def test_the_worst_comes_first(admin: Client, safe: BackupTask, make_task: MakeTask) -> None:
    well(make_task("never"), last_verified_at=None)
    Cluster.objects.create(name="bare")
    raise_of("proof-overdue", safe)
    raise_of("backup-failed", safe)
    raise_of("restoration-unknown", safe, subject=f"cluster {safe.cluster_id}")
    titles = [todo.title for todo in todos(home(admin))]
    assert titles == [
        "Nobody knows what plant holds",
        "east-daily failed",
        "Nothing backs up bare",
        "never has never backed up plant",
        "The proof of east-daily is overdue",
    ]


def test_many_are_counted_and_all_are_a_click_away(admin: Client, safe: BackupTask) -> None:
    for number in range(12):
        raise_of("backup-failed", safe, subject=f"task {number + 1000}", place=f"t-{number}")
    text = home(admin)
    assert len(todos(text)) == 8
    assert "<p>12, worst first</p>" in text and "4 more." in text
    assert 'href="?todo=all">Show all 12</a>' in text
    every = home(admin, "?todo=all")
    assert len(todos(every)) == 12
    assert "Show the worst" in every


@pytest.mark.parametrize(
    ("role", "labels"),
    [
        (VIEWER, ["View log"]),
        (OPERATOR, ["Back Up Now", "View log"]),
        (BACKUP_ADMINISTRATOR, ["Set new password", "Back Up Now", "View log"]),
    ],
)
def test_cures_by_role(role: str, labels: list[str], login: Login, safe: BackupTask, make_run: MakeRun) -> None:
    fail(safe, make_run, "authentication", "Refused.")
    assert list(only(login(role)).actions) == labels


def test_a_viewer_is_led_to_what_there_is_to_see(login: Login, safe: BackupTask) -> None:
    Cluster.objects.create(name="bare")
    well(safe, last_verified_at=None)
    found = {todo.title: list(todo.actions) for todo in todos(home(login(VIEWER)))}
    assert found == {
        "Nothing backs up bare": ["Show cluster"],
        "No set of east-daily has been proven": ["View History"],
    }


def test_every_cure_leads_somewhere(admin: Client, safe: BackupTask, make_run: MakeRun, make_task: MakeTask) -> None:
    fail(safe, make_run, "unreachable", "No answer.")
    Cluster.objects.create(name="bare")
    raise_of("rehearsal-failed", safe)
    well(make_task("never"), last_verified_at=None)
    ways = {way for todo in todos(home(admin)) for way in todo.actions.values()}
    assert len(ways) > 5
    for way in ways:
        response = admin.get(way.partition("#")[0])
        assert response.status_code in (200, 405), way
