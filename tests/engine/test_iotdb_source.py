"""The metadata of a real IoTDB: from the sample into a proven archive, and from running servers and back.

The server tests take copies of a server under DDL and of a stopped one, wipe its metadata, restore with tar, start it
and compare what SQL shows.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.errors import Corrupt
from tasks import sources
from tasks.engine.archive import ArchiveWriter, Listing, verify_archive
from tasks.engine.archive.manifest import name_of
from tasks.sources import NodeSpec, ServiceSpec
from tests.servers.iotdb import IoTDB, iotdb_server, require, rows, unavailable  # noqa: F401
from tests.servers.iotdb_jars import Unavailable
from tests.servers.iotdb_metadata import PASSWORDS, counts, create_metadata, differences, digests, inventory
from tests.unit.source_home import Journal

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


def metadata_files(home: Path) -> dict[str, bytes]:
    paths = [path for part in METADATA for path in (home / part).rglob("*")]
    return {str(path.relative_to(home)): path.read_bytes() for path in paths if path.is_file()}


def unpack(archive: Path, home: Path) -> None:
    command = ["tar", "xzf", str(archive), "--strip-components=1", "--exclude=MANIFEST.json", "-C", str(home)]
    subprocess.run(command, check=True)


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
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
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


def settled(server: IoTDB, good: Callable[[dict[str, list[str]]], bool]) -> dict[str, list[str]]:
    """Return the inventory as soon as it is good: pipes and triggers take a while after a start to say Running."""
    end = time.monotonic() + 30
    while not good(found := inventory(server)) and time.monotonic() < end:
        time.sleep(1)
    return found


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


def wipe(home: Path) -> None:
    """Remove all metadata; time series stay, as they do when metadata is damaged."""
    for part in METADATA:
        shutil.rmtree(home / part)


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


def drop_short(server: IoTDB) -> None:
    """Drop the database and wait until its region is gone from the disk too."""
    server.execute("DROP DATABASE root.short")
    directory, end = server.home / "data/datanode/system/schema/root.short", time.monotonic() + 30
    while any(directory.glob("*")):
        assert time.monotonic() < end, "the region of a dropped database is still there"
        time.sleep(0.05)


class Writers:
    """Three threads that run DDL and remember when each statement was acknowledged."""

    def __init__(self, server: IoTDB) -> None:
        self.acknowledged: list[tuple[float, str, str]] = []
        self._server = server
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._series, self._accounts, self._tables)
        ]

    def start(self) -> None:
        """Start, and return when DDL of every kind has been flowing for a while."""
        self._server.execute("CREATE DATABASE root.hot")
        session = self._server.table_session()
        session.execute_non_query_statement("CREATE DATABASE hot_tables")
        session.close()
        for thread in self._threads:
            thread.start()
        end = time.monotonic() + 60
        while len({kind for _, kind, _ in list(self.acknowledged)}) < 5:
            assert time.monotonic() < end, "the writers do not get their DDL acknowledged"
            time.sleep(0.1)
        time.sleep(2)

    def stop(self) -> None:
        """End the threads."""
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

    def _run(self, session: Any, step: Callable[[int], tuple[str, str, str]], pause: float) -> None:
        number = 0
        while not self._stop.is_set():
            kind, name, statement = step(number)
            session.execute_non_query_statement(statement)
            self.acknowledged.append((time.time(), kind, name))
            number += 1
            time.sleep(pause)
        session.close()

    def _series(self) -> None:
        def step(number: int) -> tuple[str, str, str]:
            name = f"root.hot.d{number % 50}.s{number}"
            return "series", name, f"CREATE TIMESERIES {name} WITH datatype=INT64 TAGS(k='{number % 9}')"

        self._run(self._server.session(), step, 0)

    def _accounts(self) -> None:
        def step(number: int) -> tuple[str, str, str]:
            if number % 3 == 0:
                return "user", f"hotuser{number}", f"CREATE USER hotuser{number} 'pw_{number}_xx'"
            if number % 3 == 1:
                return "database", f"root.hotx{number}", f"CREATE DATABASE root.hotx{number}"
            return "role", f"hotrole{number}", f"CREATE ROLE hotrole{number}"

        self._run(self._server.session(), step, 0.03)

    def _tables(self) -> None:
        def step(number: int) -> tuple[str, str, str]:
            return "table", f"t{number}", f"CREATE TABLE hot_tables.t{number} (d STRING TAG, v FLOAT FIELD)"

        self._run(self._server.table_session(), step, 0.05)


def require_acknowledged(server: IoTDB, acknowledged: list[tuple[float, str, str]], began: float) -> None:
    """Everything acknowledged before the copy began is there; what came later is kept without a gap, or not at all."""
    session, tables = server.session(), server.table_session()
    try:
        have = {
            "series": first_values(session, "SHOW TIMESERIES root.hot.**"),
            "user": first_values(session, "LIST USER"),
            "database": first_values(session, "SHOW DATABASES"),
            "role": first_values(session, "LIST ROLE"),
            "table": first_values(tables, "SHOW TABLES FROM hot_tables"),
        }
    finally:
        session.close()
        tables.close()
    for kind, names in have.items():
        kept = [(when, name in names) for when, known, name in acknowledged if known == kind]
        assert kept[0][0] < began, kind
        assert all(is_kept for when, is_kept in kept if when < began), kind
        order = [is_kept for _, is_kept in kept]
        assert order == sorted(order, reverse=True), f"a gap in {kind}"


def require_base(server: IoTDB, before: dict[str, list[str]]) -> None:
    """What was there before the writers began is there, passwords too, and the server takes new DDL and data."""
    after = inventory(server, data=False)
    lost = {key: set(lines) - set(after.get(key, [])) for key, lines in before.items()}
    assert {key: lines for key, lines in lost.items() if lines} == {}
    for user, password in PASSWORDS.items():
        server.session(user, password).close()
    server.execute(
        "CREATE DATABASE root.after",
        "CREATE TIMESERIES root.after.d.s WITH datatype=INT32",
        "INSERT INTO root.after.d(time, s) VALUES(1, 1)",
    )


def first_values(session: Any, statement: str) -> set[str]:
    return {str(next(iter(row.values()))) for row in rows(session, statement)}
