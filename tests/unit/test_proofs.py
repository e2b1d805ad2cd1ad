"""Proofs by age: what is due, what waits, and what it costs to find out."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from storage.errors import Corrupt
from tasks.engine import kinds, proofs
from tasks.engine.proofs import queue_due, queue_proof, watch
from tasks.engine.watches.reconciling import AT_ONCE
from tasks.errors import Refused
from tasks.models import BackupTask, Cluster, Run
from tasks.states import Kind, Mode, RunState, Trigger
from tests.conftest import MakeRun, MakeTask
from tests.unit.proofs_kit import (
    DAY,
    HOUR,
    NOW,
    SECOND,
    set_of_eight_days_ago,  # noqa: F401
    somebody_rehearses,  # noqa: F401
)

pytestmark = pytest.mark.django_db


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
