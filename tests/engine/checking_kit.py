"""A set that was just made, its files, and one that is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.models import Alarm, Run
from tasks.naming import manifest_name
from tasks.states import RunState
from tests.engine.kit import log_of, run_now


@pytest.fixture(name="backup")
def set_that_was_just_made(make_task: Any) -> Run:
    """A set that was just made."""
    run = run_now(make_task(copies=2))
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    return run


def archive(run: Run) -> Path:
    return Path(run.files.get().path)


def beside(run: Run) -> Path:
    return archive(run).with_name(manifest_name(archive(run).name))


def raised() -> list[tuple[str, str]]:
    return list(Alarm.objects.filter(cleared_at__isnull=True).values_list("code", "subject"))


def flip(path: Path) -> None:
    """Invert a stretch in the middle: one bit alone may point at another match of the same bytes and harm nothing."""
    content = bytearray(path.read_bytes())
    middle = slice(len(content) // 2, len(content) // 2 + 64)
    content[middle] = bytes(byte ^ 0xFF for byte in content[middle])
    path.write_bytes(content)
