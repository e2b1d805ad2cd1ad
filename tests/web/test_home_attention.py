"""What needs attention on the homepage: each kind with its cause, and its cure one click away."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from storage.base import Space
from tasks import alarms
from tasks.alarms import ALARMS
from tasks.engine import spaces
from tasks.engine.watches import late
from tasks.home.cures import TELLINGS
from tasks.home.items import MOST_ACTIONS
from tasks.models import Alarm, BackupTask, Cluster, Node, Pulse, Run, Service
from tasks.permissions import ADMINISTRATOR, BACKUP_ADMINISTRATOR, OPERATOR, VIEWER
from tasks.states import Mode, RunState, Trigger
from tests.conftest import Login, MakeRun, MakeTask
from tests.web.home_kit import SFTP, Todo, heading, home, stop_the_clock, todos, well

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture(autouse=True)
def now(db: None, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Noon."""
    return stop_the_clock(monkeypatch)


@pytest.fixture
def admin(login: Login) -> Client:
    """The browser of somebody who may do everything."""
    return login(ADMINISTRATOR)


@pytest.fixture
def safe(make_task: MakeTask, make_run: MakeRun, now: datetime) -> BackupTask:
    """A task of which nothing is to be said."""
    task = make_task("east-daily", path_type="SFTP", destination=SFTP)
    make_run(task, at=now - 2 * HOUR)
    return well(task)


def only(client: Client) -> Todo:
    """Return the one thing that needs attention."""
    found = todos(home(client))
    assert len(found) == 1, found
    return found[0]


def raise_of(code: str, task: BackupTask, cause: str = "It went wrong.", **fields: Any) -> Alarm:
    values = {"place": task.name, "cluster": task.cluster, "link": reverse("task-history", args=[task.pk])} | fields
    subject = values.pop("subject", f"task {task.pk}")
    return alarms.raise_alarm(code, subject, cause=cause, cure="Do it.", **values)


def test_nothing_needs_attention(admin: Client, safe: BackupTask) -> None:
    text = home(admin)
    assert todos(text) == []
    assert "Nothing needs attention" in text
    assert heading(text) == "plant is protected."
    assert "notice-fail" not in text


# --- Failed ---------------------------------------------------------------------------------------------------------
def fail(task: BackupTask, make_run: MakeRun, code: str, reason: str) -> Run:
    run = make_run(task, RunState.FAILED, timezone.now() - HOUR, error_code=code, reason=reason, trigger="schedule")
    raise_of("backup-failed", task, reason)
    return run


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
