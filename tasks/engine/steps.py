"""The steps of a long run as values: what is done, what goes on, and what is still to come.

They are kept with the run (``Run.steps``) as a list of ``key``, ``title``, ``state`` (todo, now, done, failed,
skipped), ``began`` and ``ended`` (ISO, UTC; empty where not yet), ``text``, and ``done`` of ``of`` where progress is
counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

TODO, NOW, DONE, FAILED, SKIPPED = "todo", "now", "done", "failed", "skipped"


@dataclass
class Step:
    """One step; ``done`` and ``of`` are 0 where nothing is counted."""

    key: str
    title: str
    state: str = TODO
    began: str = ""
    ended: str = ""
    text: str = ""
    done: int = 0
    of: int = 0


class Steps:
    """The steps of one run, at most one of them going on.

    ``changed`` is called when a step begins or ends, and stores them; progress within a step is left to whoever asks
    for ``as_json`` regularly. May be read from another thread.
    """

    def __init__(
        self,
        titles: Mapping[str, str],
        changed: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = timezone.now,
    ) -> None:
        self._steps = [Step(key, title) for key, title in titles.items()]
        self._changed = changed
        self._now = now
        self._current: Step | None = None

    def begin(self, key: str, text: str = "") -> None:
        """Begin a step; the one before is done, where nothing else was said of it. Raises KeyError."""
        if self._current is not None:
            self._end(DONE, self._current.text)
        step = self._step(key)
        step.state, step.began, step.ended, step.text = NOW, self._now().isoformat(), "", text
        self._current = step
        self._changed()

    def tell(self, text: str | None = None, done: int | None = None, of: int | None = None) -> None:
        """Say how far the present step is; what is None stays."""
        step = self._current
        if step is None:
            return
        step.text = step.text if text is None else text
        step.done = step.done if done is None else done
        step.of = step.of if of is None else of

    def done(self, text: str = "") -> None:
        """End the present step well."""
        self._end(DONE, text)
        self._changed()

    def fail(self, text: str) -> None:
        """End the present step badly; nothing where none goes on."""
        if self._current is not None:
            self._end(FAILED, text)
            self._changed()

    def skip(self, key: str, text: str = "") -> None:
        """Leave a step out, and say why."""
        step = self._step(key)
        step.state, step.text = SKIPPED, text
        self._changed()

    def skip_rest(self, text: str = "") -> None:
        """Leave out all steps that were not begun."""
        for step in self._steps:
            if step.state == TODO:
                step.state, step.text = SKIPPED, text
        self._changed()

    def add(self, titles: Mapping[str, str]) -> None:
        """Append steps that only now turned out to be needed."""
        self._steps += [Step(key, title) for key, title in titles.items()]
        self._changed()

    @property
    def words(self) -> str:
        """Where the run is: ``Step 7 of 11: Stop IoTDB``; empty while no step goes on."""
        step = self._current
        if step is None:
            return ""
        return f"Step {self._steps.index(step) + 1} of {len(self._steps)}: {step.title}"

    def as_json(self) -> list[dict[str, Any]]:
        """Return what is stored with the run."""
        return [asdict(step) for step in list(self._steps)]

    def _step(self, key: str) -> Step:
        for step in self._steps:
            if step.key == key:
                return step
        raise KeyError(key)

    def _end(self, state: str, text: str) -> None:
        step, self._current = self._current, None
        if step is None:
            return
        step.state, step.ended = state, self._now().isoformat()
        step.text = text or step.text
        if state == DONE and step.of:
            step.done = step.of


def present(stored: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the stored step that goes on, or None."""
    return next((step for step in stored if step.get("state") == NOW), None)


def broken_off(stored: Iterable[Mapping[str, Any]], text: str, now: datetime) -> list[dict[str, Any]]:
    """Return stored steps with the one that went on ended badly, for a run whose worker cannot do it any more."""
    return [
        {**step, "state": FAILED, "ended": now.isoformat(), "text": text} if step.get("state") == NOW else dict(step)
        for step in stored
    ]
