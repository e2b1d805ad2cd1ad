"""The steps of a run: one goes on at a time, each has its times and its words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.engine.steps import Steps, broken_off, present

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
TITLES = {"fetch": "Fetch the set", "verify": "Verify every hash", "stop": "Stop IoTDB"}


@pytest.fixture
def moments() -> list[datetime]:
    return [NOW + timedelta(seconds=number) for number in range(20)]


def states(steps: Steps) -> list[str]:
    return [step["state"] for step in steps.as_json()]


def test_a_step_that_begins_ends_the_one_before(moments: list[datetime]) -> None:
    changes: list[int] = []
    steps = Steps(TITLES, lambda: changes.append(1), lambda: moments.pop(0))
    assert (states(steps), steps.words) == (["todo"] * 3, "")
    steps.begin("fetch")
    steps.tell("half of it", 5, 10)
    assert steps.words == "Step 1 of 3: Fetch the set"
    steps.begin("verify")
    first, second, _ = steps.as_json()
    assert (first["state"], first["text"], first["done"], first["of"]) == ("done", "half of it", 10, 10)
    assert (first["began"], first["ended"]) == ("2026-11-25T03:00:00+00:00", "2026-11-25T03:00:01+00:00")
    assert (second["state"], second["ended"], len(changes)) == ("now", "", 2)


def test_what_fails_stays_where_it_is_and_the_rest_is_left_out() -> None:
    steps = Steps(TITLES)
    steps.begin("fetch")
    steps.fail("The server does not answer.")
    steps.skip_rest()
    steps.add({"back": "Put back what was there before"})
    assert states(steps) == ["failed", "skipped", "skipped", "todo"]
    assert present(steps.as_json()) is None
    steps.fail("nothing goes on, so nothing fails")
    assert states(steps) == ["failed", "skipped", "skipped", "todo"]


def test_the_step_of_a_lost_worker_is_ended_from_outside() -> None:
    steps = Steps(TITLES)
    steps.begin("fetch")
    steps.begin("verify")
    stored = steps.as_json()
    assert (present(stored) or {})["key"] == "verify"
    after = broken_off(stored, "The worker was lost here.", NOW)
    assert [step["state"] for step in after] == ["done", "failed", "todo"]
    assert after[1]["text"] == "The worker was lost here."
    assert stored[1]["state"] == "now"


def test_an_unknown_step_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        Steps(TITLES).begin("nowhere")
