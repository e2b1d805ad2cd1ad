"""Faults while an archive is written: they come out of the call in progress, nothing hangs, no thread is left."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tasks.engine.archive import ArchiveWriter, gzip
from tasks.engine.archive.gzip import BLOCK
from tests.patience import Stopwatch

from .archive_kit import BrokenSink, MemorySink, add_path

NOISE = Random(11).randbytes(4 * BLOCK)
ROOT = Path(__file__).resolve().parents[2]


class Stop(Exception):
    """What a check raises here."""


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    names = [thread.name for thread in threading.enumerate()]
    assert "deflate" not in names
    assert "archive-writer" not in names


def write_all(archive: ArchiveWriter, count: int = 8) -> None:
    for number in range(count):
        archive.add_bytes(f"n1/member-{number}", NOISE, 0)


@pytest.mark.parametrize("limit", [-1, 10, 2 * BLOCK, 20 * BLOCK, 32 * BLOCK + 3000])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_full_disk(limit: int, threads: int) -> None:
    error = OSError(errno.ENOSPC, "No space left on device")
    sink = BrokenSink(limit, error)
    with pytest.raises(OSError) as raised, ArchiveWriter(sink, threads=threads) as archive:
        write_all(archive)
        archive.finish({})
    assert raised.value is error
    assert len(sink.data) <= limit + 2 * BLOCK


def test_a_broken_archive_stays_broken(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(NOISE)
    with ArchiveWriter(BrokenSink(BLOCK, OSError(errno.ENOSPC, "full"))) as archive:
        checkpoint = archive.checkpoint()
        with pytest.raises(OSError, match="full"):
            for number in range(10):
                add_path(archive, f"n1/{number}", path)
        assert archive.broken
        for call in (
            lambda: archive.rollback(checkpoint),
            lambda: archive.finish({}),
            lambda: write_all(archive),
        ):
            with pytest.raises(OSError, match="full"):
                call()


def test_an_error_in_a_compressing_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    class Codec:
        DEFLATED = 8
        Z_SYNC_FLUSH = 2

        @staticmethod
        def compressobj(*arguments: object) -> object:
            raise MemoryError("no room for a block")

    monkeypatch.setitem(gzip.LEVELS, "fast", (Codec, 1))
    with pytest.raises(MemoryError, match="no room"), ArchiveWriter(MemorySink()) as archive:
        write_all(archive)
        archive.finish({})


def test_check_is_called_for_every_block_and_its_error_ends_everything() -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 10:
            raise Stop

    sink = MemorySink()
    with pytest.raises(Stop), ArchiveWriter(sink, check=check) as archive:
        write_all(archive, 100)
    assert len(sink.data) < 14 * BLOCK


def test_check_is_called_between_many_small_members() -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1

    with ArchiveWriter(MemorySink(), check=check) as archive:
        for number in range(1000):
            archive.add_bytes(f"n1/{number}", b"", 0)
        assert calls >= 3


def test_a_sink_that_hangs_does_not_keep_a_stop_waiting() -> None:
    class Hanging(MemorySink):
        let_go = threading.Event()

        def write(self, data: bytes) -> None:
            if len(self.data) > BLOCK:
                self.let_go.wait(20)
            super().write(data)

    sink = Hanging()
    begun, watch = time.monotonic(), Stopwatch()

    def check() -> None:
        if time.monotonic() - begun > 0.5:
            sink.let_go.set()
            raise Stop

    with pytest.raises(Stop), ArchiveWriter(sink, check=check) as archive:
        write_all(archive, 100)
    assert watch.seconds < 4


def test_leaving_by_an_exception_ends_all_threads_and_leaves_the_sink() -> None:
    sink = MemorySink()
    with pytest.raises(KeyboardInterrupt), ArchiveWriter(sink) as archive:
        write_all(archive, 3)
        raise KeyboardInterrupt
    size = len(sink.data)
    assert sink.truncated == 0
    with pytest.raises(KeyboardInterrupt):
        archive.add_bytes("n1/late", NOISE, 0)
    assert len(sink.data) == size


def test_a_manifest_that_cannot_be_kept_breaks_the_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    with ArchiveWriter(MemorySink()) as archive:
        archive.add_bytes("n1/a", b"", 0)
        monkeypatch.setattr(archive._lines, "add", lambda line: os.write(-1, line))
        with pytest.raises(OSError, match="Bad file descriptor"):
            archive.add_bytes("n1/b", b"", 0)
        with pytest.raises(OSError, match="Bad file descriptor"):
            archive.finish({})


def test_facts_that_json_cannot_hold_write_nothing() -> None:
    sink = MemorySink()
    with ArchiveWriter(sink) as archive:
        archive.add_bytes("n1/a", b"", 0)
        with pytest.raises(TypeError):
            archive.finish({"when": object()})
        assert archive.finish({"when": "now"}).members == 1


_PEAK = """
import os, re, sys
from tasks.engine.archive import ArchiveWriter, verify_archive
path, size = sys.argv[1], int(sys.argv[2])
class Sink:
    def __init__(self): self.file = open(path + ".gz", "wb", buffering=0)
    def write(self, data): self.file.write(data)
    def truncate(self, size): self.file.truncate(size); self.file.seek(size)
os.truncate(path, size)
sink = Sink()
with ArchiveWriter(sink) as archive:
    fd = os.open(path, os.O_RDONLY)
    checkpoint = archive.checkpoint()
    archive.add_file("n1/sparse", fd)
    result = archive.finish({})
assert verify_archive(open(path + ".gz", "rb"), sha256=result.sha256).source_bytes == size
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


def test_memory_does_not_grow_with_the_size(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.touch()
    peaks = []
    for size in (64 << 20, 512 << 20):
        command = [sys.executable, "-c", _PEAK, str(path), str(size)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] < 60, f"peak memory is {peaks[1]:.0f} MiB"
    assert peaks[1] - peaks[0] < 8, f"memory grew from {peaks[0]:.0f} to {peaks[1]:.0f} MiB"
