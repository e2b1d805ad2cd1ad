"""From due to offered: occurrences once each, the rule of 120 seconds, slots, order, and the tick's own schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.db.models import Count
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ, Schedule

from tasks import jobs
from tasks.engine import dispatch, due
from tasks.engine.due import queue_due
from tasks.models import BackupTask, Cluster, Pulse, Run
from tasks.states import Mode, RunState, Trigger
from tests.conftest import MakeRun, MakeTask
from tests.file_database import copy_test_database, using_file_database
from tests.unit.test_lease import at_once

# 03:00 in the console's zone, Europe/Berlin.
DUE = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
DAY, HOUR, MINUTE, SECOND = (timedelta(**{unit: 1}) for unit in ("days", "hours", "minutes", "seconds"))


@pytest.fixture
def daily(make_task: MakeTask) -> BackupTask:
    """A task that is due at ``DUE``, every day."""
    return make_task(mode=Mode.PERIODIC, started=DUE, next_run_at=DUE)


def queued() -> list[int]:
    """Return the runs whose ids are in django-q's queue, in order."""
    return [item.task["args"][0] for item in OrmQ.objects.order_by("pk") if item.task["func"] == dispatch.EXECUTE]


# --- Due ------------------------------------------------------------------------------------------------------------
def test_a_due_task_gets_a_waiting_run_and_its_next_start(daily: BackupTask) -> None:
    assert queue_due(DUE + 30 * SECOND) == 1
    run = daily.runs.get()
    assert (run.state, run.trigger, run.scheduled_for) == (RunState.WAITING, Trigger.SCHEDULE, DUE)
    assert run.queued_at == DUE + 30 * SECOND
    daily.refresh_from_db()
    assert daily.next_run_at == DUE + DAY
    assert (daily.last_state, daily.last_run) == (RunState.WAITING, run)
    assert queue_due(DUE + 31 * SECOND) == 0


def test_nothing_is_due_a_moment_before(daily: BackupTask) -> None:
    assert queue_due(DUE - SECOND) == 0


@pytest.mark.parametrize("fields", [{"suspended": True}, {"deleted_at": DUE}, {"mode": Mode.MANUAL}])
def test_suspended_deleted_and_manual_tasks_are_not_started(daily: BackupTask, fields: dict[str, Any]) -> None:
    BackupTask.all_tasks.filter(pk=daily.pk).update(**fields)
    queue_due(DUE)
    assert not Run.objects.exists()


def test_a_start_120_s_late_is_in_time_and_one_later_than_that_is_postponed(make_task: MakeTask) -> None:
    in_time = make_task(mode=Mode.PERIODIC, started=DUE, next_run_at=DUE)
    late = make_task(mode=Mode.PERIODIC, started=DUE - SECOND, next_run_at=DUE - SECOND)
    queue_due(DUE + 120 * SECOND)
    assert in_time.runs.get().state == RunState.WAITING
    assert late.runs.get().state == RunState.POSTPONED


def test_a_postponed_run_says_how_late_and_what_comes_next(daily: BackupTask) -> None:
    queue_due(DUE + 6 * MINUTE)
    run = daily.runs.get()
    assert (run.state, run.ended_at, run.error_code) == (RunState.POSTPONED, DUE + 6 * MINUTE, "late")
    assert run.reason == "Postponed: the start was 6 min late (limit 2 min). The next run is 2026-11-25 03:00 +01:00."
    daily.refresh_from_db()
    assert (daily.next_run_at, daily.last_state, daily.outcomes) == (DUE + DAY, RunState.POSTPONED, "p")


def test_an_outage_of_three_periods_gives_one_record_and_no_burst(daily: BackupTask) -> None:
    queue_due(DUE + 2 * DAY + 5 * HOUR)
    run = daily.runs.get()
    assert run.reason == (
        "Postponed: 3 starts were missed, the first at 2026-11-24 03:00 +01:00 (limit 2 min). "
        "The next run is 2026-11-27 03:00 +01:00."
    )
    daily.refresh_from_db()
    assert daily.next_run_at == DUE + 3 * DAY


def test_after_an_outage_an_occurrence_that_is_in_time_still_runs(daily: BackupTask) -> None:
    queue_due(DUE + 2 * DAY + MINUTE)
    late, start = daily.runs.order_by("scheduled_for")
    assert (late.state, late.scheduled_for) == (RunState.POSTPONED, DUE)
    assert late.reason.startswith("Postponed: 2 starts were missed, the first at 2026-11-24 03:00 +01:00")
    assert late.reason.endswith("The next run is 2026-11-26 03:00 +01:00.")
    assert (start.state, start.scheduled_for) == (RunState.WAITING, DUE + 2 * DAY)
    daily.refresh_from_db()
    assert (daily.last_state, daily.outcomes, daily.next_run_at) == (RunState.WAITING, "p", DUE + 3 * DAY)


@pytest.mark.parametrize(("state", "word"), [(RunState.RUNNING, "running"), (RunState.WAITING, "waiting")])
def test_a_task_that_is_active_still_is_postponed(daily: BackupTask, make_run: MakeRun, state: str, word: str) -> None:
    before = make_run(daily, state, DUE - HOUR)
    queue_due(DUE)
    run = daily.runs.get(scheduled_for=DUE)
    assert (run.state, run.error_code) == (RunState.POSTPONED, "still-active")
    assert run.reason == f"Postponed: the run before was still {word}. The next run is 2026-11-25 03:00 +01:00."
    daily.refresh_from_db()
    assert daily.last_run == before, "the list goes on showing what is being worked on"
    assert daily.next_run_at == DUE + DAY


def test_an_occurrence_on_record_already_is_not_made_twice(daily: BackupTask, make_run: MakeRun) -> None:
    make_run(daily, RunState.SUCCESSFUL, DUE, scheduled_for=DUE)
    queue_due(DUE)
    assert daily.runs.count() == 1
    daily.refresh_from_db()
    assert daily.next_run_at == DUE + DAY


def test_one_task_in_trouble_does_not_keep_its_batch_from_starting(make_task: MakeTask, make_run: MakeRun) -> None:
    tasks = [make_task(mode=Mode.PERIODIC, started=DUE, next_run_at=DUE) for _ in range(3)]
    make_run(tasks[1], RunState.SUCCESSFUL, DUE, scheduled_for=DUE)
    queue_due(DUE)
    assert list(Run.objects.filter(state=RunState.WAITING).values_list("task", flat=True)) == [
        tasks[2].pk, tasks[0].pk,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("started", "expected"),
    [
        # Spring: 29 March 2026, 02:00 becomes 03:00. Autumn: 25 October 2026, 03:00 becomes 02:00.
        (datetime(2026, 3, 27, 5, 0), ["05:00", "05:00", "05:00", "05:00"]),
        (datetime(2026, 3, 27, 2, 30), ["02:30", "02:30", "03:30", "02:30"]),
        (datetime(2026, 10, 23, 2, 30), ["02:30", "02:30", "02:30", "02:30"]),
    ],
)
def test_over_daylight_saving_each_day_starts_once_at_its_wall_clock_time(
    make_task: MakeTask, started: datetime, expected: list[str]
) -> None:
    zone = ZoneInfo("Europe/Berlin")
    first = started.replace(tzinfo=zone)
    task = make_task(mode=Mode.PERIODIC, started=first, next_run_at=first)
    moment = first.astimezone(UTC) - 29 * MINUTE
    while moment < first.astimezone(UTC) + 3 * DAY + 2 * HOUR:
        queue_due(moment)
        task.runs.filter(state=RunState.WAITING).update(state=RunState.STOPPED, ended_at=moment)
        moment += 30 * MINUTE
    starts = [run.scheduled_for.astimezone(zone) for run in task.runs.order_by("scheduled_for") if run.scheduled_for]
    assert [f"{start:%H:%M}" for start in starts] == expected
    assert [start.date().day for start in starts] == [first.day + day for day in range(4)]


def test_200_due_tasks_and_two_ticks_at_once_give_one_run_each(
    transactional_db: None, cluster: Cluster, tmp_path: Path
) -> None:
    make_due(200, cluster)
    copy_test_database(tmp_path / "test.sqlite3")
    with using_file_database(tmp_path / "test.sqlite3"):
        at_once(2, lambda: jobs.tick())
        assert Run.objects.count() == 200
        assert not Run.objects.values("task").annotate(runs=Count("pk")).exclude(runs=1).exists()
        assert not BackupTask.objects.filter(next_run_at__lte=DUE).exists()
        assert (Pulse.objects.get(name="tick").detail).startswith("lost 0, due ")


def make_due(count: int, cluster: Cluster) -> None:
    """Make tasks that were due a moment ago, now."""
    moment = timezone.now() - SECOND
    BackupTask.objects.bulk_create(
        BackupTask(
            name=f"due-{count}-{number}", cluster=cluster, mode=Mode.PERIODIC, started=moment, next_run_at=moment,
            path_type="LocalDir", copies=1,
        )
        for number in range(count)
    )  # fmt: skip


def test_many_due_tasks_are_queued_once_each_by_a_few_queries_a_batch(
    db: None, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "BATCH", 100)
    counted = []
    for count in (100, 300):
        make_due(count, cluster)
        with CaptureQueriesContext(connection) as captured:
            assert queue_due(timezone.now()) == count
        counted.append(len(captured))
        assert queue_due(timezone.now()) == 0
    assert Run.objects.filter(state=RunState.WAITING).count() == 400
    assert not Run.objects.values("task").annotate(runs=Count("pk")).exclude(runs=1).exists()
    # Three batches take no more than three times what one takes, whatever the number of tasks in each.
    assert counted[1] <= 3 * counted[0] and counted[0] <= 30, counted


# --- Offers ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def three_clusters(make_task: MakeTask, make_run: MakeRun) -> list[Run]:
    """Three waiting runs of three clusters, queued one after the other."""
    return [
        make_run(make_task(cluster=Cluster.objects.create(name=name)), RunState.WAITING, DUE + number * SECOND)
        for number, name in enumerate("abc")
    ]


def test_offers_go_to_the_oldest_up_to_the_slots(three_clusters: list[Run], settings: Any) -> None:
    settings.RUN_SLOTS = 2
    assert dispatch.offer(DUE) == 2
    assert queued() == [run.pk for run in three_clusters[:2]]
    assert dispatch.offer(DUE + SECOND) == 0, "an open offer holds its slot"


def test_a_cluster_that_runs_gets_no_offer_and_the_line_is_kept(
    make_task: MakeTask, make_run: MakeRun, cluster: Cluster
) -> None:
    running = make_run(make_task(), RunState.RUNNING, DUE)
    first = make_run(make_task(), RunState.WAITING, DUE)
    make_run(make_task(), RunState.WAITING, DUE + SECOND)
    assert dispatch.offer(DUE) == 0
    Run.objects.filter(pk=running.pk).update(state=RunState.STOPPED, ended_at=DUE)
    assert dispatch.offer(DUE) == 1
    assert queued() == [first.pk]


def test_an_offer_nobody_took_is_made_again(three_clusters: list[Run], settings: Any) -> None:
    settings.RUN_SLOTS = 1
    settings.STALL_SECONDS = 15
    dispatch.offer(DUE)
    assert dispatch.offer(DUE + 29 * SECOND) == 0
    assert dispatch.stalled(DUE + 14 * SECOND) is None
    assert dispatch.stalled(DUE + 15 * SECOND) == three_clusters[0].pk
    assert dispatch.offer(DUE + 30 * SECOND) == 1
    assert queued() == [three_clusters[0].pk] * 2


def test_offers_taken_back_are_made_anew(three_clusters: list[Run]) -> None:
    dispatch.offer(DUE)
    dispatch.forget_offers()
    assert queued() == []
    assert dispatch.wants_tick(DUE)
    dispatch.offer(DUE)
    assert queued() == [run.pk for run in three_clusters[:2]]


def test_the_queue_holds_nothing_but_the_id(three_clusters: list[Run]) -> None:
    dispatch.offer(DUE)
    package = OrmQ.objects.order_by("pk")[0].task
    assert package["args"] == (three_clusters[0].pk,)
    assert package["kwargs"] == {}


# --- The tick -------------------------------------------------------------------------------------------------------
def test_there_is_one_schedule_of_the_tick_however_often_one_asks(db: None) -> None:
    Schedule.objects.create(name="tick", func="os.system", schedule_type=Schedule.ONCE)
    Schedule.objects.create(name="another", func=dispatch.TICK)
    for moment in (DUE, DUE + 10 * SECOND):
        dispatch.ensure_tick_scheduled(moment)
    kept = Schedule.objects.get()
    assert (kept.name, kept.func, kept.minutes, kept.repeats) == ("tick", dispatch.TICK, 1, -1)
    assert kept.next_run == DUE + MINUTE


def test_a_tick_wants_doing_when_something_is_lost_or_due(daily: BackupTask, make_run: MakeRun) -> None:
    assert not dispatch.wants_tick(DUE - SECOND)
    assert dispatch.wants_tick(DUE)
    daily.next_run_at = None
    daily.save()
    assert not dispatch.wants_tick(DUE)
    make_run(daily, RunState.RUNNING, DUE, lease_until=DUE - SECOND)
    assert dispatch.wants_tick(DUE)


def test_a_step_that_fails_keeps_no_other_from_its_work(daily: BackupTask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(now: datetime) -> list[int]:
        raise RuntimeError("no such table")

    monkeypatch.setattr(dispatch, "reap", fail)
    dispatch.tick(DUE)
    assert Pulse.objects.get(name="tick").detail == (
        "lost failed, due 1, proofs 0, offered 1, proofs overdue 0, overdue 0, only here 0, keys lost 0, clocks own, "
        "messages 0"
    )
    assert queued() == [daily.runs.get().pk]


def test_a_lost_run_is_ended_swept_and_the_next_one_offered(
    make_task: MakeTask, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = make_run(make_task(), RunState.RUNNING, DUE, lease_until=DUE)
    following = make_run(make_task(), RunState.WAITING, DUE)
    swept: list[int] = []
    monkeypatch.setattr(dispatch, "after_loss", swept.append)
    dispatch.tick(DUE + SECOND)
    lost.refresh_from_db()
    assert lost.state == RunState.FAILED
    assert swept == [lost.pk]
    assert queued() == [following.pk]
