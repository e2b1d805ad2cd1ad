"""The verbs: what they change, what they refuse, and what they put on record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from tasks import services
from tasks.audit import CONSOLE, MASK, Actor, mask, record
from tasks.errors import EditConflict, Refused
from tasks.models import AuditEvent, BackupTask, Cluster, Node, Run, Service
from tasks.services import TaskDraft
from tasks.states import Mode, RunState

NOW = datetime(2026, 11, 24, 1, 0, 30, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(backup_admin: User) -> Actor:
    return Actor(backup_admin.username, backup_admin, "10.0.0.9")


def draft(cluster: Cluster, **changes: Any) -> TaskDraft:
    values: dict[str, Any] = {
        "name": "daily",
        "cluster": cluster,
        "mode": Mode.PERIODIC,
        "path_type": "LocalDir",
        "copies": 3,
        "started": NOW + timedelta(hours=1),
    }
    return TaskDraft(**(values | changes))


def last_event() -> AuditEvent:
    event = AuditEvent.objects.first()
    assert event is not None
    return event


def test_create(admin: Actor, cluster: Cluster) -> None:
    task = services.create_task(admin, draft(cluster), NOW)
    assert (task.next_run_at, task.created_by, task.version) == (NOW + timedelta(hours=1), "backup-administrator", 1)
    event = last_event()
    assert (event.verb, event.target, event.actor, event.address) == (
        "create task",
        "daily",
        "backup-administrator",
        "10.0.0.9",
    )
    assert event.after["copies"] == 3


def test_a_manual_task_has_no_schedule(admin: Actor, cluster: Cluster) -> None:
    task = services.create_task(admin, draft(cluster, mode=Mode.MANUAL), NOW)
    assert task.next_run_at is None
    assert task.started is None


def test_a_start_in_the_present_minute_is_still_to_come(admin: Actor, cluster: Cluster) -> None:
    minute = NOW.replace(second=0)
    assert services.create_task(admin, draft(cluster, started=minute), NOW).next_run_at == minute


def test_a_start_in_the_past_begins_with_its_next_period(admin: Actor, cluster: Cluster) -> None:
    task = services.create_task(admin, draft(cluster, started=NOW - timedelta(days=3, hours=1)), NOW)
    assert task.next_run_at is not None
    assert NOW < task.next_run_at <= NOW + timedelta(days=1)


def test_a_name_is_used_once_and_free_again_after_delete(admin: Actor, cluster: Cluster) -> None:
    first = services.create_task(admin, draft(cluster), NOW)
    with pytest.raises(Refused, match="already called daily") as refusal:
        services.create_task(admin, draft(cluster), NOW)
    assert refusal.value.field == "name"
    services.delete_task(admin, first, NOW)
    again = services.create_task(admin, draft(cluster), NOW + timedelta(minutes=1))
    assert again.directory != first.directory


def test_configure_keeps_what_is_fixed_and_tells_what_changed(admin: Actor, cluster: Cluster) -> None:
    task = services.create_task(admin, draft(cluster), NOW)
    other = Cluster.objects.create(name="other")
    change = draft(other, name="renamed", mode=Mode.MANUAL, copies=5, started=NOW + timedelta(hours=2))
    after = services.configure_task(admin, task, 1, change, NOW)
    assert (after.name, after.cluster, after.mode, after.copies, after.version) == (
        "daily",
        cluster,
        Mode.PERIODIC,
        5,
        2,
    )
    assert after.next_run_at == NOW + timedelta(hours=2)
    event = last_event()
    assert (event.before["copies"], event.after["copies"]) == (3, 5)
    assert "name" not in event.after


def test_the_second_of_two_editors_is_told(admin: Actor, cluster: Cluster) -> None:
    task = services.create_task(admin, draft(cluster), NOW)
    services.configure_task(admin, task, 1, draft(cluster, copies=4), NOW)
    with pytest.raises(EditConflict):
        services.configure_task(admin, task, 1, draft(cluster, copies=9), NOW)
    task.refresh_from_db()
    assert task.copies == 4


def test_assigned_services(admin: Actor, cluster: Cluster, service: Service) -> None:
    Service.objects.create(cluster=cluster, name="IoTDB-1")
    task = services.create_task(admin, draft(cluster, all_services=False, services=(service,)), NOW)
    assert [one.name for one in task.chosen_services()] == ["IoTDB"]
    services.configure_task(admin, task, 1, draft(cluster, all_services=True), NOW)
    assert [one.name for one in BackupTask.objects.get().chosen_services()] == ["IoTDB", "IoTDB-1"]


def test_suspend_and_resume(admin: Actor, cluster: Cluster) -> None:
    task = services.create_task(admin, draft(cluster), NOW)
    services.suspend_task(admin, task, NOW)
    assert (task.suspended, task.next_run_at) == (True, None)
    with pytest.raises(Refused, match="suspended already"):
        services.suspend_task(admin, task, NOW)
    services.resume_task(admin, task, NOW + timedelta(days=9))
    assert not task.suspended
    assert task.next_run_at == NOW + timedelta(days=9, hours=1)
    with pytest.raises(Refused, match="not suspended"):
        services.resume_task(admin, task, NOW)


def test_suspending_stops_the_run_that_is_under_way(admin: Actor, cluster: Cluster, make_run: Any) -> None:
    task = services.create_task(admin, draft(cluster), NOW)
    run = make_run(task, RunState.RUNNING)
    services.suspend_task(admin, task, NOW)
    run.refresh_from_db()
    assert run.stop_requested_at == NOW


def test_a_manual_task_cannot_be_suspended(admin: Actor, task: BackupTask) -> None:
    with pytest.raises(Refused, match="manual"):
        services.suspend_task(admin, task, NOW)


def test_a_configured_suspended_task_stays_suspended(admin: Actor, cluster: Cluster) -> None:
    task = services.create_task(admin, draft(cluster), NOW)
    services.suspend_task(admin, task, NOW)
    after = services.configure_task(admin, task, task.version, draft(cluster), NOW)
    assert after.next_run_at is None


def test_delete_keeps_history_and_files(admin: Actor, task: BackupTask, make_run: Any) -> None:
    run = make_run(task, RunState.SUCCESSFUL)
    services.delete_task(admin, task, NOW)
    assert not BackupTask.objects.filter(pk=task.pk).exists()
    assert Run.objects.get(pk=run.pk).files.count() == 1
    with pytest.raises(Refused, match="deleted meanwhile"):
        services.delete_task(admin, task, NOW)


def test_back_up_now_queues_one_run(admin: Actor, task: BackupTask) -> None:
    run = services.back_up_now(admin, task, NOW)
    assert (run.state, run.started_by_name, run.scheduled_for) == (RunState.WAITING, "backup-administrator", None)
    with pytest.raises(Refused, match=r"already waiting. It was started at 2026-11-24 0\d:00 \+01:00 by backup-admin"):
        services.back_up_now(admin, task, NOW)
    assert Run.objects.count() == 1
    task.refresh_from_db()
    assert task.last_state == RunState.WAITING


def test_stop_of_a_waiting_run_ends_it_at_once(admin: Actor, task: BackupTask) -> None:
    run = services.back_up_now(admin, task, NOW)
    services.stop_run(admin, run, NOW)
    run.refresh_from_db()
    task.refresh_from_db()
    assert (run.state, task.last_state, task.outcomes) == (RunState.STOPPED, RunState.STOPPED, "x")
    assert "before it started" in run.reason
    with pytest.raises(Refused, match="not running"):
        services.stop_run(admin, run, NOW)


@pytest.mark.parametrize("verb", ["create", "configure", "delete", "back_up_now", "suspend", "resume", "save_cluster"])
def test_who_may_not_is_refused_and_put_on_record(verb: str, viewer: User, task: BackupTask, cluster: Cluster) -> None:
    stranger = Actor(viewer.username, viewer, "10.0.0.9")
    calls = {
        "create": lambda: services.create_task(stranger, draft(cluster), NOW),
        "configure": lambda: services.configure_task(stranger, task, 1, draft(cluster), NOW),
        "delete": lambda: services.delete_task(stranger, task, NOW),
        "back_up_now": lambda: services.back_up_now(stranger, task, NOW),
        "suspend": lambda: services.suspend_task(stranger, task, NOW),
        "resume": lambda: services.resume_task(stranger, task, NOW),
        "save_cluster": lambda: services.save_cluster(stranger, Cluster(name="x")),
    }
    with pytest.raises(PermissionDenied):
        calls[verb]()
    assert last_event().result == AuditEvent.Result.REFUSED
    assert BackupTask.objects.count() == 1
    assert Run.objects.count() == 0


def test_a_new_cluster_has_the_service_iotdb(admin: Actor) -> None:
    cluster = services.save_cluster(admin, Cluster(name="plant-east"))
    assert [one.name for one in cluster.services.all()] == ["IoTDB"]


def test_two_people_editing_one_cluster(admin: Actor, cluster: Cluster) -> None:
    mine, theirs = Cluster.objects.get(), Cluster.objects.get()
    theirs.note = "theirs"
    services.save_cluster(admin, theirs)
    mine.note = "mine"
    with pytest.raises(EditConflict):
        services.save_cluster(admin, mine)
    assert Cluster.objects.get().note == "theirs"


def test_what_is_in_use_is_not_deleted(admin: Actor, task: BackupTask, service: Service, make_run: Any) -> None:
    cluster = task.cluster
    with pytest.raises(Refused, match=task.name):
        services.delete_cluster(admin, cluster)
    task.all_services = False
    task.save()
    task.services.set([service])
    with pytest.raises(Refused, match=task.name):
        services.delete_service(admin, service)
    task.services.clear()
    with pytest.raises(Refused, match="only service"):
        services.delete_service(admin, service)


def test_a_cluster_whose_only_task_was_deleted_without_runs_can_go(admin: Actor, task: BackupTask) -> None:
    services.delete_task(admin, task, NOW)
    services.delete_cluster(admin, task.cluster)
    assert not Cluster.objects.exists()


def test_a_cluster_with_history_stays(admin: Actor, task: BackupTask, make_run: Any) -> None:
    make_run(task, RunState.SUCCESSFUL)
    services.delete_task(admin, task, NOW)
    with pytest.raises(Refused, match="history"):
        services.delete_cluster(admin, task.cluster)


def test_check_node_looks_at_the_real_home(admin: Actor, node: Node) -> None:
    findings = services.check_node(admin, node)
    assert any("2.0.1-beta" in finding.detail for finding in findings), findings


def test_the_audit_cannot_be_rewritten(admin: Actor, task: BackupTask) -> None:
    event = record(admin, "test", task)
    event.actor = "nobody"
    for attempt in (event.save, event.delete, AuditEvent.objects.all().delete):
        with pytest.raises(TypeError):
            attempt()
    with pytest.raises(TypeError):
        AuditEvent.objects.update(actor="nobody")


def test_secrets_are_masked_at_every_depth() -> None:
    values = {"password": "p", "destination": {"username": "u", "private_key": "k", "token": ""}}
    assert mask(values) == {"password": MASK, "destination": {"username": "u", "private_key": MASK, "token": ""}}


def test_the_console_itself_may_everything() -> None:
    assert CONSOLE.may("tasks.manage_task")
