"""Alarms of a real OpenSSH server: its host key changes (F23), the new one is confirmed, its clock is asked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tasks import alarms, services
from tasks.audit import CONSOLE
from tasks.engine.watches import clocks
from tasks.models import BackupTask, ManagementNodes, Node, Run
from tasks.states import RunState
from tests.engine.kit import check_now, files_below, log_of, run_now
from tests.servers.openssh import PASSWORD, OpenSSH, openssh

__all__ = ["openssh"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.server, pytest.mark.xdist_group("openssh")]

OTHER = "ssh-ed25519 SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


@pytest.fixture
def far(make_task: Any, openssh: OpenSSH, storage_path: Any, node: Node) -> BackupTask:
    """A task that stores on the server."""
    task: BackupTask = make_task("far", path_type="SFTP", destination=openssh.parameters(), copies=9)
    task.set_secrets({"password": PASSWORD})
    task.save()
    return task


def pin(task: BackupTask, key: str) -> None:
    task.refresh_from_db()
    task.destination = task.destination | {"host_key": key}
    task.save()


def raised() -> list[str]:
    return list(alarms.uncleared().filter(code="host-key-changed").values_list("subject", flat=True))


def test_a_server_with_another_key_gets_nothing_and_is_told_of(far: BackupTask, openssh: OpenSSH) -> None:
    run = run_now(far)
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    pin(far, OTHER)
    before = files_below(openssh.root / "store")
    assert run_now(far).error_code == "host-key-changed"
    assert check_now(run).error_code == "host-key-changed"
    assert files_below(openssh.root / "store") == before
    alarm = alarms.uncleared().get(code="host-key-changed")
    assert OTHER in alarm.cause and openssh.fingerprint() in alarm.cause
    assert alarm.subject == f"task {far.pk}"
    pin(far, openssh.fingerprint())
    assert run_now(far).state == RunState.SUCCESSFUL
    assert raised() == []


def test_sets_from_before_are_checked_and_restored_once_the_new_key_is_confirmed(
    far: BackupTask, openssh: OpenSSH
) -> None:
    run = run_now(far)
    recorded = run.parameters | {"destination": run.parameters["destination"] | {"host_key": OTHER}}
    Run.objects.filter(pk=run.pk).update(parameters=recorded)
    assert check_now(run).state == RunState.SUCCESSFUL
    run.refresh_from_db()
    restoration = services.restore_from_run(CONSOLE, run, timezone.now())
    assert restoration.destination["host_key"] == openssh.fingerprint()


def test_verify_of_a_saved_task_raises_and_clears(far: BackupTask, openssh: OpenSSH) -> None:
    pin(far, OTHER)
    assert [check.level for check in services.verify_destination(CONSOLE, far)][-1] == "failed"
    assert raised() == [f"task {far.pk}"]
    alarms.raise_alarm("clock-drift", f"task {far.pk}", cause="x")
    pin(far, openssh.fingerprint())
    assert {check.level for check in services.verify_destination(CONSOLE, far)} <= {"ok", "warning"}
    assert list(alarms.uncleared()) == []


def test_the_standby_node_has_an_alarm_of_its_own(
    task: BackupTask, storage_path: Any, node: Node, openssh: OpenSSH
) -> None:
    nodes = ManagementNodes.load()
    nodes.standby = openssh.parameters(host_key=OTHER)
    nodes.set_secrets({"password": PASSWORD})
    nodes.save()
    assert run_now(task).state == RunState.WARNINGS
    alarm = alarms.uncleared().get()
    assert (alarm.code, alarm.subject, alarm.cluster) == ("host-key-changed", "standby node", None)
    assert (alarm.place, alarm.link) == ("Standby management node 127.0.0.1", "/system/nodes/")
    ManagementNodes.objects.update(standby=openssh.parameters())
    run = run_now(task)
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    assert raised() == []


def test_the_clock_of_the_server_is_measured(far: BackupTask, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, timedelta]] = []
    monkeypatch.setattr(clocks, "of_destination", lambda task, server, ahead, now: seen.append((server, ahead)))
    run_now(far)
    [(server, ahead)] = seen
    assert server == "127.0.0.1" and abs(ahead) < timedelta(seconds=5), "it is this machine's"
