"""Uncleared alarms on the homepage: each type with its cause, and its cure one click away."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from storage.base import Space
from tasks.alarms import ALARMS
from tasks.engine import spaces
from tasks.engine.watches import late
from tasks.home.cures import TELLINGS
from tasks.home.items import MOST_ACTIONS
from tasks.models import Alarm, BackupTask, Node, Run, Service
from tasks.states import RunState, Trigger
from tests.conftest import MakeRun, MakeTask
from tests.web.home_kit import DAY, HOUR, SFTP, admin, fail, heading, home, now, only, raise_of, safe, todos, well

__all__ = ["admin", "now", "safe"]


def test_nothing_needs_attention(admin: Client, safe: BackupTask) -> None:
    text = home(admin)
    assert todos(text) == []
    assert "Nothing needs attention" in text
    assert heading(text) == "plant is protected."
    assert "notice-fail" not in text


# --- Failed ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("code", "label", "way"),
    [
        ("authentication", "Set new password", "/configure/#id_password"),
        ("key-lost", "Type password again", "/configure/#id_password"),
        ("no-space", "Lower copies", "/configure/#id_copies"),
        ("host-key-changed", "Confirm host key", "/configure/#id_host_key"),
        ("host-key-unknown", "Confirm host key", "/configure/#id_host_key"),
        ("path-missing", "Change path", "/configure/#id_shared_path"),
        ("permission-denied", "Change path", "/configure/#id_shared_path"),
        ("unreachable", "Verify", "/verify/"),
        ("store-fault", "Verify", "/verify/"),
    ],
)
def test_a_failed_task_leads_to_the_field_that_cures_it(
    code: str, label: str, way: str, admin: Client, safe: BackupTask, make_run: MakeRun
) -> None:
    run = fail(safe, make_run, code, "The server did not do it.")
    todo = only(admin)
    assert todo.title == "east-daily failed"
    assert "The server did not do it. Do it." in todo.text
    assert todo.icon == "fail"
    assert todo.actions == {
        label: f"/backups/{safe.pk}{way}",
        "Back Up Now": reverse("task-run", args=[safe.pk]),
        "View log": reverse("run-log", args=[run.pk]),
    }


def test_every_field_that_a_cure_leads_to_is_on_the_form(admin: Client, safe: BackupTask) -> None:
    form = admin.get(reverse("task-configure", args=[safe.pk])).content.decode()
    for name in ("password", "copies", "host_key", "shared_path"):
        assert f'id="id_{name}"' in form, name


@pytest.mark.parametrize(("code", "reason"), [("home-missing", "It is gone."), ("unreachable", "Node n1: no answer.")])
def test_what_a_node_did_leads_to_the_nodes(
    code: str, reason: str, admin: Client, safe: BackupTask, make_run: MakeRun
) -> None:
    fail(safe, make_run, code, reason)
    assert only(admin).actions["Check nodes"] == reverse("cluster", args=[safe.cluster_id])


def test_a_field_that_the_path_type_has_not_is_no_cure(admin: Client, make_task: MakeTask, make_run: MakeRun) -> None:
    local = make_task("local")
    fail(local, make_run, "authentication", "Refused.")
    found = next(todo for todo in todos(home(admin)) if todo.title == "local failed")
    assert list(found.actions) == ["Back Up Now", "View log"]
    Run.objects.filter(task=local).update(error_code="path-missing")
    found = next(todo for todo in todos(home(admin)) if todo.title == "local failed")
    assert list(found.actions) == ["Verify", "Back Up Now", "View log"]


def test_back_up_now_is_done_right_there(admin: Client, safe: BackupTask, make_run: MakeRun) -> None:
    fail(safe, make_run, "time-limit", "It took too long.")
    way = only(admin).actions["Back Up Now"]
    response = admin.post(way, {"next": "/"}, follow=True)
    assert response.redirect_chain == [("/", 302)]
    text = response.content.decode()
    assert "east-daily is waiting." in text
    assert Run.objects.filter(task=safe, state=RunState.WAITING, trigger=Trigger.PERSON).count() == 1


# --- The other alarms -----------------------------------------------------------------------------------------------
def test_overdue(admin: Client, safe: BackupTask) -> None:
    BackupTask.objects.filter(pk=safe.pk).update(expected_at=timezone.now() - 3 * DAY)
    late.watch(timezone.now())
    text = home(admin)
    todo = todos(text)[0]
    assert todo.title == "east-daily is overdue"
    assert "A backup was due at" in todo.text
    assert list(todo.actions) == ["Back Up Now", "View History"]
    assert heading(text) == "plant is not protected."


def test_no_copy_on_another_host(admin: Client, safe: BackupTask) -> None:
    raise_of("no-remote-task", safe, subject=f"cluster {safe.cluster_id}", place="plant", link="/backups/")
    text = home(admin)
    todo = todos(text)[0]
    assert todo.title == "plant has no periodic copy on another host"
    assert todo.actions == {"Create a task": f"{reverse('task-new')}?cluster={safe.cluster_id}"}
    assert heading(text) == "plant is not protected."


def test_space_that_runs_out(admin: Client, safe: BackupTask, settings: Any) -> None:
    settings.SPACE_LOW_PERCENT = 5
    place = spaces.Place.of("SFTP", SFTP)
    spaces.record(place, Space(3 * 10**9, 100 * 10**9), timezone.now(), safe.pk)
    todo = only(admin)
    assert todo.title == "10.20.4.18 /backup/iotdb is low on space"
    assert "3.00 GB of 100 GB are free." in todo.text
    listed = "/backups/?path=SFTP&q=10.20.4.18"
    assert todo.actions == {"Lower copies": f"/backups/{safe.pk}/configure/#id_copies", "Show tasks": listed}


def test_space_that_several_tasks_use_leads_to_all_of_them(
    admin: Client, safe: BackupTask, make_task: MakeTask, make_run: MakeRun, settings: Any
) -> None:
    settings.SPACE_LOW_PERCENT = 5
    other = make_task("other", path_type="SFTP", destination=SFTP)
    make_run(other, at=timezone.now() - HOUR)
    for task in (safe, well(other)):
        spaces.record(spaces.Place.of("SFTP", SFTP), Space(1, 100), timezone.now(), task.pk)
    assert list(only(admin).actions) == ["Show tasks"]


def test_a_damaged_set(admin: Client, safe: BackupTask) -> None:
    run = Run.objects.get(task=safe)
    raise_of("set-damaged", safe, subject=f"run {run.pk}")
    todo = only(admin)
    assert todo.title == "A set of east-daily is damaged"
    assert todo.actions["Check set"] == reverse("run-check", args=[run.pk])
    assert list(todo.actions) == ["Back Up Now", "Check set", "View History"]


def test_a_proof_that_is_overdue_is_made_of_the_set_that_waits_longest(
    admin: Client, safe: BackupTask, make_run: MakeRun, now: datetime
) -> None:
    newest = make_run(safe, at=now - HOUR)
    well(safe)
    first = Run.objects.exclude(pk=newest.pk).get(task=safe)
    raise_of("proof-overdue", safe)
    assert only(admin).actions["Check set"] == reverse("run-check", args=[first.pk])
    Run.objects.filter(pk=first.pk).update(checked_at=now)
    todo = only(admin)
    assert todo.title == "The proof of east-daily is overdue"
    assert todo.actions["Check set"] == reverse("run-check", args=[newest.pk])
    assert "Rehearse" not in todo.actions
    BackupTask.objects.filter(pk=safe.pk).update(rehearse_after_days=30, last_rehearsed_at=now)
    assert only(admin).actions["Rehearse"] == reverse("run-rehearse", args=[newest.pk])


def test_a_rehearsal_that_failed(admin: Client, safe: BackupTask) -> None:
    raise_of("rehearsal-failed", safe)
    todo = only(admin)
    assert todo.title == "The rehearsal of east-daily failed"
    assert todo.actions["Rehearse"] == reverse("run-rehearse", args=[Run.objects.get(task=safe).pk])


def test_a_host_key_that_changed(admin: Client, safe: BackupTask, service: Service) -> None:
    raise_of("host-key-changed", safe)
    assert only(admin).actions["Confirm host key"] == f"/backups/{safe.pk}/configure/#id_host_key"
    Alarm.objects.all().delete()
    node = Node.objects.create(service=service, name="n1", home="/opt/iotdb", reach="ssh", ssh_address="10.1.1.1")
    raise_of("host-key-changed", safe, subject=f"node {node.pk}", place="n1")
    assert only(admin).actions == {"Confirm host key": f"/nodes/{node.pk}/edit/#id_host_key"}


@pytest.mark.parametrize("code", ["restoration-unknown", "key-lost", "clock-drift"])
def test_others_lead_where_the_alarm_leads(code: str, admin: Client, safe: BackupTask) -> None:
    raise_of(code, safe, subject="somewhere", link="/clusters/")
    assert list(only(admin).actions.values()) == ["/clusters/"]


def test_every_type_of_alarm_is_told(admin: Client, safe: BackupTask) -> None:
    assert set(TELLINGS) <= set(ALARMS)
    for code in ALARMS:
        Alarm.objects.all().delete()
        raise_of(code, safe, link="/clusters/")
        todo = todos(home(admin))[0]
        assert "{" not in todo.title and "It went wrong. Do it." in todo.text, code
        assert 0 < len(todo.actions) <= MOST_ACTIONS or code == "workers-silent", code


def test_a_type_that_nobody_knows_is_told_by_its_name(admin: Client, safe: BackupTask) -> None:
    Alarm.objects.create(code="new", subject="x", severity="minor", name="New Trouble", cause="So.", link="/clusters/")
    todo = only(admin)
    assert (todo.title, todo.actions) == ("New Trouble", {"Show": "/clusters/"})
    Alarm.objects.update(place="lab")
    assert only(admin).title == "lab: New Trouble"


def test_an_alarm_about_a_task_that_is_gone(admin: Client, safe: BackupTask) -> None:
    raise_of("backup-failed", safe, subject="task 4711")
    actions = only(admin).actions
    assert "View History" in actions and "Back Up Now" not in actions


def test_alarms_that_somebody_sees_to_are_counted_only(admin: Client, safe: BackupTask) -> None:
    alarm = raise_of("backup-failed", safe)
    Alarm.objects.filter(pk=alarm.pk).update(acknowledged_at=timezone.now(), acknowledged_by="anna")
    text = home(admin)
    assert todos(text) == []
    assert "1 acknowledged alarm is not listed" in text
    assert heading(text) == "plant is protected."
