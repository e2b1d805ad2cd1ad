"""The upload that follows: order, going back, faults that pass and faults that do not."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.base import Buffer, Upload
from storage.errors import AuthenticationFailed, Corrupt, StoreError, StoreFault, Unreachable
from tasks.engine import spool
from tasks.engine.spool import SpooledUpload
from tasks.errors import RunStopped


class Memory(Upload):
    """A destination in memory whose operations may be told to fail: the faulty store of these tests."""

    def __init__(self, number: int, faults: dict[tuple[int, str], StoreError], can_truncate: bool = True) -> None:
        self.number, self.faults, self.can_truncate = number, faults, can_truncate
        self.data = bytearray()
        self.ended = ""
        self._may("open")

    def _may(self, what: str) -> None:
        if fault := self.faults.pop((self.number, what), None):
            raise fault

    def write(self, data: Buffer) -> None:
        self._may("write")
        self.data += data

    def truncate(self, size: int) -> None:
        if not self.can_truncate:
            raise StoreFault("cannot")
        del self.data[size:]

    def seal(self, size: int) -> None:
        self._may("seal")
        if size != len(self.data):
            raise Corrupt("size")

    def reader(self) -> BinaryIO:
        return io.BytesIO(self.data)

    def publish(self) -> str:
        self.ended = "published"
        return "/published"

    def abort(self) -> None:
        self.ended = "aborted"


class Trial:
    """A spooled upload to ``Memory``, with what it said."""

    def __init__(self, path: Path, faults: dict[tuple[int, str], StoreError] | None = None, **options: bool) -> None:
        self.tries: list[Memory] = []
        self.warnings: list[str] = []
        self.stop = threading.Event()
        self.path = path / "archive"
        self.faults = dict(faults or {})
        self.options = options
        self.upload = SpooledUpload(self.path, self.begin, self.check, self.warnings.append)

    def begin(self, number: int) -> Upload:
        upload = Memory(number, self.faults, **self.options)
        self.tries.append(upload)
        return upload

    def check(self) -> None:
        if self.stop.is_set():
            raise RunStopped("Stopped by anna.")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "PAUSES", (0.0, 0.0))


def test_everything_arrives_and_the_spool_goes(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    content = bytes(range(256)) * 20_000
    for start in range(0, len(content), 70_000):
        trial.upload.write(content[start : start + 70_000])
    trial.upload.seal(len(content))
    assert trial.upload.reader().read() == content
    assert trial.upload.publish() == "/published"
    assert not trial.path.exists()


def test_bytes_leave_before_the_archive_is_complete(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    trial.upload.write(b"x" * 5_000_000)
    for _ in range(200):
        if trial.upload.sent == 5_000_000:
            break
        threading.Event().wait(0.02)
    assert trial.upload.sent == 5_000_000
    trial.upload.abort()
    assert trial.tries[0].ended == "aborted"
    assert not trial.path.exists()


steps = st.lists(st.one_of(st.binary(min_size=1, max_size=300), st.floats(0, 1)), max_size=30)


@settings(max_examples=60, deadline=None)
@given(steps=steps, can_truncate=st.booleans(), chunk=st.integers(1, 400))
def test_going_back_is_followed(
    tmp_path_factory: pytest.TempPathFactory, steps: list[bytes | float], can_truncate: bool, chunk: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "CHUNK", chunk)
        trial = Trial(tmp_path_factory.mktemp("spool"), can_truncate=can_truncate)
        wanted = bytearray()
        for step in steps:
            if isinstance(step, bytes):
                trial.upload.write(step)
                wanted += step
            else:
                size = int(len(wanted) * step)
                trial.upload.truncate(size)
                del wanted[size:]
        trial.upload.seal(len(wanted))
        assert trial.upload.reader().read() == wanted
        trial.upload.publish()


@pytest.mark.parametrize("place", ["open", "write", "seal"])
def test_a_fault_that_passes_starts_over(place: str, tmp_path: Path) -> None:
    trial = Trial(tmp_path, {(1, place): Unreachable("The connection broke."), (2, place): Unreachable("Again.")})
    trial.upload.write(b"content")
    trial.upload.seal(7)
    assert trial.upload.reader().read() == b"content"
    assert len(trial.warnings) == 2
    assert "Try 1 of 3 ended: The connection broke." in trial.warnings[0]
    trial.upload.publish()
    assert trial.tries[-1].ended == "published"
    assert all(one.ended == "aborted" for one in trial.tries[:-1])


def test_three_tries_are_enough(tmp_path: Path) -> None:
    faults: dict[tuple[int, str], StoreError] = {(n, "write"): Unreachable(f"Broke {n}.") for n in (1, 2, 3)}
    trial = Trial(tmp_path, faults)
    trial.upload.write(b"content")
    with pytest.raises(Unreachable, match="Broke 3"):
        trial.upload.seal(7)
    trial.upload.abort()
    assert not trial.path.exists()


def test_a_wrong_password_is_tried_once(tmp_path: Path) -> None:
    trial = Trial(tmp_path, {(1, "open"): AuthenticationFailed("The server refused the password.")})
    with pytest.raises(AuthenticationFailed):
        trial.upload.write(b"content")
        trial.upload.seal(7)
    trial.upload.abort()
    assert trial.tries == []
    assert trial.warnings == []


def test_stop_while_the_destination_is_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(Memory, "seal", lambda self, size: go.wait(20) and None)
    trial = Trial(tmp_path)
    trial.upload.write(b"content")
    trial.stop.set()
    with pytest.raises(RunStopped):
        trial.upload.seal(7)
    go.set()
    trial.upload.abort()
    assert trial.tries[0].ended == "aborted"


def test_stop_does_not_wait_for_a_server_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "ABORT_WAIT", 0.1)
    stuck, go = threading.Event(), threading.Event()

    def hang(self: Memory, data: Buffer) -> None:
        stuck.set()
        go.wait(20)

    monkeypatch.setattr(Memory, "write", hang)
    trial = Trial(tmp_path)
    trial.upload.write(b"content")
    assert stuck.wait(5)
    trial.upload.abort()
    assert not trial.path.exists()
    assert trial.tries[0].ended == ""
    go.set()
    trial.upload._thread.join(5)
    assert trial.tries[0].ended == "aborted"


def test_a_spool_that_is_short_is_found(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    trial.upload.write(b"content")
    with pytest.raises(Corrupt):
        trial.upload.seal(8)
    trial.upload.abort()
