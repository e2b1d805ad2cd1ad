"""When a worker group is replaced: it has ended, does not tick, or leaves a run lying; and when it is left alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from backupconsole import watch as module
from backupconsole.watch import Watch
from tasks.models import BackupTask, Pulse, Run
from tasks.states import RunState
from tests.conftest import MakeRun


class Clock:
    """A clock that stands in for ``time`` and moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Group:
    """A worker group whose signs of life the test decides."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.began = clock.now
        self.pids = {10, 11, 12}
        self.end = ""

    @property
    def age(self) -> float:
        return self.clock.now - self.began

    def members(self) -> set[int]:
        return set(self.pids)

    def ended(self) -> str:
        return self.end


@pytest.fixture
def clock(db: None, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Clock:
    """A clock to move, with the default times."""
    settings.STALL_SECONDS, settings.TICK_SILENCE_SECONDS = 15, 150
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The moments at which a tick was asked for."""
    moments: list[float] = []
    monkeypatch.setattr(module.dispatch, "request_tick", lambda: moments.append(module.time.monotonic()))
    return moments


@pytest.fixture
def group(clock: Clock) -> Group:
    """A group that has just been started."""
    return Group(clock)


def ticked(watch: Watch) -> None:
    """Let the group tick, and let the watch see it."""
    Pulse.beat("tick", timezone.now() + timedelta(milliseconds=1))
    assert watch.look() == ""


def test_a_group_that_ended_is_replaced(group: Group, asked: list[float]) -> None:
    watch = Watch(group)  # type: ignore[arg-type]
    assert watch.look() == ""
    group.end = "its parent was ended by SIGKILL"
    assert watch.look() == group.end


def test_the_first_tick_is_asked_for_at_once_and_has_time_to_come(
    group: Group, clock: Clock, asked: list[float]
) -> None:
    watch = Watch(group)  # type: ignore[arg-type]
    assert asked == [1000.0]
    clock.now += 44
    assert watch.look() == ""
    clock.now += 2
    assert watch.look() == "a tick that was asked for did not come for 45 s"


def test_a_vanished_process_makes_it_ask_and_silence_then_replaces(
    group: Group, clock: Clock, asked: list[float]
) -> None:
    watch = Watch(group)  # type: ignore[arg-type]
    ticked(watch)
    clock.now += 10
    assert watch.look() == ""
    group.pids.remove(12)
    assert watch.look() == ""
    assert asked == [1000.0, 1010.0]
    clock.now += 16
    assert watch.look() == "a tick that was asked for did not come for 15 s"


def test_a_vanished_process_that_was_replaced_costs_nothing(group: Group, clock: Clock, asked: list[float]) -> None:
    watch = Watch(group)  # type: ignore[arg-type]
    ticked(watch)
    clock.now += 30
    group.pids = {10, 11, 13}
    watch.look()
    ticked(watch)
    clock.now += 100
    assert watch.look() == ""


def test_a_group_that_works_on_a_run_gets_twice_the_time(
    group: Group, clock: Clock, asked: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(group)  # type: ignore[arg-type]
    ticked(watch)
    monkeypatch.setattr(module.dispatch, "working", lambda: {11})
    clock.now += 30
    group.pids.remove(12)
    watch.look()
    clock.now += 29
    assert watch.look() == ""
    clock.now += 2
    assert "did not come for 30 s" in watch.look()


def test_a_frozen_group_is_known_although_nothing_happens(group: Group, clock: Clock, asked: list[float]) -> None:
    watch = Watch(group)  # type: ignore[arg-type]
    ticked(watch)
    reason = ""
    while not reason:
        clock.now += 1
        reason = watch.look()
    assert asked == [1000.0, 1020.0]
    assert clock.now == 1036


def test_no_tick_for_long_replaces(group: Group, clock: Clock, asked: list[float]) -> None:
    watch = Watch(group)  # type: ignore[arg-type]
    ticked(watch)
    clock.now += 150
    assert watch.look() == ""
    clock.now += 1
    assert watch.look() == "there was no tick for 151 s"


def test_an_offered_run_that_nobody_takes_replaces(
    group: Group, clock: Clock, asked: list[float], task: BackupTask, make_run: MakeRun
) -> None:
    watch = Watch(group)  # type: ignore[arg-type]
    ticked(watch)
    run = make_run(task, RunState.WAITING, offered_at=timezone.now() - timedelta(seconds=16))
    assert watch.look() == "", "it has just been started"
    clock.now += 15
    assert watch.look() == f"run {run.pk} was offered 15 s ago and not taken"


def test_what_one_tick_does_not_settle_is_asked_for_less_and_less(
    group: Group, clock: Clock, asked: list[float], task: BackupTask, make_run: MakeRun
) -> None:
    watch = Watch(group)  # type: ignore[arg-type]
    ticked(watch)
    make_run(task, RunState.RUNNING, lease_until=timezone.now() - timedelta(seconds=1))
    for _ in range(130):
        clock.now += 1
        ticked(watch)
    gaps = [later - earlier for earlier, later in zip(asked, asked[1:], strict=False)]
    assert gaps == [2, 4, 8, 16, 32, 60]


def test_the_run_of_a_vanished_worker_is_given_up_at_once(
    group: Group, clock: Clock, asked: list[float], task: BackupTask, make_run: MakeRun, settings: Any
) -> None:
    watch = Watch(group)  # type: ignore[arg-type]
    ticked(watch)
    run = make_run(task, RunState.RUNNING, worker=f"{settings.HOST_NAME}/12")
    group.pids.remove(12)
    clock.now += 5
    watch.look()
    assert len(asked) == 2
    assert Run.objects.get(pk=run.pk).lease_until <= timezone.now()


def test_a_process_that_vanished_right_after_a_tick_is_not_forgotten(
    group: Group, clock: Clock, asked: list[float]
) -> None:
    watch = Watch(group)  # type: ignore[arg-type]
    watch.look()
    group.pids.remove(12)
    ticked(watch)
    assert asked == [1000.0]
    clock.now += 2
    watch.look()
    assert asked == [1000.0, 1002.0]


def test_a_clock_that_is_set_back_restarts_nothing(
    clock: Clock, group: Group, asked: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(group)  # type: ignore[arg-type]
    earlier = timezone.now() - timedelta(hours=2)
    monkeypatch.setattr(module.timezone, "now", lambda: earlier)
    clock.now += 1
    assert watch.look() == ""
    Pulse.beat("tick", earlier + timedelta(seconds=1))
    clock.now += 1
    assert watch.look() == ""
    clock.now += 14
    assert watch.look() == ""
    assert len(asked) == 2
