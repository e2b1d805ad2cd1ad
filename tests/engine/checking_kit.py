"""A set that was just made, its files, and one that is damaged."""

from __future__ import annotations

import os
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
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
