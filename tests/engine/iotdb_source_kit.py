"""Backups of a home as a run makes them, and the way back by tar."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks import sources
from tasks.engine.archive import ArchiveWriter, Listing, verify_archive
from tasks.engine.archive.manifest import name_of
from tasks.sources import NodeSpec, ServiceSpec
from tests.servers.iotdb import IoTDB
from tests.servers.iotdb_metadata import inventory

SAMPLE = Path(__file__).parents[2] / "sample"
SOURCE = sources.get("iotdb-metadata")
METADATA = ("data/confignode", "data/datanode/system", "data/datanode/consensus", "ext", "conf")


class FileSink:
    """A file that an archive can be taken back in."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b")

    def write(self, data: Any) -> None:
        self._file.write(data)

    def truncate(self, size: int) -> None:
        self._file.truncate(size)
        self._file.seek(size)

    def close(self) -> None:
        self._file.close()


def service_of(home: Path, port: int = 1) -> ServiceSpec:
    return ServiceSpec("plant", "IoTDB", (NodeSpec("node1", str(home), True, True, "127.0.0.1", port),))


def back_up(service: ServiceSpec, path: Path, log: Callable[[str, str], None]) -> dict[str, Any]:
    """Survey, copy, finish and verify as a run does; return the facts of the proven archive, which lacks nothing."""
    sink = FileSink(path)
    try:
        with ArchiveWriter(sink, scratch=path.parent) as archive:
            result = archive.finish(SOURCE.copy(service, SOURCE.survey(service), archive, log))
    finally:
        sink.close()
    with path.open("rb") as file, Listing() as listing:
        facts = verify_archive(file, sha256=result.sha256, listing=listing).facts
        assert SOURCE.lacking(facts, (name_of(line) for line in listing.lines())) == []
    return dict(facts)


def unpack(archive: Path, home: Path) -> None:
    command = ["tar", "xzf", str(archive), "--strip-components=1", "--exclude=MANIFEST.json", "-C", str(home)]
    subprocess.run(command, check=True)


def settled(server: IoTDB, good: Callable[[dict[str, list[str]]], bool]) -> dict[str, list[str]]:
    """Return the inventory as soon as it is good: pipes and triggers take a while after a start to say Running."""
    end = time.monotonic() + 30
    while not good(found := inventory(server)) and time.monotonic() < end:
        time.sleep(1)
    return found


def wipe(home: Path) -> None:
    """Remove all metadata; time series stay, as they do when metadata is damaged."""
    for part in METADATA:
        shutil.rmtree(home / part)
