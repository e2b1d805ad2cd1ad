"""Our side of the archive benchmark, as a process of its own: ``python -m bench.runner SOURCE ARCHIVE [LEVEL]``.

Writes the archive and syncs it, then prints one line of JSON: seconds and CPU seconds in the process (the start of the
interpreter not counted), its peak memory in KiB, and what the archive holds. Every member and the archive are hashed.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

from tasks.engine.archive import ArchiveWriter, add_tree


class FileSink:
    """An archive in a file."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def write(self, data: bytes) -> None:
        """Write all of ``data``."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def truncate(self, size: int) -> None:
        """Drop everything after ``size``."""
        os.ftruncate(self._fd, size)
        os.lseek(self._fd, size, os.SEEK_SET)

    def close(self) -> None:
        """Bring everything to the disk."""
        os.fsync(self._fd)
        os.close(self._fd)


def peak_memory() -> int:
    """Return the most memory this process ever had, in KiB; getrusage would count the parent's before exec."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) if found else 0


def main(source: str, target: str, level: str = "fast") -> None:
    """Archive the directory ``source`` to the file ``target``."""
    begun, cpu = time.perf_counter(), time.process_time()
    sink = FileSink(Path(target))
    with ArchiveWriter(sink, level=level, threads=None) as archive:
        add_tree(archive, source, "bench")
        result = archive.finish({"purpose": "bench"})
        sink.close()
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    figures = {"seconds": seconds, "cpu": cpu, "peak_kib": peak_memory()}
    print(json.dumps(figures | {"files": result.files, "bytes": result.source_bytes, "sha256": result.sha256}))


if __name__ == "__main__":
    main(*sys.argv[1:])
