"""How a run ended, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field

from storage.errors import ConsoleError
from tasks.states import RunState


@dataclass(frozen=True)
class Outcome:
    """How a run ended; ``reason`` is for the administrator, ``code`` that of the ``error``, where one ended it."""

    state: RunState
    reason: str = ""
    code: str = ""
    error: ConsoleError | None = field(default=None, compare=False, repr=False)
