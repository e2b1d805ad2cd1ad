"""Our side of the benchmark of stores, as a process of its own: ``python -m bench.storerunner SOURCE < destination``.

The destination is JSON: ``path_type``, ``parameters``, ``secrets``, ``directory`` and ``name``. Puts the file there as
a run does (connect, write in the archive's blocks, seal, publish), then reads it back and hashes it, and prints one
line of JSON: seconds of the upload and of the reading, CPU seconds of both, peak memory of this process in KiB.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from bench.runner import peak_memory
from storage.base import Store
from storage.registry import get_path_type

# As large as the blocks that the archive engine hands on.
BLOCK = 1 << 20


def upload(store: Store, source: Path, directory: str, name: str) -> str:
    """Put the file at the destination; return its SHA-256."""
    store.delete(directory, name)
    digest = hashlib.sha256()
    destination = store.put(directory, name, f".{name}.partial-0")
    with source.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            destination.write(block)
    destination.seal(source.stat().st_size)
    destination.publish()
    return digest.hexdigest()


def read_back(store: Store, directory: str, name: str) -> str:
    """Return the SHA-256 of the file at the destination."""
    digest = hashlib.sha256()
    with store.open(directory, name) as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def main(source: str) -> None:
    """Upload, read back, compare, and print the figures; the connecting counts as part of the upload."""
    wanted: dict[str, Any] = json.load(sys.stdin)
    place = wanted["directory"], wanted["name"]
    begun, cpu = time.perf_counter(), time.process_time()
    with get_path_type(wanted["path_type"]).connect(wanted["parameters"], wanted["secrets"]) as store:
        written = upload(store, Path(source), *place)
        middle, middle_cpu = time.perf_counter(), time.process_time()
        if read_back(store, *place) != written:
            raise SystemExit("what was read back is not what was written")
    end, end_cpu = time.perf_counter(), time.process_time()
    figures = {"upload": middle - begun, "upload_cpu": middle_cpu - cpu}
    figures |= {"reading": end - middle, "reading_cpu": end_cpu - middle_cpu, "peak_kib": peak_memory()}
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
