"""How a run ended, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.states import RunState


@dataclass(frozen=True)
class Outcome:
    """How a run ended; ``reason`` is for the administrator, ``code`` that of the error."""

    state: RunState
    reason: str = ""
    code: str = ""
