"""Proofs by hand and by age: what is due, what waits, what is refused, and what it costs to find out."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test.utils import CaptureQueriesContext

from storage.errors import Corrupt
from tasks import alarms, services
from tasks.audit import Actor
from tasks.engine import dispatch, kinds, proofs
from tasks.engine.checking import CheckSet
from tasks.engine.proofs import queue_due, queue_proof, watch
from tasks.engine.watches.reconciling import AT_ONCE
from tasks.errors import Refused
from tasks.models import Alarm, BackupTask, Cluster, Run
from tasks.states import Kind, Mode, RunState, Trigger
from tests.conftest import MakeRun, MakeTask

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 20, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def old(task: BackupTask, make_run: MakeRun) -> Run:
    """A set that was made, and read back, eight days ago."""
    return make_run(task, at=NOW - 8 * DAY)


def checks() -> list[int]:
    """Return whose sets are to be checked."""
    waiting = Run.objects.filter(kind=Kind.CHECK, state=RunState.WAITING).order_by("pk")
    return list(waiting.values_list("subject_id", flat=True))


def end_of(check: Run, state: str, at: datetime, code: str = "") -> None:
    Run.objects.filter(pk=check.pk).update(state=state, ended_at=at, error_code=code)


# --- Due -------------------------------------------------------------------------------------------------------------
def test_a_set_is_checked_when_its_last_proof_is_old_enough(old: Run) -> None:
    assert queue_due(old.verified_at + 7 * DAY - SECOND) == 0
    assert queue_due(old.verified_at + 7 * DAY) == 1
    check = Run.objects.get(kind=Kind.CHECK)
    assert (check.subject, check.task, check.trigger) == (old, old.task, Trigger.SCHEDULE)
    assert (check.state, check.cluster, check.scheduled_for) == (RunState.WAITING, old.cluster, None)


@pytest.mark.parametrize("proof", ["checked_at", "rehearsed_at"])
def test_any_proof_counts(proof: str, old: Run) -> None:
    Run.objects.filter(pk=old.pk).update(**{proof: NOW - 6 * DAY})
    assert queue_due(NOW) == 0
    assert queue_due(NOW + DAY) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"check_after_days": None},
        {"suspended": True},
        {"deleted_at": NOW},
        {"mode": Mode.PERIODIC, "started": NOW, "next_run_at": NOW + timedelta(minutes=9)},
        {"mode": Mode.PERIODIC, "started": NOW, "next_run_at": NOW - timedelta(minutes=1)},
    ],
    ids=["never", "suspended", "deleted", "starts soon", "is due itself"],
)
def test_a_task_may_not_want_it_or_not_now(change: dict[str, Any], old: Run) -> None:
    BackupTask.all_tasks.filter(pk=old.task_id).update(**change)
    assert queue_due(NOW) == 0


def test_a_task_that_starts_much_later_has_time_for_a_check(old: Run) -> None:
    later = {"mode": Mode.PERIODIC, "started": NOW, "next_run_at": NOW + HOUR}
    BackupTask.objects.filter(pk=old.task_id).update(**later)
    assert queue_due(NOW) == 1


@pytest.mark.parametrize("field", ["set_removed_at", "damaged_at"])
def test_sets_that_are_gone_or_damaged_are_not_looked_for(field: str, old: Run) -> None:
    Run.objects.filter(pk=old.pk).update(**{field: NOW - DAY})
    assert queue_due(NOW) == 0


def test_the_oldest_proof_comes_first_and_one_at_a_time(task: BackupTask, make_run: MakeRun) -> None:
    runs = [make_run(task, at=NOW - days * DAY) for days in (12, 10, 9)]
    Run.objects.filter(pk=runs[0].pk).update(checked_at=NOW - 8 * DAY)
    assert (queue_due(NOW), queue_due(NOW)) == (1, 0)
    assert checks() == [runs[1].pk]


@pytest.mark.parametrize("state", [RunState.WAITING, RunState.RUNNING])
def test_a_proof_gives_way_to_whatever_its_cluster_does(
    state: str, old: Run, make_task: MakeTask, make_run: MakeRun
) -> None:
    make_run(make_task(), state, NOW)
    assert queue_due(NOW) == 0


def test_clusters_are_looked_at_side_by_side(make_task: MakeTask, make_run: MakeRun) -> None:
    runs = []
    for name in ("east", "west"):
        place = Cluster.objects.create(name=name)
        runs += [make_run(make_task(cluster=place), at=NOW - 9 * DAY) for _ in range(2)]
    assert queue_due(NOW) == 2
    assert checks() == [runs[0].pk, runs[2].pk]


def test_there_is_an_end_to_what_is_queued_at_a_time(
    make_task: MakeTask, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.RUN_SLOTS = 1
    monkeypatch.setattr(proofs, "PER_SLOT", 2)
    for number in range(3):
        make_run(make_task(cluster=Cluster.objects.create(name=f"c{number}")), at=NOW - 9 * DAY)
    assert (queue_due(NOW), queue_due(NOW)) == (2, 0)


def test_each_task_has_its_own_limit(make_task: MakeTask, make_run: MakeRun) -> None:
    due = []
    for number, days in enumerate((1, 5, 30)):
        place = Cluster.objects.create(name=f"c{number}")
        run = make_run(make_task(cluster=place, check_after_days=days), at=NOW - 5 * DAY - HOUR)
        due += [run.pk] if days < 30 else []
    assert queue_due(NOW) == 2
    assert checks() == due


def test_what_failed_is_tried_again_after_an_hour_and_not_every_minute(old: Run) -> None:
    queue_due(NOW)
    end_of(Run.objects.get(kind=Kind.CHECK), RunState.FAILED, NOW, "unreachable")
    assert queue_due(NOW + 59 * timedelta(minutes=1)) == 0
    assert queue_due(NOW + HOUR) == 1


def test_damage_of_one_set_keeps_no_other_from_being_checked(task: BackupTask, make_run: MakeRun) -> None:
    first, second = make_run(task, at=NOW - 10 * DAY), make_run(task, at=NOW - 9 * DAY)
    queue_due(NOW)
    end_of(Run.objects.get(kind=Kind.CHECK), RunState.FAILED, NOW, Corrupt.code)
    Run.objects.filter(pk=first.pk).update(damaged_at=NOW)
    assert queue_due(NOW) == 1
    assert checks() == [second.pk]


def test_a_check_that_was_lost_with_its_worker_comes_again(old: Run) -> None:
    queue_due(NOW)
    end_of(Run.objects.get(kind=Kind.CHECK), RunState.FAILED, NOW, "worker-lost")
    assert queue_due(NOW + 2 * HOUR) == 1


@pytest.mark.parametrize("moment", ["verified_at", "checked_at", "rehearsed_at"])
def test_a_clock_that_was_ahead_holds_nothing_back(moment: str, old: Run) -> None:
    """What was proven "next year" is checked now, and then counts by the right clock."""
    Run.objects.filter(pk=old.pk).update(**{moment: NOW + 365 * DAY})
    assert queue_due(NOW) == 1
    end_of(Run.objects.get(kind=Kind.CHECK), RunState.SUCCESSFUL, NOW)
    Run.objects.filter(pk=old.pk).update(checked_at=NOW)
    assert queue_due(NOW + HOUR) == 0


def test_a_failure_of_next_year_holds_nothing_back(old: Run) -> None:
    queue_due(NOW)
    end_of(Run.objects.get(kind=Kind.CHECK), RunState.FAILED, NOW + 365 * DAY, "unreachable")
    assert queue_due(NOW) == 1


def test_sets_at_another_server_are_passed_over(make_task: MakeTask, make_run: MakeRun) -> None:
    place = {"server_ip": "10.0.0.1", "port": 22, "username": "svc"}
    task = make_task(path_type="SFTP", destination=place | {"server_ip": "10.0.0.2"})
    make_run(task, at=NOW - 30 * DAY, parameters={"path_type": "SFTP", "destination": place})
    here = make_run(task, at=NOW - 9 * DAY, parameters={"path_type": "SFTP", "destination": dict(task.destination)})
    assert queue_due(NOW) == 1
    assert checks() == [here.pk]


def test_a_kind_that_nobody_carries_out_is_not_queued(old: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "EXECUTIONS", {})
    assert queue_due(NOW) == 0
    with pytest.raises(Refused, match="not offered"):
        queue_proof(Kind.CHECK, old, Trigger.CONSOLE, NOW)


# --- Rehearsals by age -----------------------------------------------------------------------------------------------
@pytest.fixture
def rehearsing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody carries rehearsals out; none is carried out in these tests."""
    monkeypatch.setitem(kinds.EXECUTIONS, Kind.REHEARSAL, CheckSet)


@pytest.mark.usefixtures("rehearsing")
def test_the_newest_set_that_is_not_sick_is_rehearsed(make_task: MakeTask, make_run: MakeRun) -> None:
    task = make_task(check_after_days=None, rehearse_after_days=30)
    make_run(task, at=NOW - 3 * DAY)
    wanted = make_run(task, at=NOW - 2 * DAY)
    make_run(task, at=NOW - DAY, healthy=False)
    assert queue_due(NOW) == 1
    rehearsal = Run.objects.get(kind=Kind.REHEARSAL)
    assert rehearsal.subject == wanted
    end_of(rehearsal, RunState.FAILED, NOW)
    assert queue_due(NOW + 2 * HOUR) == 0, "a rehearsal starts an IoTDB; it is not tried again every hour"
    assert queue_due(NOW + DAY) == 1


@pytest.mark.usefixtures("rehearsing")
@pytest.mark.parametrize(("last", "due"), [(None, 1), (NOW - 29 * DAY, 0), (NOW - 30 * DAY, 1), (NOW + 90 * DAY, 1)])
def test_a_rehearsal_is_due_by_the_last_one_of_the_task(
    last: datetime | None, due: int, make_task: MakeTask, make_run: MakeRun
) -> None:
    make_run(make_task(check_after_days=None, rehearse_after_days=30, last_rehearsed_at=last), at=NOW - DAY)
    assert queue_due(NOW) == due


# --- Overdue ---------------------------------------------------------------------------------------------------------
def test_a_proof_that_is_a_day_late_raises_an_alarm_once_and_clears_it_by_itself(old: Run) -> None:
    BackupTask.objects.filter(pk=old.task_id).update(proof_problem="10.1.2.3 did not answer.")
    made = old.verified_at
    assert (watch(made + 8 * DAY - SECOND), Alarm.objects.count()) == (0, 0)
    assert watch(made + 8 * DAY) == 1
    watch(made + 9 * DAY)
    alarm = Alarm.objects.get()
    assert (alarm.code, alarm.subject, alarm.place) == ("proof-overdue", f"task {old.task_id}", old.task.name)
    assert "was not checked again within 7 days. 10.1.2.3 did not answer." in alarm.cause
    Run.objects.filter(pk=old.pk).update(checked_at=made + 9 * DAY)
    assert watch(made + 9 * DAY) == 0
    assert not alarms.uncleared().exists()


@pytest.mark.parametrize("change", [{"check_after_days": None}, {"suspended": True}])
def test_a_task_that_does_not_want_it_any_more_has_no_alarm(change: dict[str, Any], old: Run) -> None:
    watch(NOW + 30 * DAY)
    BackupTask.objects.filter(pk=old.task_id).update(**change)
    watch(NOW + 30 * DAY)
    assert not alarms.uncleared().exists()


def test_a_rehearsal_that_is_late_raises_it_too(make_task: MakeTask) -> None:
    make_task(rehearse_after_days=1, last_rehearsed_at=NOW - 3 * DAY)
    assert watch(NOW) == 1
    assert "The last rehearsal was at 2026-06-17" in Alarm.objects.get().cause
    assert "and the limit is 1 day." in Alarm.objects.get().cause


# --- By hand ---------------------------------------------------------------------------------------------------------
def test_an_operator_has_a_set_checked(old: Run, operator: User) -> None:
    check = services.check_set(Actor("operator", operator), old, NOW)
    assert (check.kind, check.subject, check.trigger, check.who) == (Kind.CHECK, old, Trigger.PERSON, "operator")
    check.refresh_from_db()
    assert check.offered_at == NOW


def test_a_second_check_is_refused_with_who_and_when(old: Run, operator: User) -> None:
    services.check_set(Actor("operator", operator), old, NOW)
    with pytest.raises(Refused, match=r"A check of the set is already waiting\. It was started at 2026-06-20 .* by op"):
        services.check_set(Actor("operator", operator), old, NOW)
    assert Run.objects.filter(kind=Kind.CHECK).count() == 1


def test_another_proof_of_the_set_is_refused_as_well(old: Run, operator: User, rehearsing: None) -> None:
    queue_proof(Kind.REHEARSAL, old, Trigger.SCHEDULE, NOW)
    with pytest.raises(Refused, match="A rehearsal of the set is already waiting.* by Schedule"):
        services.check_set(Actor("operator", operator), old, NOW)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"set_removed_at": NOW}, "was removed at"), ({"state": RunState.FAILED, "verified_at": None}, "gave no set")],
)
def test_what_is_no_set_cannot_be_checked(change: dict[str, Any], words: str, old: Run, operator: User) -> None:
    Run.objects.filter(pk=old.pk).update(**change)
    with pytest.raises(Refused, match=words):
        services.check_set(Actor("operator", operator), old, NOW)


def test_a_damaged_set_and_one_of_a_deleted_task_can_be_checked_by_hand(old: Run, operator: User) -> None:
    Run.objects.filter(pk=old.pk).update(damaged_at=NOW)
    BackupTask.objects.filter(pk=old.task_id).update(deleted_at=NOW)
    assert services.check_set(Actor("operator", operator), old, NOW).state == RunState.WAITING


def test_a_viewer_may_not(old: Run, viewer: User) -> None:
    with pytest.raises(PermissionDenied):
        services.check_set(Actor("viewer", viewer), old, NOW)
    assert not Run.objects.filter(kind=Kind.CHECK).exists()


# --- The line --------------------------------------------------------------------------------------------------------
def test_backups_that_wait_are_offered_before_proofs(
    old: Run, make_task: MakeTask, make_run: MakeRun, settings: Any
) -> None:
    settings.RUN_SLOTS = 1
    check = queue_proof(Kind.CHECK, old, Trigger.SCHEDULE, NOW - HOUR)
    later = make_run(make_task(cluster=Cluster.objects.create(name="west")), RunState.WAITING, NOW)
    assert dispatch.offer(NOW) == 1
    assert list(Run.objects.filter(offered_at__isnull=False).values_list("pk", flat=True)) == [later.pk]
    check.refresh_from_db()
    assert check.offered_at is None


# --- Ten thousand tasks ----------------------------------------------------------------------------------------------
def test_ten_thousand_tasks_cost_as_many_queries_as_one(cluster: Cluster, rehearsing: None) -> None:
    days = (1, 7, 30)
    tasks = BackupTask.objects.bulk_create(
        BackupTask(name=f"t{number}", cluster=cluster, path_type="LocalDir", copies=7, directory=f"t{number}",
                   mode=Mode.MANUAL, check_after_days=days[number % 3], rehearse_after_days=30)
        for number in range(10_000)
    )  # fmt: skip
    made = [NOW - timedelta(hours=age) for age in (6, 18, 20)]
    Run.objects.bulk_create(
        (
            Run(task=task, cluster=cluster, trigger=Trigger.SCHEDULE, state=RunState.SUCCESSFUL, ended_at=at,
                started_at=at, verified_at=at, size=1)
            for task in tasks for at in made
        ),
        batch_size=5_000,
    )  # fmt: skip
    BackupTask.objects.update(last_rehearsed_at=NOW)
    costs = []
    for moment in (NOW, NOW + 40 * DAY):
        began = time.perf_counter()
        with CaptureQueriesContext(connection) as captured:
            queue_due(moment)
            watch(moment)
        costs.append((len(captured), time.perf_counter() - began))
    assert Run.objects.filter(state=RunState.WAITING).count() == 1, "one cluster, one proof"
    assert costs[0][0] <= 13, [query["sql"][:150] for query in captured]
    # Then a proof is queued, and alarms are raised, up to so many at once.
    assert costs[1][0] <= 11 + 12 + 8 * AT_ONCE
    print(f"ten thousand tasks: {costs[0][1] * 1000:.0f} ms with nothing due, {costs[1][1] * 1000:.0f} ms with all")
    assert costs[0][1] < 2.0
