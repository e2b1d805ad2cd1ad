"""A disk that is really full: a small file system of its own, where the test may mount one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.models import BackupTask, Node
from tasks.states import RunState
from tests.engine.kit import files_below, log_of, run_now
from tests.lacks import NO_SMALL_DISK, leave_out
from tests.servers import unixkit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.server]
MEBIBYTES = 3


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of ``MEBIBYTES``."""
    place = tmp_path / "small"
    with unixkit.small_disk(place, MEBIBYTES) as mounted:
        if not mounted:
            leave_out(NO_SMALL_DISK)
        yield place


def test_the_good_set_stays_and_the_partial_file_goes(
    small_disk: Path, settings: Any, task: BackupTask, node: Node, sample_home: Path
) -> None:
    settings.DATA_STORAGE_PATH, settings.FREE_SPACE_FLOOR = small_disk, 0
    first = run_now(task)
    assert first.state == RunState.SUCCESSFUL, log_of(first)
    good = files_below(small_disk)
    # More than fits, and the estimate from the last set does not see it coming.
    (sample_home / "ext" / "udf" / "big.jar").write_bytes(os.urandom(2 * MEBIBYTES << 20))
    second = run_now(task)
    assert (second.state, second.error_code) == (RunState.FAILED, "no-space"), log_of(second)
    assert "is full" in second.reason
    assert files_below(small_disk) == good
    (sample_home / "ext" / "udf" / "big.jar").unlink()
    third = run_now(task)
    assert third.state == RunState.SUCCESSFUL, log_of(third)
