"""The words about the workers: running, silent with a supervisor, not running, never run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tasks.workers import WorkersState, workers_state

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def judge(tick: int | None, supervisor: int | None) -> WorkersState:
    def at(seconds: int | None) -> datetime | None:
        return None if seconds is None else NOW - timedelta(seconds=seconds)

    return workers_state(at(tick), at(supervisor), NOW, silence=150, host="mgmt-1")


def test_a_fresh_tick_is_enough() -> None:
    state = judge(150, None)
    assert state.alive
    assert (state.label, state.cause, state.cure) == ("Workers running", "", "")


def test_a_silent_tick_under_a_live_supervisor() -> None:
    state = judge(600, 5)
    assert not state.alive
    assert "10 min" in state.cause
    assert "restarts" in state.cause
    assert "mgmt-1" in state.cure


def test_just_started() -> None:
    assert "not ticked yet" in judge(None, 5).cause


def test_both_silent() -> None:
    state = judge(151, 151)
    assert state.label == "Workers not running"
    assert "silent for 3 min" in state.cause
    assert "runworkers" in state.cure


def test_never_run() -> None:
    state = judge(None, None)
    assert state.cause == "The workers have never run."
    assert state.last_tick is None
