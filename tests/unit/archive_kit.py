"""What the tests of the archive engine share: a sink in memory, and ways to make and to read archives."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tasks.engine.archive import ArchiveResult, ArchiveWriter

Fill = Callable[[ArchiveWriter], object]


class MemorySink:
    """A sink that keeps everything and counts how often it was truncated."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.truncated = 0

    def write(self, data: bytes) -> None:
        self.data += data

    def truncate(self, size: int) -> None:
        assert size <= len(self.data)
        del self.data[size:]
        self.truncated += 1


class BrokenSink(MemorySink):
    """A sink that raises ``error`` as soon as it was given more than ``limit`` bytes."""

    def __init__(self, limit: int, error: BaseException) -> None:
        super().__init__()
        self.limit = limit
        self.error = error

    def write(self, data: bytes) -> None:
        super().write(data)
        if len(self.data) > self.limit:
            raise self.error


def build(fill: Fill, *, threads: int | None = 2, level: str = "fast") -> tuple[bytes, ArchiveResult]:
    """Return the archive that ``fill`` makes, and its result."""
    sink = MemorySink()
    with ArchiveWriter(sink, threads=threads, level=level) as archive:
        fill(archive)
        result = archive.finish({"purpose": "test"}, mtime=1_700_000_000)
    assert result.size == len(sink.data)
    return bytes(sink.data), result


def add_path(archive: ArchiveWriter, name: str, path: Path) -> None:
    """Add one file by its path."""
    fd = os.open(path, os.O_RDONLY)
    try:
        archive.add_file(name, fd)
    finally:
        os.close(fd)


def gnu_tar(*arguments: str, data: bytes = b"", cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run GNU tar with ``data`` as its standard input."""
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    return subprocess.run(["tar", *arguments], input=data, capture_output=True, cwd=cwd, env=environment, check=False)


def reader(data: bytes) -> io.BytesIO:
    """Return a file-like object to verify."""
    return io.BytesIO(data)
