"""From queued to offered: the order of the line, and the tick."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django_q.models import OrmQ, Schedule

from tasks.engine import dispatch
from tasks.models import BackupTask, Cluster, Pulse, Run
from tasks.states import RunState
from tests.conftest import MakeRun, MakeTask
from tests.unit.dispatch_kit import (
    DUE,
    MINUTE,
    SECOND,
    queued,
    task_that_is_due_daily,  # noqa: F401
)


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
    clocks = "own" if connection.vendor == "sqlite" else "compared"
    assert Pulse.objects.get(name="tick").detail == (
        "lost failed, due 1, proofs 0, offered 1, proofs overdue 0, overdue 0, only here 0, keys lost 0, "
        f"clocks {clocks}, messages 0"
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
