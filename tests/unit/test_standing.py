"""How far a task's sets are proven, in words; and the steps of a run as a page shows them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.models import BackupTask, Run
from tasks.moments import stamp
from tasks.standing import standing
from tasks.states import Kind, RunState
from tasks.steplist import shown_steps

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def told(kept: int = 1, rehearsal: Run | None = None, healthy: bool | None = None, **fields: Any) -> tuple[str, ...]:
    """Return the words for a task with these fields, and ``!`` where somebody should look into it."""
    task = BackupTask(**({"last_run_id": 1, "check_after_days": 7} | fields))
    found = standing(task, [Run(healthy=healthy)] * kept, rehearsal, NOW)
    at = "" if found.at is None else f" {(NOW - found.at).days} d"
    return (*(["!"] if found.warn else []), found.word + at, *found.details)


def rehearsed(seconds: int, reason: str) -> Run:
    ended = NOW + timedelta(seconds=seconds)
    return Run(kind=Kind.REHEARSAL, state=RunState.SUCCESSFUL, started_at=NOW, ended_at=ended, reason=reason)


def test_the_strongest_proof_is_told() -> None:
    verified, checked, tried = {"last_verified_at": NOW - DAY}, {"last_checked_at": NOW - 2 * DAY}, NOW - 3 * DAY
    assert told() == ("!", "Not proven yet", "The archive was not read back")
    assert told(**verified) == ("Verified 1 d", "Read back when it was written")
    assert told(**verified, **checked) == ("Checked 2 d", "Every byte was as it was written", "Not rehearsed yet")
    full = verified | checked | {"last_rehearsed_at": tried}
    words = told(rehearsal=rehearsed(9, "IoTDB: 9 counts equal."), **full)
    assert words == ("Proven 3 d", "Rehearsed in 9 s", "IoTDB: 9 counts equal")
    assert told(rehearsal=rehearsed(9, ""), **full) == ("Proven 3 d", "Rehearsed in 9 s")
    assert told(**full) == ("Proven 3 d", "Rehearsed")


def test_a_proof_that_is_too_old_is_said_as_such() -> None:
    late = told(last_checked_at=NOW - 8 * DAY)
    assert (late[0], late[1], late[-1]) == ("!", "Checked 8 d", "The limit is 7 days.")
    assert told(last_checked_at=NOW - 8 * DAY, check_after_days=None)[0] == "Checked 8 d"
    old = {"last_rehearsed_at": NOW - 2 * DAY, "rehearse_after_days": 1}
    assert told(**old)[-1] == "The limit is 1 day."
    words = told(**old, last_checked_at=NOW - DAY)
    assert words == ("Checked 1 d", "Every byte was as it was written", f"Rehearsed {stamp(NOW - 2 * DAY)}")


def test_a_problem_comes_before_every_proof() -> None:
    problem = "The archive is damaged."
    assert told(last_rehearsed_at=NOW, proof_problem=problem) == ("!", "In doubt", problem, f"Proven {stamp(NOW)}")
    assert told(proof_problem=problem) == ("!", "In doubt", problem)


def test_without_sets_there_is_nothing_to_restore() -> None:
    assert told(kept=0, last_rehearsed_at=NOW) == ("!", "Nothing to restore", "No set is kept")
    assert told(kept=0, last_run_id=None) == ("Nothing to restore", "No set is kept")


def test_a_sick_newest_set_is_told() -> None:
    words = told(healthy=False, last_rehearsed_at=NOW)
    assert words[0] == "!" and words[-1] == "IoTDB was not well when the newest set was taken"


def step(state: str, **more: Any) -> dict[str, Any]:
    return {"key": "k", "title": "Fetch", "state": state, "began": "", "ended": "", "text": "", **more}


@pytest.mark.parametrize(
    ("state", "css", "word"),
    [("done", "done", "Done"), ("now", "now", "Running"), ("failed", "failed", "Failed"),
     ("skipped", "skipped", "Left out"), ("todo", "todo-step", "To come"), ("of later", "todo-step", "To come")],
)  # fmt: skip
def test_each_state_of_a_step_has_its_look(state: str, css: str, word: str) -> None:
    [shown] = shown_steps([step(state)], NOW)
    assert (shown.css, shown.word, shown.number, shown.current) == (css, word, 1, state == "now")


def test_a_step_tells_how_long_it_took_and_how_far_it_is() -> None:
    began = (NOW - timedelta(seconds=72)).isoformat()
    done = step("done", began=began, ended=NOW.isoformat(), done=60, of=60)
    going, stuck = step("now", began=began, done=45, of=60), step("now", began=began, done=60, of=60)
    first, second, third = shown_steps([done, going, stuck], NOW + timedelta(seconds=8))
    assert (first.took, first.per_cent) == ("1 min 12 s", None)
    assert (second.took, second.per_cent) == ("1 min 20 s", 75)
    assert third.per_cent == 99
