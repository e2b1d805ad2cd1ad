"""The way back of a restoration, and its safety copies: the real sample home, stand-ins for the servers."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tasks import services
from tasks.audit import CONSOLE
from tasks.engine import dispatch
from tasks.engine.restore import changing, copies, looking, undo
from tasks.hosts import LocalHost
from tasks.models import Restoration, SafetyCopy
from tasks.states import RunState
from tests.engine.kit import log_of, stop_that_is_heard_at_once  # noqa: F401
from tests.engine.restore_kit import (
    MAINS,
    SCHEMA,
    kill_all,
    leftovers,
    no_way_back,
    picture,
    quick_stand_ins,  # noqa: F401
    restoration_of_set,  # noqa: F401
    restore,
    roll_back,
    run_with_set,  # noqa: F401
    running,
    running_node,  # noqa: F401
    set_that_does_not_start,  # noqa: F401
    steps_of,
)
from tests.lacks import NO_SMALL_DISK, leave_out
from tests.servers.unixkit import small_disk

pytestmark = pytest.mark.django_db(transaction=True)


# --- The way back -----------------------------------------------------------------------------------------------------
def test_a_failed_start_brings_back_what_was_there(bad_set: Restoration, sample_home: Path) -> None:
    (sample_home / "data/datanode/system/newer").touch()
    before = picture(sample_home)
    run = restore(bad_set)
    assert run.state == RunState.ROLLED_BACK, log_of(run)
    assert run.reason.startswith("The DataNode of node1 ended after its start.")
    assert "Rolled back: metadata as before." in run.reason
    assert picture(sample_home) == before
    assert running(sample_home) == set(MAINS)
    assert leftovers(sample_home) == []
    assert not any(one.kept for one in run.safety_copies.all())
    states = steps_of(run)
    assert (states["health"], states["compare"], states["back"], states["back-health"]) == (
        "failed",
        "skipped",
        "done",
        "done",
    )
    services.start_restoration(CONSOLE, bad_set, timezone.now())


def test_a_way_back_that_fails_is_unknown_until_somebody_rolls_back(bad_set: Restoration, sample_home: Path) -> None:
    before = picture(sample_home)
    with no_way_back():
        run = restore(bad_set)
    assert run.state == RunState.UNKNOWN, log_of(run)
    assert "The way back failed as well, so nobody knows what IoTDB holds now." in run.reason
    assert "Permission denied" in run.reason
    assert bad_set.last_state == RunState.UNKNOWN
    assert picture(sample_home) != before
    back = roll_back(bad_set)
    assert back.state == RunState.ROLLED_BACK, log_of(back)
    assert picture(sample_home) == before
    assert running(sample_home) == set(MAINS)
    assert leftovers(sample_home) == []


def test_stop_after_the_stop_of_iotdb_rolls_back(
    restoration: Restoration, sample_home: Path, monkeypatch: pytest.MonkeyPatch, stop_at_once: Callable[[int], None]
) -> None:
    before = picture(sample_home)
    real = copies.swap_in

    def swap_in(row: SafetyCopy, host: Any) -> None:
        real(row, host)
        stop_at_once(row.run_id or 0)

    monkeypatch.setattr(changing.copies, "swap_in", swap_in)
    run = restore(restoration)
    assert run.state == RunState.ROLLED_BACK, log_of(run)
    assert run.reason.startswith("Stopped by console")
    assert picture(sample_home) == before
    assert leftovers(sample_home) == []


def test_a_disk_that_fills_up_while_it_is_unpacked(
    restoration: Restoration, sample_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = picture(sample_home)
    real = LocalHost.write
    left = [20]

    def write(self: LocalHost, path: str, chunks: Any, mode: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device", path)
        real(self, path, chunks, mode)

    monkeypatch.setattr(LocalHost, "write", write)
    run = restore(restoration)
    assert run.state == RunState.ROLLED_BACK, log_of(run)
    assert "No space left on device" in run.reason
    assert picture(sample_home) == before
    assert leftovers(sample_home) == []


def test_a_safety_copy_that_somebody_removed_is_said(
    bad_set: Restoration, sample_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = undo.Undo._put_back

    def put_back(self: undo.Undo) -> str:
        for row in SafetyCopy.objects.filter(original__endswith="datanode/system"):
            shutil.rmtree(row.path, ignore_errors=True)
        return real(self)

    monkeypatch.setattr(undo.Undo, "_put_back", put_back)
    run = restore(bad_set)
    assert run.state == RunState.UNKNOWN
    assert "is not there any more. Find out who moved it; nothing else was removed." in run.reason


# --- Safety copies ----------------------------------------------------------------------------------------------------
def test_safety_copies_go_by_hand_or_by_their_age(restoration: Restoration, sample_home: Path) -> None:
    run = restore(restoration)
    dispatch.tick(timezone.now() + timedelta(days=13))
    assert len(leftovers(sample_home)) == 6
    services.remove_safety_copies(CONSOLE, run, "plant", timezone.now())
    dispatch.tick(timezone.now())
    assert leftovers(sample_home) == []
    assert run.safety_copies.filter(removed_at__isnull=False).count() == 6
    assert "was removed." in log_of(run)


def test_a_safety_copy_is_removed_after_its_days(restoration: Restoration, sample_home: Path) -> None:
    restore(restoration)
    dispatch.tick(timezone.now() + timedelta(days=14, minutes=1))
    assert leftovers(sample_home) == []


def test_what_cannot_be_removed_is_said_and_tried_again(
    restoration: Restoration, sample_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = restore(restoration)
    later = timezone.now() + timedelta(days=15)

    def refuse(self: LocalHost, path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    with monkeypatch.context() as patch:
        patch.setattr(LocalHost, "remove_tree", refuse)
        dispatch.tick(later)
    assert "could not be removed yet. Permission denied" in log_of(run)
    dispatch.tick(later + timedelta(minutes=30))
    assert len(leftovers(sample_home)) == 6
    dispatch.tick(later + timedelta(minutes=61))
    assert leftovers(sample_home) == []
    assert (sample_home / SCHEMA).exists()


@pytest.mark.server
def test_a_disk_of_the_node_that_is_really_full(
    restoration: Restoration, sample_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metadata on a small disk of its own, which something else fills after the look for room."""
    with ExitStack() as stack:
        if not stack.enter_context(small_disk(tmp_path / "small", 8)):
            leave_out(NO_SMALL_DISK)
        real = sample_home / "data/datanode/system"
        moved = tmp_path / "small" / "system"
        shutil.move(real, moved)
        real.symlink_to(moved)
        before = picture(sample_home) | picture_of(moved)
        place = changing.Changing._set_aside

        def set_aside(self: changing.Changing) -> str:
            with (tmp_path / "small" / "filler").open("wb") as filler, contextlib.suppress(OSError):
                while True:
                    filler.write(b"x" * 65536)
                    filler.flush()
            return place(self)

        monkeypatch.setattr(changing.Changing, "_set_aside", set_aside)
        monkeypatch.setattr(looking, "SPARE", 0)
        run = restore(restoration)
        assert run.state == RunState.ROLLED_BACK, log_of(run)
        assert "No space left on device" in run.reason
        assert picture(sample_home) | picture_of(moved) == before
        assert running(sample_home) == set(MAINS)
        kill_all(sample_home)


def picture_of(directory: Path) -> dict[str, Any]:
    """Return the contents below a directory."""
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
