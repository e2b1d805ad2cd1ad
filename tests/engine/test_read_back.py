"""Reading back as a choice of the task, and the room that a task is said to need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storage import registry
from storage.checks import Estimate
from storage.errors import Corrupt
from tasks.models import BackupTask, Node, Service
from tasks.services.estimate import room_needed
from tasks.states import RunState
from tests.engine.kit import files_below, log_of, run_now
from tests.engine.remote import FaultyRemote

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def remote(tmp_path: Path, storage_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch) -> FaultyRemote:
    """The path type ``Faulty``, with nothing planned to go wrong."""
    path_type = FaultyRemote(tmp_path / "far-away")
    registry.all_path_types()
    monkeypatch.setitem(registry._TYPES, path_type.name, path_type)
    return path_type


@pytest.mark.parametrize(
    ("destination", "default", "reads"),
    [({}, True, True), ({}, False, False), ({"read_back": True}, False, True), ({"read_back": False}, True, False)],
)
def test_the_log_says_what_was_compared(
    remote: FaultyRemote,
    make_task: Any,
    monkeypatch: pytest.MonkeyPatch,
    destination: dict[str, Any],
    default: bool,
    reads: bool,
) -> None:
    monkeypatch.setattr(FaultyRemote, "read_back_default", default)
    task = make_task("far", path_type="Faulty", destination=destination)
    run = run_now(task)
    assert run.state == RunState.SUCCESSFUL, log_of(run)
    task.refresh_from_db()
    # The list calls a set verified only where every byte was compared.
    assert run.read_back == bool(task.last_verified_at) == reads
    assert remote.calls.count("reader") == int(reads)
    assert ("Read back and checked: archive and every member as written." in log_of(run)) == reads
    size = run.files.get().size
    assert (f"Size at the destination compared: {size:,} bytes as written." in log_of(run)) != reads
    assert run.verified_at and run.files.get().verified_at


def test_a_size_that_differs_fails_without_reading_back_too(remote: FaultyRemote, make_task: Any) -> None:
    remote.faults["seal"] = [None, Corrupt("It was not stored as it was written: 7 of 8 bytes.")]
    run = run_now(make_task("far", path_type="Faulty", destination={"read_back": False}))
    assert (run.state, run.error_code, run.verified_at) == (RunState.FAILED, "corrupt", None)
    assert files_below(remote.root) == []


def room(task: BackupTask, copies: int) -> Estimate | None:
    return room_needed(task, list(Service.objects.select_related("cluster")), copies)()


def test_before_the_first_run_a_set_is_as_large_as_its_source(node: Node, task: BackupTask) -> None:
    need = room(task, 7)
    assert need and need.sets == 7
    below = sum(path.stat().st_size for path in Path(node.home).rglob("*") if path.is_file())
    assert 0 < need.size <= below


def test_later_it_is_as_large_as_the_last_one(node: Node, task: BackupTask, make_run: Any) -> None:
    make_run(task, size=100)
    assert room(task, 7) == Estimate(100, 6)
    assert room(task, 1) == Estimate(100, 1), "a new set is stored before the oldest one goes"


def test_a_source_that_cannot_be_read_gives_no_figure(node: Node, task: BackupTask) -> None:
    Node.objects.update(home="/nowhere")
    assert room(task, 7) is None
