"""Parts of a rehearsal without namespace and server: configuration, plan, scratch home, what is lacking."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.engine.archive import Unpacked
from tasks.hosts import LocalHost
from tasks.rehearsal import machine, scratch
from tasks.rehearsal.configuration import places, rewrite, rpc_endpoint
from tasks.rehearsal.installation import Installation, find, of_version
from tasks.rehearsal.plan import Login, Plan
from tasks.rehearsal.planning import Given, Unplannable, make_plan
from tasks.rehearsal.servers import last_error, memory_needed, roles_of
from tasks.sources.iotdb_properties import read

GIVEN = Given("/opt/iotdb/lib", "/usr/bin/java", (Login("root", "root", "root"),), ("/etc",), 768, 60)


# --- Configuration ----------------------------------------------------------------------------------------------------
def write_conf(home: Path, text: str, name: str = "iotdb-system.properties") -> Path:
    (home / "conf").mkdir(parents=True, exist_ok=True)
    (home / "conf" / name).write_text(text)
    return home / "conf" / name


def test_every_directory_of_the_recorded_configuration_leads_into_the_scratch_home(tmp_path: Path) -> None:
    path = write_conf(
        tmp_path,
        "dn_data_dirs=/data1/iotdb,/data2/iotdb;/data3/iotdb\ncn_system_dir=/opt/iotdb/data/cn\n"
        "a_directory_of_a_later_version_dirs=/later\nsome_file_dir: relative\n",
    )
    configured = rewrite(str(tmp_path))
    written = read(LocalHost(), str(path))
    assert written == configured.settings
    for name, value in written.items():
        if name.endswith(("_dir", "_dirs")):
            assert value.startswith(f"{tmp_path}/"), name
    assert {"dn_wal_dirs", "dn_consensus_dir", "udf_lib_dir", "a_directory_of_a_later_version_dirs"} <= written.keys()
    assert configured.elsewhere == ("/data1/iotdb", "/data2/iotdb", "/data3/iotdb", "/opt/iotdb/data/cn", "/later")


def test_addresses_ports_and_replication_stay_and_buffers_become_small(tmp_path: Path) -> None:
    path = write_conf(
        tmp_path,
        "dn_rpc_address=10.0.0.5\ndn_rpc_port=7777\nschema_replication_factor=3\nwal_buffer_size_in_byte=33554432\n"
        "cn_metric_reporter_list=PROMETHEUS\nenable_rest_service=true\nlisten=a\\=b c\\u00e9\n",
    )
    settings = rewrite(str(tmp_path)).settings
    assert read(LocalHost(), str(path)) == settings
    kept = {"dn_rpc_address": "10.0.0.5", "dn_rpc_port": "7777", "schema_replication_factor": "3", "listen": "a=b cé"}
    assert kept.items() <= settings.items()
    changed = {"wal_buffer_size_in_byte": "1048576", "cn_metric_reporter_list": "", "enable_rest_service": "false"}
    changed["enable_auto_create_schema"] = "false"
    assert changed.items() <= settings.items()
    assert rpc_endpoint(settings) == ("10.0.0.5", 7777)
    assert rpc_endpoint({"dn_rpc_address": "0.0.0.0"}) == ("127.0.0.1", 6667)


def test_a_configuration_that_is_a_link_is_never_written_through(tmp_path: Path) -> None:
    live = write_conf(tmp_path / "live", "cn_system_dir=/opt/iotdb/data/cn\n")
    (tmp_path / "a" / "conf").mkdir(parents=True)
    (tmp_path / "a" / "conf" / live.name).symlink_to(live)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "conf").symlink_to(live.parent)
    for home in ("a", "b"):
        rewrite(str(tmp_path / home))
        assert not (tmp_path / home / "conf").is_symlink()
        assert not (tmp_path / home / "conf" / live.name).is_symlink()
    assert live.read_text() == "cn_system_dir=/opt/iotdb/data/cn\n"
    assert sorted(path.name for path in live.parent.iterdir()) == [live.name]


def test_the_three_files_of_older_versions_are_all_rewritten(tmp_path: Path) -> None:
    for kind in ("common", "confignode", "datanode"):
        write_conf(tmp_path, f"{kind}_dir=/somewhere\n", f"iotdb-{kind}.properties")
    rewrite(str(tmp_path))
    for kind in ("common", "confignode", "datanode"):
        found = read(LocalHost(), str(tmp_path / "conf" / f"iotdb-{kind}.properties")) or {}
        assert found[f"{kind}_dir"].startswith(str(tmp_path))
        assert found["dn_data_dirs"].startswith(str(tmp_path))


def test_addresses_and_names_are_found_in_every_notation() -> None:
    found = places(
        [
            {"cn_internal_address": "10.0.0.1", "dn_rpc_address": "0.0.0.0", "dn_internal_address": "iotdb-2.example"},
            {"cn_seed_config_node": "node-1:10710", "dn_seed_config_node": "[fd00::7]:10710", "dn_rpc_port": "6667"},
            {"config_node_list": "0,10.0.0.2:10710,10.0.0.2:10720;1,127.0.0.1:10711,localhost:10721"},
            {"cluster_name": "not.an.address", "dn_rpc_address": "fd00::8"},
        ]
    )
    assert found.addresses == {"10.0.0.1", "10.0.0.2", "fd00::7", "fd00::8"}
    assert found.names == {"iotdb-2.example", "node-1"}


# --- Plan -------------------------------------------------------------------------------------------------------------
def node_of(root: Path, name: str, **more: Any) -> dict[str, Any]:
    (root / name).mkdir(parents=True)
    return {"name": name, "home": str(root), "config_node": True, "data_node": True, "directories": {}} | more


def test_a_plan_goes_through_a_pipe_and_comes_out_equal_and_shows_no_password(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    facts = {"source": {"nodes": [node_of(tmp_path, "node1", home=str(tmp_path / "live"))]}}
    plan = make_plan(str(tmp_path), facts, GIVEN)
    assert Plan.of(plan.as_line()) == plan
    assert "password" not in repr(plan)
    assert plan.hidden == (str(Path("/etc").resolve()), str(tmp_path / "live"))


def test_nodes_of_different_hosts_on_the_same_ports_are_told_apart_from_nodes_of_one_host(tmp_path: Path) -> None:
    nodes = [node_of(tmp_path, name) for name in ("node1", "node2")]
    for number, node in enumerate(nodes):
        write_conf(tmp_path / node["name"], f"cn_internal_port={10710 + number}\ndn_rpc_port={6667 + number}\n")
    plan = make_plan(str(tmp_path), {"source": {"nodes": nodes}}, GIVEN)
    assert (plan.hosts, [node.host for node in plan.nodes]) == (((),), [0, 0])

    for name in ("node1", "node2"):
        write_conf(
            tmp_path / name, f"dn_rpc_port=6667\ndn_internal_address={name}\ncn_internal_address=10.0.0.{name[-1]}\n"
        )
    plan = make_plan(str(tmp_path), {"source": {"nodes": nodes}}, GIVEN)
    assert plan.names == (("node1", "198.18.1.1"), ("node2", "198.18.1.2"))
    assert plan.hosts == (("10.0.0.1", "198.18.1.1"), ("10.0.0.2", "198.18.1.2"))
    assert [(node.host, node.rpc_host, node.rpc_port) for node in plan.nodes] == [
        (0, "10.0.0.1", 6667),
        (1, "10.0.0.2", 6667),
    ]


def test_two_nodes_of_one_host_on_the_same_port_are_refused(tmp_path: Path) -> None:
    nodes = [node_of(tmp_path, name) for name in ("node1", "node2", "node3")]
    for node, address in zip(nodes, ("10.0.0.1", "10.0.0.2", "10.0.0.1"), strict=True):
        write_conf(tmp_path / node["name"], f"dn_rpc_port=6667\ndn_internal_address={address}\n")
    with pytest.raises(Unplannable, match="node1 and node3 both have port 6667 on the same host"):
        make_plan(str(tmp_path), {"source": {"nodes": nodes}}, GIVEN)


def test_nodes_on_the_same_ports_without_addresses_of_their_own_are_refused(tmp_path: Path) -> None:
    nodes = [node_of(tmp_path, name) for name in ("node1", "node2")]
    for node in nodes:
        write_conf(tmp_path / node["name"], "dn_rpc_port=6667\ndn_internal_address=127.0.0.1\n")
    with pytest.raises(Unplannable, match="no address of its own"):
        make_plan(str(tmp_path), {"source": {"nodes": nodes}}, GIVEN)


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden"])
def test_names_of_nodes_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    facts = {"source": {"nodes": [{"name": name, "config_node": True, "data_node": True}]}}
    with pytest.raises(Unplannable):
        make_plan(str(tmp_path), facts, GIVEN)


def test_a_node_whose_directory_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "node1").symlink_to(tmp_path / "live")
    facts = {"source": {"nodes": [{"name": "node1", "config_node": True, "data_node": True}]}}
    with pytest.raises(Unplannable, match="no directory of its node node1"):
        make_plan(str(tmp_path / "scratch"), facts, GIVEN)
    assert list((tmp_path / "live").iterdir()) == []


def test_a_set_without_a_config_node_is_refused_with_the_reason(tmp_path: Path) -> None:
    facts = {"source": {"nodes": [node_of(tmp_path, "node1", config_node=False)]}}
    with pytest.raises(Unplannable, match="neither starts alone"):
        make_plan(str(tmp_path), facts, GIVEN)


# --- Scratch home -----------------------------------------------------------------------------------------------------
def member(name: str, data: bytes = b"", kind: Any = "file", target: str = "") -> Unpacked:
    chunks: Iterator[memoryview] = iter([memoryview(data)] if data else [])
    return Unpacked(name, kind, len(data), 0o4777, 0, 1234, 1234, target, chunks)


def filled(root: Path, members: Iterable[Unpacked], limit: int = 100) -> list[int]:
    told: list[int] = []
    scratch.fill(root, members, limit, told.append)
    return told


def test_a_scratch_home_belongs_to_the_console_alone(tmp_path: Path) -> None:
    members = [
        member("n1/conf", kind="directory"),
        member("n1/conf/a", b"abc"),
        member("n1/l", kind="symlink", target="x"),
    ]
    assert filled(tmp_path, members) == [3]
    assert (tmp_path / "n1/conf/a").read_bytes() == b"abc"
    stat = (tmp_path / "n1/conf/a").stat()
    assert (stat.st_mode & 0o7777, stat.st_uid) == (0o700, os.getuid())
    assert (tmp_path / "n1/conf").stat().st_mode & 0o777 == 0o700
    assert os.readlink(tmp_path / "n1/l") == "x"


def test_an_archive_that_holds_more_than_it_counted_is_cut_off(tmp_path: Path) -> None:
    with pytest.raises(scratch.TooMuch):
        filled(tmp_path, [member("n1/a", b"x" * 60), member("n1/b", b"x" * 60)])


def test_a_member_that_comes_twice_is_an_error_and_not_an_overwriting(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        filled(tmp_path, [member("n1/a", b"1"), member("n1/a", b"2")])


def test_removal_takes_directories_that_are_closed_and_tells_when_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "gone" / "closed").mkdir(mode=0o500, parents=True)
    assert scratch.remove(tmp_path / "gone") and not (tmp_path / "gone").exists()
    assert scratch.remove(tmp_path / "never there")


# --- What is lacking --------------------------------------------------------------------------------------------------
def jars(home: Path, version: str, *names: str) -> Path:
    (home / "lib").mkdir(parents=True)
    for name in names or ("iotdb-server", "iotdb-confignode", "node-commons"):
        (home / "lib" / f"{name}-{version}.jar").touch()
    return home


def test_installations_are_found_by_the_names_of_their_jars(tmp_path: Path) -> None:
    one = jars(tmp_path / "apps" / "apache-iotdb-1.3.3", "1.3.3")
    two = jars(tmp_path / "iotdb", "2.0.1-beta")
    jars(tmp_path / "mixed", "1.0", "node-commons").joinpath("lib/iotdb-server-1.1.jar").touch()
    jars(tmp_path / "other", "5.0", "commons-io")
    places = [str(tmp_path / "apps"), str(two), str(two), str(tmp_path / "mixed"), str(tmp_path / "other"), "/missing"]
    found = find(places)
    assert found == [
        Installation(str(one / "lib"), "1.3.3"),
        Installation(str(two / "lib"), "2.0.1-beta"),
    ]
    assert of_version(found, "2.0.1-beta") == found[1]
    assert of_version(found, "2.0.1") is None


def test_what_lacks_is_said_line_by_line_with_its_cure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    machine.forget()
    lines = machine.look(machine.namespaces(str(tmp_path)), machine.java(), [], "2.0.1-beta", 1 << 60)
    machine.forget()
    assert [(line.what, line.level) for line in lines] == [
        ("Namespaces", "failed"),
        ("Java", "failed"),
        ("IoTDB installation", "failed"),
        ("Memory", "failed"),
    ]
    assert "unshare" in lines[0].detail
    assert "no java" in lines[1].detail
    assert "None of version 2.0.1-beta was found" in lines[2].detail
    assert "IOTDB_INSTALLATIONS" in lines[2].cure
    assert all(line.cure for line in lines)


def test_an_installation_of_another_version_does_not_do_and_is_named() -> None:
    others = [Installation("/opt/iotdb/lib", "1.3.3")]
    (line,) = [
        line
        for line in machine.look(machine.Trial("as root", ("x",)), machine.Java("/j", "17"), others, "2.0.1-beta", 1)
        if line.level == "failed"
    ]
    assert line.detail == "None of version 2.0.1-beta was found on this machine; there is 1.3.3."


def test_memory_is_that_of_every_process() -> None:
    assert roles_of(True, True) == ["ConfigNode", "DataNode"]
    assert memory_needed(["ConfigNode", "DataNode"], 768) == (256 + 768 + 2 * 160) * 1_000_000


def test_the_last_error_of_a_log_holds_nothing_that_was_quoted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "2026-01-01 00:00:00,000 [main] ERROR A:1 - the first\n"
        "2026-01-01 00:00:01,000 [main] WARN  A:2 - CREATE USER x 'Secret_1'\n"
        "2026-01-01 00:00:02,000 [pool-1] ERROR o.a.B:3 - Failed: CREATE USER anna 'Throwaway_1' \"x\"\n\tat java\n"
    )
    assert last_error(str(log)) == "Its last error: Failed: CREATE USER anna … …."
    with log.open("a") as more:
        more.write(
            "2026-01-01 00:00:03,000 [main] ERROR A:1 - Exception in main-1\njava.lang.X.YException: no\n\tat z\n"
        )
    assert last_error(str(log)) == "Its last error: Exception in main-1 java.lang.X.YException: no."
    assert last_error(str(tmp_path / "none")) == ""
