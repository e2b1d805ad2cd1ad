"""Alarms: raised once, renewed, cleared; and which ends of runs raise and clear them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction

from tasks import alarms, services
from tasks.audit import Actor
from tasks.engine.record import Outcome, finish
from tasks.errors import Refused
from tasks.models import Alarm, AuditEvent, BackupTask, Cluster, Restoration, Run
from tasks.states import Kind, Mode, RunState, Severity, Trigger
from tests.conftest import MakeRun, MakeTask

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 1, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def raise_one(cause: str = "It failed.", subject: str = "task 1", now: datetime = NOW) -> Alarm:
    return alarms.raise_alarm("backup-failed", subject, cause=cause, cure="Mend it.", place="nightly", now=now)


def open_codes() -> list[str]:
    return list(alarms.uncleared().values_list("code", flat=True))


def test_a_second_raise_renews_and_does_not_double() -> None:
    first = raise_one()
    second = raise_one("It failed again.", now=NOW + HOUR)
    assert first.pk == second.pk
    assert (second.raised_at, second.renewed_at) == (NOW, NOW + HOUR)
    assert second.cause == "It failed again."
    assert Alarm.objects.count() == 1


def test_after_it_was_cleared_it_is_another_alarm() -> None:
    first = raise_one()
    assert alarms.clear("backup-failed", "task 1", "anna", NOW + HOUR)
    assert not alarms.clear("backup-failed", "task 1")
    first.refresh_from_db()
    assert (first.cleared_at, first.cleared_by) == (NOW + HOUR, "anna")
    assert raise_one(now=NOW + 2 * HOUR).pk != first.pk


def test_of_each_pair_the_database_lets_one_be_raised() -> None:
    raise_one()
    with pytest.raises(IntegrityError), transaction.atomic():
        Alarm.objects.create(code="backup-failed", subject="task 1", severity="major", name="x", cause="x")
    raise_one(subject="task 2")


def test_a_raise_in_the_moment_of_another_renews_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look finds nothing, then somebody else raises it, then the write meets theirs."""
    real = alarms.uncleared
    looks = iter([Alarm.objects.none()])

    def looked() -> Any:
        found = next(looks, None)
        if found is None:
            return real()
        raise_elsewhere()
        return found

    def raise_elsewhere() -> None:
        fields = {"severity": "major", "name": "x", "cause": "theirs"}
        Alarm.objects.create(code="backup-failed", subject="task 1", **fields)

    monkeypatch.setattr(alarms, "uncleared", looked)
    assert raise_one("ours").cause == "ours"
    assert Alarm.objects.count() == 1


def test_every_alarm_has_a_severity_and_says_what_clears_it() -> None:
    assert {known.severity for known in alarms.ALARMS.values()} <= set(Severity)
    assert all(known.cleared and known.name for known in alarms.ALARMS.values())
    assert alarms.ALARMS["restoration-unknown"].severity == Severity.CRITICAL


def test_an_alarm_that_nobody_knows_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        alarms.raise_alarm("made-up", "task 1", cause="x")


# --- Backups ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def nightly(make_task: MakeTask) -> BackupTask:
    return make_task("nightly", mode=Mode.PERIODIC)


def end(task: BackupTask, make_run: MakeRun, state: RunState, trigger: str = Trigger.SCHEDULE) -> Run:
    run = make_run(task, RunState.RUNNING, NOW, trigger=trigger)
    fields = {"size": 1} if state == RunState.SUCCESSFUL else {}
    Run.objects.filter(pk=run.pk).update(**fields)
    reason = "" if state == RunState.SUCCESSFUL else "10.1.2.3 refused the password."
    assert finish(run.pk, Outcome(state, reason, "x"), NOW + HOUR, token="0" * 32)
    return run


def test_a_periodic_run_that_fails_raises_one_and_the_next_success_clears_it(
    nightly: BackupTask, make_run: MakeRun
) -> None:
    end(nightly, make_run, RunState.FAILED)
    alarm = Alarm.objects.get()
    assert (alarm.code, alarm.subject, alarm.severity) == ("backup-failed", f"task {nightly.pk}", Severity.MAJOR)
    assert (alarm.place, alarm.cluster, alarm.cause) == ("nightly", nightly.cluster, "10.1.2.3 refused the password.")
    assert alarm.link == f"/backups/{nightly.pk}/history/"
    end(nightly, make_run, RunState.FAILED)
    assert Alarm.objects.get().cause.startswith("2 runs in a row. ")
    end(nightly, make_run, RunState.SUCCESSFUL, Trigger.PERSON)
    assert open_codes() == []


@pytest.mark.parametrize("state", [RunState.STOPPED, RunState.SUCCESSFUL])
def test_other_ends_raise_none(nightly: BackupTask, make_run: MakeRun, state: RunState) -> None:
    end(nightly, make_run, state)
    assert open_codes() == []


def test_a_run_that_a_person_started_raises_none(nightly: BackupTask, make_run: MakeRun) -> None:
    end(nightly, make_run, RunState.FAILED, Trigger.PERSON)
    assert open_codes() == []


def test_the_alarms_of_a_deleted_task_are_cleared(nightly: BackupTask, make_run: MakeRun) -> None:
    end(nightly, make_run, RunState.FAILED)
    good = make_run(nightly, damaged_at=NOW, damage="cut")
    alarms.raise_alarm("set-damaged", f"run {good.pk}", cause="cut")
    other = make_run(nightly)
    alarms.raise_alarm("set-damaged", f"run {other.pk + 1}", cause="of another task")
    services.delete_task(Actor("anna"), nightly, NOW)
    assert list(alarms.uncleared().values_list("subject", "cleared_by")) == [(f"run {other.pk + 1}", "")]
    assert set(Alarm.objects.exclude(cleared_by="").values_list("cleared_by", flat=True)) == {"anna"}


# --- Restorations ----------------------------------------------------------------------------------------------------
def restore(cluster: Cluster, kind: str, state: RunState) -> None:
    restoration = Restoration.objects.create(name=f"back-{Run.objects.count()}", cluster=cluster, taken_at=NOW)
    run = Run.objects.create(
        kind=kind,
        restoration=restoration,
        cluster=cluster,
        trigger=Trigger.PERSON,
        state=RunState.RUNNING,
        lease_token="t",
        lease_until=NOW,
        started_at=NOW,
    )
    assert finish(run.pk, Outcome(state, "Renaming back failed.", "x"), NOW + HOUR, token="t")


@pytest.mark.parametrize(
    ("kind", "state"),
    [(Kind.RESTORE, RunState.SUCCESSFUL), (Kind.ROLLBACK, RunState.SUCCESSFUL), (Kind.RESTORE, RunState.ROLLED_BACK)],
)
def test_unknown_is_the_critical_alarm_until_something_was_restored(
    cluster: Cluster, kind: str, state: RunState
) -> None:
    restore(cluster, Kind.RESTORE, RunState.UNKNOWN)
    alarm = alarms.uncleared().get()
    assert (alarm.code, alarm.severity, alarm.cluster) == ("restoration-unknown", Severity.CRITICAL, cluster)
    assert "Renaming back failed." in alarm.cause
    assert alarm.link == f"/restorations/{Restoration.objects.get().pk}/"
    restore(cluster, Kind.RESTORE, RunState.FAILED)
    assert open_codes() == ["restoration-unknown"]
    restore(cluster, kind, state)
    assert open_codes() == []


# --- By hand ---------------------------------------------------------------------------------------------------------
def test_an_operator_clears_one_by_hand_and_the_audit_says_so(operator: Any) -> None:
    alarm = raise_one()
    services.clear_alarm(Actor("op", operator), alarm, NOW + HOUR)
    alarm.refresh_from_db()
    assert alarm.cleared_by == "op"
    assert "backup-failed" in AuditEvent.objects.get(verb="clear alarm").note
    with pytest.raises(Refused, match="cleared already"):
        services.clear_alarm(Actor("op", operator), alarm, NOW + HOUR)


def test_a_viewer_does_not_clear_any(viewer: Any) -> None:
    alarm = raise_one()
    with pytest.raises(PermissionDenied):
        services.clear_alarm(Actor("v", viewer), alarm, NOW)
    assert open_codes() == ["backup-failed"]
