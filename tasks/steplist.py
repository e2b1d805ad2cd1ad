"""The steps of a run as a page shows them (look.md, 6): done, going on, still to come, each with how long it took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from tasks.units import format_duration

# How a step looks by its state (``tasks.engine.steps``): class, icon, word.
_LOOKS = {
    "done": ("done", "ok", "Done"),
    "now": ("now", "run", "Running"),
    "failed": ("failed", "x", "Failed"),
    "skipped": ("skipped", "post", "Left out"),
    "todo": ("todo-step", "", "To come"),
}


@dataclass(frozen=True)
class ShownStep:
    """One step; ``icon`` is empty where its number is shown, ``per_cent`` None where nothing is counted."""

    number: int
    title: str
    text: str
    css: str
    icon: str
    word: str
    took: str
    per_cent: int | None

    @property
    def current(self) -> bool:
        """Whether it is the step that goes on."""
        return self.css == "now"


def shown_steps(stored: Iterable[Mapping[str, Any]], now: datetime | None = None) -> list[ShownStep]:
    """Return the stored steps of a run for a page; ``now`` is when it is shown."""
    now = now or timezone.now()
    return [_shown(number, step, now) for number, step in enumerate(stored, 1)]


def _shown(number: int, step: Mapping[str, Any], now: datetime) -> ShownStep:
    css, icon, word = _LOOKS.get(step.get("state", ""), _LOOKS["todo"])
    done, of = step.get("done") or 0, step.get("of") or 0
    per_cent = min(99, done * 100 // of) if css == "now" and of else None
    return ShownStep(number, step.get("title", ""), step.get("text", ""), css, icon, word, _took(step, now), per_cent)


def _took(step: Mapping[str, Any], now: datetime) -> str:
    if not step.get("began"):
        return ""
    ended = datetime.fromisoformat(step["ended"]) if step.get("ended") else now
    return format_duration(ended - datetime.fromisoformat(step["began"]))
