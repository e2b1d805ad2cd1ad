"""The metadata of a real IoTDB: from the sample into a proven archive, and from running servers and back.

The server tests take copies of a server under DDL and of a stopped one, wipe its metadata, restore with tar, start it
and compare what SQL shows.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.errors import Corrupt
from tasks.engine.archive import ArchiveWriter, verify_archive
from tests.engine.checking_kit import flip
from tests.engine.iotdb_source_kit import METADATA, SAMPLE, SOURCE, FileSink, back_up, service_of, settled, unpack, wipe
from tests.engine.iotdb_writers import Writers, drop_short, require_acknowledged, require_base
from tests.servers.iotdb import IoTDB, iotdb_server, require, rows, unavailable  # noqa: F401
from tests.servers.iotdb_jars import Unavailable
from tests.servers.iotdb_metadata import PASSWORDS, counts, create_metadata, differences, digests, inventory
from tests.unit.source_home import Journal


def metadata_files(home: Path) -> dict[str, bytes]:
    paths = [path for part in METADATA for path in (home / part).rglob("*")]
    return {str(path.relative_to(home)): path.read_bytes() for path in paths if path.is_file()}


# --- The sample -----------------------------------------------------------------------------------------------------
def test_the_sample_comes_out_of_its_archive_byte_for_byte(tmp_path: Path) -> None:
    home, journal = SAMPLE / "iotdb-home", Journal()
    facts = back_up(service_of(home), tmp_path / "a.tar.gz", journal)
    (tmp_path / "out").mkdir()
    unpack(tmp_path / "a.tar.gz", tmp_path / "out")
    assert metadata_files(tmp_path / "out") == metadata_files(home)
    assert not (tmp_path / "out/data/datanode/data").exists()
    assert facts["version"] == "2.0.1-beta"
    assert facts["nodes"][0]["data_identity"]["cluster_id"] == facts["cluster_id"]
    assert sum(part["files"] for part in facts["parts"]) == len(metadata_files(home))
    assert journal.at("INFO")[0] == "IoTDB on node1 is stopped: cold copy."
    assert journal.at("WARN") == []


def test_a_group_read_again_leaves_no_trace_in_the_archive(tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(SAMPLE / "iotdb-home", home)
    changing = home / "data/datanode/system/system.properties"
    real, changes = ArchiveWriter.add_file, [b"# once\n", b"# twice, longer\n"]

    class Disturbed(ArchiveWriter):
        def add_file(self, name: str, *rest: Any) -> Any:
            member = real(self, name, *rest)
            if name.endswith("system/system.properties") and changes:
                changing.write_bytes(changing.read_bytes() + changes.pop())
            return member

    journal, sink = Journal(), FileSink(tmp_path / "a.tar.gz")
    service = service_of(home)
    with Disturbed(sink, scratch=tmp_path) as archive:
        result = archive.finish(SOURCE.copy(service, SOURCE.survey(service), archive, journal))
    sink.close()
    with (tmp_path / "a.tar.gz").open("rb") as file:
        verified = verify_archive(file, sha256=result.sha256)
    assert [part["rereads"] for part in verified.facts["parts"] if part["part"] == "system"] == [0, 2]
    assert len(journal.at("WARN")) == 2
    (tmp_path / "out").mkdir()
    unpack(tmp_path / "a.tar.gz", tmp_path / "out")
    assert metadata_files(tmp_path / "out") == metadata_files(home)


def test_the_archive_of_the_sample_is_refused_when_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    back_up(service_of(SAMPLE / "iotdb-home"), path, Journal())
    flip(path)
    with path.open("rb") as file, pytest.raises(Corrupt):
        verify_archive(file)


# --- Servers --------------------------------------------------------------------------------------------------------
@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A scratch home; its data is removed at once, as it takes hundreds of megabytes of preallocated logs."""
    require()
    path = tmp_path / "iotdb-home"
    path.mkdir()
    yield path
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.mark.server
def test_a_running_server_is_seen_as_it_is(iotdb: IoTDB) -> None:
    iotdb.execute("CREATE DATABASE root.seen", "CREATE TIMESERIES root.seen.d.s WITH datatype=INT32")
    service = service_of(iotdb.home, iotdb.rpc_port)
    found = SOURCE.survey(service)
    session = iotdb.session()
    try:
        (version,) = rows(session, "SHOW VERSION")
    finally:
        session.close()
    assert (found.running, found.version, found.warnings) == (True, version["Version"], ())
    findings = SOURCE.check(service.nodes[0])
    assert {finding.what: finding.detail for finding in findings}["State"] == "Running."
    assert {finding.level for finding in findings} == {"ok"}


@pytest.mark.server
def test_a_server_starts_from_the_sample_and_shows_what_it_showed(home: Path) -> None:
    shutil.copytree(SAMPLE / "iotdb-home", home, dirs_exist_ok=True)
    noted = json.loads((SAMPLE / "inventory.json").read_text())
    try:
        server = IoTDB.start(home)
    except Unavailable as lack:
        unavailable(lack)
    try:
        found = settled(server, lambda found: digests(found) == noted["statements"])
        assert counts(found) == noted["counts"]
        assert digests(found) == noted["statements"]
        for user, password in PASSWORDS.items():
            server.session(user, password).close()
    finally:
        server.stop(kill=True)


@pytest.mark.server
def test_a_cold_copy_restores_everything_that_sql_shows(home: Path, tmp_path: Path) -> None:
    server = IoTDB.start(home)
    try:
        create_metadata(server)
        before = inventory(server)
        server.stop()
        journal = Journal()
        facts = back_up(service_of(home, server.rpc_port), tmp_path / "cold.tar.gz", journal)
        assert not facts["nodes"][0]["running"]
        assert "IoTDB on node1 is stopped: cold copy." in journal.at("INFO")
        wipe(home)
        unpack(tmp_path / "cold.tar.gz", home)
        server = IoTDB.start(home)
        assert differences(before, settled(server, lambda found: not differences(before, found))) == []
    finally:
        server.stop(kill=True)


@pytest.mark.server
def test_hot_copies_under_ddl_lose_nothing_that_was_acknowledged(home: Path, tmp_path: Path) -> None:
    server = IoTDB.start(home)
    try:
        create_metadata(server)
        before = inventory(server, data=False)
        writers = Writers(server)
        writers.start()
        copies = [hot_copy(server, tmp_path / f"hot{number}.tar.gz", drop=number == 1) for number in range(2)]
        writers.stop()
        server.stop(kill=True)
        shutil.copytree(home / "data", tmp_path / "data")
        for archive, began in copies:
            shutil.rmtree(home / "data")
            shutil.copytree(tmp_path / "data", home / "data")
            wipe(home)
            unpack(archive, home)
            server = IoTDB.start(home)
            require_acknowledged(server, writers.acknowledged, began)
            require_base(server, before)
            server.stop(kill=True)
    finally:
        server.stop(kill=True)


def hot_copy(server: IoTDB, path: Path, *, drop: bool) -> tuple[Path, float]:
    """Copy a running server, and drop a database half way if so told; return when the copy that counts began."""
    server.execute("CREATE DATABASE root.short", "CREATE TIMESERIES root.short.d.s WITH datatype=INT32")
    journal, pending = Journal(), [drop_short] if drop else []

    def log(level: str, text: str) -> None:
        journal(level, text)
        if text.startswith("ConfigNode node1: system") and pending:
            pending.pop()(server)

    began = time.time()
    facts = back_up(service_of(server.home, server.rpc_port), path, log)
    assert facts["nodes"][0]["running"]
    assert any("Copying from the start" in line for line in journal.at("WARN")) == drop
    if not drop:
        drop_short(server)
    return path, began
