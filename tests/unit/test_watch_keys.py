"""Secrets that no key opens: found by the tick and by runs, named by cluster, and cleared when the key is back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tasks import alarms, services
from tasks.audit import CONSOLE
from tasks.engine.record import Outcome, finish
from tasks.engine.watches import keys
from tasks.models import BackupTask, Cluster, ManagementNodes, Node, Restoration, Service
from tasks.services.tasks import TaskDraft
from tasks.states import Mode, RunState, Severity
from tests.conftest import MakeRun, MakeTask

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 1, 1, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def first_key(settings: Any) -> None:
    """Seal with the key *first*."""
    settings.SECRETS_KEYS = ["first"]


@pytest.fixture
def sealed(cluster: Cluster, service: Service, make_task: MakeTask) -> BackupTask:
    """A task with a password; cluster, service, node, restoration task and standby have one as well."""
    task = make_task("nightly", path_type="SFTP")
    node = Node.objects.create(service=service, name="n1", home="/opt/iotdb", reach="ssh")
    restoration = Restoration.objects.create(name="back", cluster=cluster, taken_at=NOW)
    nodes = ManagementNodes.objects.create(pk=1, standby={"server_ip": "192.0.2.7"})
    for row in (task, service, node, restoration, nodes):
        row.set_secrets({"password": "x"})
        row.save()
    return task


def raised() -> dict[str, str]:
    return dict(alarms.uncleared().filter(code="key-lost").values_list("subject", "cause"))


def test_what_no_key_opens_is_named_by_cluster_until_the_key_is_back(sealed: BackupTask, settings: Any) -> None:
    assert keys.watch(NOW) == 0
    settings.SECRETS_KEYS = ["second"]
    assert keys.watch(NOW) == 2
    subject = f"cluster {sealed.cluster_id}"
    assert set(raised()) == {subject, "secrets of the console"}
    assert raised()[subject].endswith("of: task nightly, restoration task back, service IoTDB, node n1.")
    assert raised()["secrets of the console"].endswith("of: standby management node.")
    alarm = alarms.uncleared().get(subject=subject)
    assert (alarm.severity, alarm.cluster, alarm.link) == (
        Severity.CRITICAL,
        sealed.cluster,
        f"/clusters/{sealed.cluster_id}/",
    )
    keys.watch(NOW + HOUR)
    alarm.refresh_from_db()
    assert alarm.renewed_at == NOW
    settings.SECRETS_KEYS = ["second", "first"]
    assert keys.watch(NOW) == 0
    assert raised() == {}
    call_command("rotatesecrets")
    settings.SECRETS_KEYS = ["second"]
    assert keys.watch(NOW) == 0


def test_a_password_that_is_typed_again_takes_the_task_off(sealed: BackupTask, settings: Any) -> None:
    settings.SECRETS_KEYS = ["second"]
    keys.watch(NOW)
    draft = TaskDraft("nightly", sealed.cluster, Mode.MANUAL, "SFTP", 7, secrets={"password": "new"})
    services.configure_task(CONSOLE, sealed, sealed.version, draft, NOW)
    keys.watch(NOW)
    assert raised()[f"cluster {sealed.cluster_id}"].endswith("of: restoration task back, service IoTDB, node n1.")


def test_what_is_not_needed_any_more_is_not_missed(sealed: BackupTask, settings: Any) -> None:
    services.delete_task(CONSOLE, sealed, NOW)
    Restoration.objects.update(last_state=RunState.SUCCESSFUL)
    Service.objects.update(sealed_secrets="")
    Node.objects.all().delete()
    ManagementNodes.objects.update(sealed_secrets="")
    settings.SECRETS_KEYS = ["second"]
    assert keys.watch(NOW) == 0


def test_many_are_counted(cluster: Cluster, make_task: MakeTask, settings: Any) -> None:
    for number in range(7):
        task = make_task(f"t{number}")
        task.set_secrets({"password": "x"})
        task.save()
    settings.SECRETS_KEYS = ["second"]
    keys.watch(NOW)
    assert raised()[f"cluster {cluster.pk}"].endswith("of: task t0, task t1, task t2, task t3, task t4 and 2 more.")


def test_a_run_finds_what_has_the_right_beginning_and_does_not_open(
    sealed: BackupTask, make_run: MakeRun, settings: Any
) -> None:
    """A password that was copied from another row."""
    Node.objects.all().delete()
    text = Service.objects.get().sealed_secrets
    BackupTask.objects.filter(pk=sealed.pk).update(sealed_secrets=text)
    assert keys.watch(NOW) == 0
    run = make_run(sealed, RunState.RUNNING)
    finish(run.pk, Outcome(RunState.FAILED, "No.", "key-lost"), NOW, token="0" * 32)
    assert raised()[f"cluster {sealed.cluster_id}"].endswith("of: task nightly.")
    keys.watch(NOW)
    assert len(raised()) == 1, "the tick sees it as well from then on"
    sealed.refresh_from_db()
    sealed.set_secrets({"password": "x"})
    sealed.save()
    keys.watch(NOW)
    assert raised() == {}


def test_looking_costs_the_same_however_much_is_sealed(cluster: Cluster) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            keys.watch(NOW)
        return len(captured)

    none = cost()
    tasks = [
        BackupTask(name=f"t{number}", cluster=cluster, path_type="SFTP", copies=1, directory="x", mode=Mode.MANUAL)
        for number in range(300)
    ]
    BackupTask.objects.bulk_create(tasks)
    for task in tasks:
        task.set_secrets({"password": "x"})
    BackupTask.objects.bulk_update(tasks, ["sealed_secrets"])
    assert cost() == none <= 10
