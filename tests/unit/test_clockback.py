"""A clock that was ahead and is set right: nothing waits until the time that it showed comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.engine import clockback, dispatch
from tasks.engine.clockback import put_right
from tasks.engine.lease import claim, reap, renew
from tasks.models import BackupTask, Run
from tasks.states import Mode, PeriodUnit, RunState
from tests.conftest import MakeRun, MakeTask

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
DAY, HOUR, YEAR = timedelta(days=1), timedelta(hours=1), timedelta(days=365)


def test_a_lost_run_does_not_hold_its_cluster_for_a_year(task: BackupTask, make_run: MakeRun, settings: Any) -> None:
    run = make_run(task, RunState.WAITING, NOW)
    assert claim(run.pk, NOW + YEAR)
    assert reap(NOW) == []
    dispatch.tick(NOW)
    assert reap(NOW + timedelta(seconds=settings.LEASE_SECONDS + 1)) == [run.pk]


def test_a_living_run_keeps_its_lease(task: BackupTask, make_run: MakeRun, settings: Any) -> None:
    run = make_run(task, RunState.WAITING, NOW)
    lease = claim(run.pk, NOW + YEAR)
    assert lease
    put_right(NOW)
    for beat in range(10):
        assert renew(lease, NOW + timedelta(seconds=10 * beat)).held
    assert reap(NOW + timedelta(seconds=100)) == []


def test_the_next_start_comes_back(make_task: MakeTask) -> None:
    task = make_task(mode=Mode.PERIODIC, started=NOW - 10 * DAY, next_run_at=NOW + YEAR)
    dispatch.tick(NOW + HOUR)
    task.refresh_from_db()
    assert task.next_run_at == NOW + DAY


@pytest.mark.parametrize("most", [200, 0])
def test_the_start_of_a_few_minutes_ago_comes_back(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(clockback, "PERIODS", most)
    start = NOW + timedelta(minutes=5)
    daily = make_task(mode=Mode.PERIODIC, started=start - 10 * DAY, next_run_at=start + DAY)
    weekly = make_task(mode=Mode.PERIODIC, started=start - 14 * DAY, period=7, next_run_at=start + 7 * DAY)
    hourly = make_task(
        mode=Mode.PERIODIC,
        started=start - 10 * DAY,
        period=6,
        period_unit=PeriodUnit.HOURS,
        next_run_at=start + DAY / 4,
    )
    right = make_task(mode=Mode.PERIODIC, started=start - 10 * DAY, period=20, next_run_at=start + 10 * DAY)
    assert put_right(NOW) == 3
    for task in (daily, weekly, hourly, right):
        task.refresh_from_db()
    assert [task.next_run_at for task in (daily, weekly, hourly)] == [start] * 3
    assert right.next_run_at == start + 10 * DAY


def test_a_start_that_is_still_to_come_stays(make_task: MakeTask) -> None:
    first = make_task(mode=Mode.PERIODIC, started=NOW + YEAR, next_run_at=NOW + YEAR)
    suspended = make_task(mode=Mode.PERIODIC, started=NOW, next_run_at=None, suspended=True)
    assert put_right(NOW) == 0
    first.refresh_from_db()
    suspended.refresh_from_db()
    assert (first.next_run_at, suspended.next_run_at) == (NOW + YEAR, None)


def test_no_occurrence_runs_twice(make_task: MakeTask) -> None:
    task = make_task(
        mode=Mode.PERIODIC, started=NOW, next_run_at=NOW, period_unit=PeriodUnit.HOURS
    )  # fmt: skip
    for hour in range(3):
        dispatch.tick(NOW + hour * HOUR)
        Run.objects.filter(state=RunState.WAITING).update(state=RunState.STOPPED, ended_at=NOW)
    for minute in range(0, 181, 20):
        dispatch.tick(NOW + timedelta(minutes=minute))
    occurrences = list(task.runs.order_by("scheduled_for").values_list("scheduled_for", flat=True))
    assert occurrences == [NOW, NOW + HOUR, NOW + 2 * HOUR, NOW + 3 * HOUR]


def test_an_offer_from_the_future_is_made_again(task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task, RunState.WAITING, NOW, offered_at=NOW + YEAR)
    dispatch.tick(NOW)
    run.refresh_from_db()
    assert run.offered_at == NOW
