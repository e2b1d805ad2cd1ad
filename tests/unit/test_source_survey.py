"""What is said of a home before anything is copied: version, amount, state, and why no copy can be made."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasks import sources
from tasks.errors import HomeMissing, NothingToBackUp, SourceError, Unreadable
from tasks.sources import Finding, NodeSpec, ServiceSpec
from tasks.sources.iotdb_running import is_running, lock_held
from tests.unit.source_home import CONFIG_GROUP, FILES, SCHEMA_GROUP, laid_out, make_home, node_of

SOURCE = sources.get("iotdb-metadata")
NOT_METADATA = ("in_use.lock", ".iotdb-lock", "chunk.tsfile", "data/datanode/data/", "wal/", "logs/")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path / "home")


def survey(*nodes: NodeSpec) -> sources.Survey:
    return SOURCE.survey(ServiceSpec("plant", "IoTDB", nodes))


def test_counts_exactly_what_a_copy_would_read(home: Path) -> None:
    found = survey(node_of(home))
    metadata = [text for name, text in FILES.items() if not any(part in name for part in NOT_METADATA)]
    assert (found.files, found.bytes) == (len(metadata), sum(map(len, metadata)))
    assert (found.version, found.cluster_id, found.running, found.warnings) == ("2.0.1-beta", "c-1", False, ())


def test_the_real_sample_is_surveyed() -> None:
    home = Path(__file__).parents[2] / "sample" / "iotdb-home"
    found = survey(node_of(home))
    assert found.version == "2.0.1-beta"
    assert len(found.cluster_id) == 36
    assert found.files > 100
    assert found.warnings == ()


# --- No copy can be made --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["missing", "file"])
def test_a_missing_home(tmp_path: Path, kind: str) -> None:
    if kind == "file":
        (tmp_path / "gone").write_text("")
    with pytest.raises(HomeMissing) as raised:
        survey(node_of(tmp_path / "gone"))
    assert f"{tmp_path}/gone of node n1" in raised.value.message
    assert "IoTDB home of the node" in raised.value.cure


@pytest.mark.parametrize(
    ("removed", "role"),
    [
        ("data/confignode", "ConfigNode"),
        ("data/datanode/system/system.properties", "DataNode"),
        ("data", "ConfigNode"),
    ],
)
def test_a_home_without_metadata(home: Path, removed: str, role: str) -> None:
    path = home / removed
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(NothingToBackUp, match=f"Node n1 holds no metadata of a {role} in "):
        survey(node_of(home))


def test_a_confignode_without_log_and_snapshot(home: Path) -> None:
    shutil.rmtree(home / CONFIG_GROUP / "current")
    assert survey(node_of(home)).files
    shutil.rmtree(home / CONFIG_GROUP / "sm")
    with pytest.raises(NothingToBackUp, match="metadata of a ConfigNode"):
        survey(node_of(home))


def test_a_service_without_nodes() -> None:
    with pytest.raises(NothingToBackUp, match="service IoTDB of cluster plant has no nodes"):
        survey()


def test_a_file_that_may_not_be_read_is_named_with_the_account(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = str(home / CONFIG_GROUP / "current/raft-meta")
    monkeypatch.setattr(os, "access", lambda path, mode, **_: path != secret)
    with pytest.raises(Unreadable) as raised:
        survey(node_of(home))
    assert raised.value.message.startswith(f"{secret} on node n1 cannot be read: the account ")
    assert "read permission" in raised.value.cure


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_an_account_without_permission_learns_which_path() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        home = make_home(Path(name) / "home")
        (home / "data/datanode/system").chmod(0o700)
        done = survey_as_nobody(home)
    assert f"Unreadable {home}/data/datanode/system" in done.stdout, done.stderr
    assert "the account nobody of the console" in done.stdout
    assert done.stdout.endswith("failed\n")


def survey_as_nobody(home: Path) -> subprocess.CompletedProcess[str]:
    script = f"""
        import os, sys
        sys.path[:0] = {sys.path!r}
        from tasks import sources
        from tests.unit.source_home import node_of
        from pathlib import Path
        source, node = sources.get("iotdb-metadata"), node_of(Path({str(home)!r}))
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        try:
            source.survey(sources.ServiceSpec("plant", "IoTDB", (node,)))
        except Exception as error:
            print(type(error).__name__, error)
        print([finding.level for finding in source.check(node)][-1])
    """
    return subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)


# --- Warnings -------------------------------------------------------------------------------------------------------
def test_simple_consensus_is_warned_of(home: Path) -> None:
    path = home / "data/confignode/system/confignode-system.properties"
    path.write_text(path.read_text() + "config_node_consensus_protocol_class=org.x.SimpleConsensus\n")
    (warning,) = survey(node_of(home)).warnings
    assert "The ConfigNode n1 uses SimpleConsensus, which loses metadata" in warning


def test_a_confignode_on_simple_consensus_has_metadata(home: Path) -> None:
    shutil.rmtree(home / CONFIG_GROUP)
    log = home / "data/confignode/consensus/0_0/current/log_inprogress_0"
    log.parent.mkdir(parents=True)
    log.write_text("log")
    assert survey(node_of(home)).files


def test_a_missing_version_and_missing_properties_are_warned_of(home: Path) -> None:
    shutil.rmtree(home / "conf")
    for name in ("confignode/system/confignode-system.properties", "datanode/system/system.properties"):
        (home / "data" / name).write_text("cluster_id=c-1\n")
    found = survey(node_of(home))
    assert found.version == "unknown"
    assert len(found.warnings) == 2


def test_a_role_that_the_console_does_not_know_of_is_warned_of(home: Path) -> None:
    (warning,) = survey(node_of(home, data_node=False)).warnings
    assert warning == "Node n1 has the directory of a DataNode, but not that role in the console. It is not copied."


def test_nodes_that_do_not_belong_together_are_warned_of(home: Path, tmp_path: Path) -> None:
    other = make_home(tmp_path / "other")
    (other / "data/datanode/system/system.properties").write_text("iotdb_version=2.0.2\ncluster_id=c-2\n")
    found = survey(node_of(home), node_of(other, "n2", config_node=False))
    texts = [text for text in found.warnings if "different" in text]
    assert texts == [
        "The nodes of this service have different versions of IoTDB: 2.0.1-beta, 2.0.2.",
        "The nodes of this service have different cluster ids: c-1, c-2.",
    ]


def test_what_cannot_be_copied_is_warned_of(home: Path) -> None:
    os.mkfifo(home / f"{SCHEMA_GROUP}0" / "current" / "odd\n\udcff")
    (warning,) = survey(node_of(home)).warnings
    assert warning.endswith("current/odd\\x0a\\xff on node n1 is a named pipe.")


# --- Running or not -------------------------------------------------------------------------------------------------
@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock on a file in another process, as a server does."""
    script = "import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print(); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script, str(path)], **pipes) as process:  # type: ignore[call-overload]
        process.stdout.readline()
        yield
        process.communicate(b"\n")


def runs(node: NodeSpec) -> bool:
    (site,) = laid_out(node)
    return is_running(*site)


@pytest.mark.parametrize("lock", [f"{CONFIG_GROUP}/in_use.lock", "data/datanode/consensus/.iotdb-lock"])
def test_a_held_lock_means_running(home: Path, lock: str) -> None:
    assert not runs(node_of(home))
    with held(home / lock):
        assert lock_held(str(home / lock)) is True
        assert runs(node_of(home))
    assert lock_held(str(home / lock)) is False
    assert lock_held(str(home / "no-such-lock")) is None


def test_ports_count_only_where_there_is_no_lock_to_ask(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        node = NodeSpec("n1", str(home), False, True, "127.0.0.1", server.getsockname()[1])
        assert not runs(node)
        (home / "data/datanode/consensus/.iotdb-lock").unlink()
        assert runs(node)
    assert not runs(node)


def test_an_address_that_makes_no_sense_means_stopped(home: Path) -> None:
    (home / "data/datanode/consensus/.iotdb-lock").unlink()
    assert not runs(NodeSpec("n1", str(home), False, True, "a..b", 99999))


# --- Check ----------------------------------------------------------------------------------------------------------
def check(node: NodeSpec) -> dict[str, Finding]:
    return {finding.what: finding for finding in SOURCE.check(node)}


def test_check_says_what_is_there(home: Path) -> None:
    found = check(node_of(home))
    assert {finding.level for finding in found.values()} == {"ok"}
    assert found["Version"].detail == "2.0.1-beta"
    assert found["Cluster ID"].detail == "c-1"
    assert found["State"].detail == "Stopped; a backup of it is a cold copy."
    assert found["ConfigNode consensus"].detail == f"4 files, 30 B in {home}/data/confignode/consensus"
    assert found["DataNode schema regions"].detail.startswith("4 files, 30 B in ")


def test_check_says_what_is_wrong_and_what_to_do(home: Path, tmp_path: Path) -> None:
    gone = check(node_of(tmp_path / "gone"))["IoTDB home"]
    assert (gone.level, bool(gone.cure)) == ("failed", True)
    shutil.rmtree(home / "data/confignode")
    missing = check(node_of(home))["ConfigNode"]
    assert (missing.level, missing.detail, bool(missing.cure)) == (
        "failed",
        "No metadata of this role was found.",
        True,
    )
    assert check(node_of(home, config_node=False, data_node=False))["Role"].level == "failed"


def test_check_shows_every_warning_with_a_cure(home: Path) -> None:
    (home / "conf/iotdb-system.properties").unlink()
    (home / "data/confignode/system/confignode-system.properties").write_text(
        "config_node_consensus_protocol_class=org.x.SimpleConsensus\n"
    )
    findings = [finding for finding in SOURCE.check(node_of(home, data_node=False)) if finding.level == "warning"]
    assert len(findings) == 4
    assert all(finding.cure for finding in findings)


def test_check_never_raises(tmp_path: Path) -> None:
    for home in (Path("/dev/null"), Path("/proc/1/mem/x"), tmp_path):
        assert [finding for finding in SOURCE.check(node_of(home)) if finding.level == "failed"]


# --- The registry ---------------------------------------------------------------------------------------------------
def test_the_registry_knows_each_source_once() -> None:
    assert SOURCE in sources.all()
    with pytest.raises(ValueError, match="already registered"):
        sources.register(SOURCE)
    with pytest.raises(KeyError):
        sources.get("no-such-source")
    assert issubclass(HomeMissing, SourceError)
