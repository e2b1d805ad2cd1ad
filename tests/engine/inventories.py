"""Archives of the pipeline with an inventory at their beginning, made by hand."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.engine.archive import ArchiveWriter
from tasks.engine.archive.manifest import read_manifest
from tasks.iotdb.base import Summary
from tasks.iotdb.document import INVENTORY_NAME, Writer
from tasks.models import BackupFile, Run
from tasks.naming import manifest_name


def document(directory: Path, objects: Sequence[dict[str, Any]], summary: Summary) -> bytes:
    """Return an inventory with these objects as the console writes it."""
    path = directory / "inventory-to-be"
    writer = Writer(directory)
    try:
        for one in objects:
            writer.add(json.dumps(one).encode())
        writer.finish(path, {"cluster": "plant", "service": "IoTDB"}, summary)
        return path.read_bytes()
    finally:
        writer.close()
        path.unlink(missing_ok=True)


class _File:
    """A sink for an archive."""

    def __init__(self, path: Path) -> None:
        self.file = open(path, "wb")  # noqa: SIM115 - closed by its user

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.file.write(data)

    def truncate(self, size: int) -> None:
        self.file.truncate(size)
        self.file.seek(size)


def put_inventory(run: Run, data: bytes, summary: Summary, scratch: Path) -> BackupFile:
    """Write the one archive of ``run`` anew with ``data`` as its inventory, and record both as the pipeline would."""
    file = run.files.get()
    path = Path(file.path)
    beside = path.with_name(manifest_name(path.name))
    head, members = read_manifest(beside)
    list(members)
    with tarfile.open(path) as old:
        old.extractall(scratch / "members", filter="data")
        names = [member.name for member in old.getmembers() if member.isfile()][:-1]
    sink = _File(path)
    with ArchiveWriter(sink, scratch=scratch) as writer:
        writer.add_bytes(INVENTORY_NAME, data, 1_700_000_000)
        for name in names:
            handle = os.open(scratch / "members" / name, os.O_RDONLY)
            writer.add_file(name, handle)
            os.close(handle)
        result = writer.finish(head.facts)
        beside.unlink()
        writer.write_manifest(beside, head.facts, path.name)
    sink.file.close()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    BackupFile.objects.filter(pk=file.pk).update(size=result.size, sha256=digest, members=result.members)
    Run.objects.filter(pk=run.pk).update(inventory={file.service: summary.as_json()})
    file.refresh_from_db()
    return file
