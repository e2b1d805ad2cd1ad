"""A set whose proof is old, at a fixed moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.engine import kinds
from tasks.engine.checking import CheckSet
from tasks.models import BackupTask, Run
from tasks.states import Kind
from tests.conftest import MakeRun

NOW = datetime(2026, 6, 20, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@pytest.fixture(name="old")
def set_of_eight_days_ago(task: BackupTask, make_run: MakeRun) -> Run:
    """A set that was made, and read back, eight days ago."""
    return make_run(task, at=NOW - 8 * DAY)


@pytest.fixture(name="rehearsing")
def somebody_rehearses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody carries rehearsals out; none is carried out in these tests."""
    monkeypatch.setitem(kinds.EXECUTIONS, Kind.REHEARSAL, CheckSet)
