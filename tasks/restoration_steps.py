"""Where a restoration is by its stored steps, for the pages. Pure; how steps look is said in ``tasks.steplist``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tasks.engine import steps as steps_of_runs
from tasks.models import Run


def moment_of(text: Any) -> datetime | None:
    """Return the moment that a step has stored, or None."""
    return datetime.fromisoformat(text) if text else None


def per_cent(stored: list[dict[str, Any]]) -> int:
    """Return how far the steps are, each of them counted alike, 0 to 99."""
    over = sum(step.get("state") not in (steps_of_runs.TODO, steps_of_runs.NOW) for step in stored)
    present = steps_of_runs.present(stored) or {}
    share = min(1.0, present.get("done", 0) / present["of"]) if present.get("of") else 0.0
    return min(99, int(100 * (over + share) / len(stored)))


def words_of(run: Run) -> str:
    """Return where a run is: ``Step 7 of 11: Unpack and swap``; empty while no step goes on."""
    for number, step in enumerate(run.steps, 1):
        if step.get("state") == steps_of_runs.NOW:
            return f"Step {number} of {len(run.steps)}: {step.get('title')}"
    return ""


def awaits(run: Run) -> bool:
    """Tell whether a running restoration waits to be confirmed."""
    present = steps_of_runs.present(run.steps)
    return bool(present and present.get("key") == "confirm" and not run.confirmed_at)


def step_named(run: Run, key: str) -> dict[str, Any] | None:
    """Return the stored step with that key."""
    return next((step for step in run.steps if step.get("key") == key), None)
