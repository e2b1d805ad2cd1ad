"""The pure parts of a restoration: who is who, what is lost, what is orphaned, and which commands are given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.engine.restore import control, loss, orphans, places
from tasks.engine.restore.matching import NodeOfSet, ServiceOfSet, completed, match
from tasks.engine.restore.target import CONFIG, DATA, Found, Target, libraries_of
from tasks.hosts import LocalHost, Process
from tasks.iotdb.base import Summary
from tasks.sources.base import NodeSpec
from tasks.sources.iotdb_properties import DEFAULTS, Layout
from tasks.sources.iotdb_running import MAIN_CLASSES
from tasks.states import Control

CONFIG_ID = {
    "iotdb_version": "2.0.1-beta",
    "config_node_id": "0",
    "cn_internal_address": "10.0.0.1",
    "cn_internal_port": "10710",
    "cn_consensus_port": "10720",
}
DATA_ID = {
    "iotdb_version": "2.0.1-beta",
    "cluster_id": "c-1",
    "data_node_id": "1",
    "dn_internal_address": "10.0.0.1",
    "dn_rpc_port": "6667",
    "dn_internal_port": "10730",
}
NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


def found(name: str = "n1", home: str = "/opt/iotdb", **changes: Any) -> Found:
    directories = {key: f"{home}/{value}" for key, value in DEFAULTS.items()}
    target = Target(1, "IoTDB", NodeSpec(name, home, True, True))
    known = Found(target, Layout(home, directories, {}, True), CONFIG_ID, DATA_ID)
    return replace(known, **changes)


def of_set(*nodes: NodeOfSet) -> ServiceOfSet:
    mine = nodes or (NodeOfSet("n1", (CONFIG, DATA), CONFIG_ID, DATA_ID, "/opt/iotdb"),)
    return ServiceOfSet("IoTDB", "2.0.1-beta", "c-1", mine)


# --- Matching ---------------------------------------------------------------------------------------------------------
def test_what_is_equal_matches_and_says_so() -> None:
    result = match(of_set(), [found()], "plant")
    assert (result.problems, result.notes) == ([], [])
    assert result.words() == "1 ConfigNode and 1 DataNode match."


def test_a_wiped_node_is_not_comparable_and_not_refused() -> None:
    result = match(of_set(), [found(config_identity={}, data_identity={})], "plant")
    assert result.problems == []
    assert [note.split(",")[0] for note in result.notes] == [
        "The version of IoTDB on plant is not known",
        "plant tells no cluster id",
    ]


@pytest.mark.parametrize(
    ("changes", "live", "why"),
    [
        ({"libraries": "2.0.2"}, "", "Node n1 has IoTDB 2.0.2, the set is of 2.0.1-beta."),
        ({}, "1.3.3", "Node n1 has IoTDB 1.3.3"),
        ({"data_identity": DATA_ID | {"cluster_id": "c-2"}}, "", "the cluster with the id c-2, the set is of c-1"),
        ({"data_identity": DATA_ID | {"data_node_id": "4"}}, "", "DataNode n1 has the id 4, in the set it has 1"),
        ({"config_identity": CONFIG_ID | {"config_node_id": "9"}}, "", "ConfigNode n1 has the id 9"),
        ({"data_identity": DATA_ID | {"dn_rpc_port": "7000"}}, "", "dn_rpc_port is 7000 here and 6667 in the set"),
        (
            {"config_identity": CONFIG_ID | {"cn_internal_address": "10.0.0.9"}},
            "",
            "cn_internal_address is 10.0.0.9 here and 10.0.0.1 in the set",
        ),
    ],
)
def test_each_difference_is_one_sentence_with_its_cure(changes: dict[str, Any], live: str, why: str) -> None:
    (problem,) = match(of_set(), [found(**changes)], "plant", live).problems
    assert why in problem
    assert problem.count(". ") >= 1 or ";" in problem


def test_a_port_that_was_only_configured_anew_differs_too() -> None:
    known = found()
    layout = replace(known.layout, settings={"dn_internal_port": "999"})
    (problem,) = match(of_set(), [replace(known, layout=layout)], "plant").problems
    assert "dn_internal_port is 999 here" in problem


def test_nodes_that_only_one_side_has_are_named() -> None:
    other = NodeOfSet("n2", (CONFIG, DATA), CONFIG_ID | {"cn_internal_address": "10.0.0.2"}, DATA_ID)
    result = match(of_set(other), [found()], "plant")
    assert [problem.partition(".")[0] for problem in result.problems] == [
        "The set holds node n2, which plant does not have",
        "The set holds nothing of node n1 of plant",
    ]


def test_a_node_that_was_renamed_is_known_by_its_address() -> None:
    result = match(of_set(), [found("new-name")], "plant")
    assert result.problems == []
    assert result.notes == ["Node n1 of the set is new-name here: the same address and port."]


def test_a_role_that_the_console_does_not_know_of_is_refused() -> None:
    one = found()
    spec = NodeSpec("n1", "/opt/iotdb", False, True)
    problems = match(of_set(), [replace(one, target=replace(one.target, spec=spec))], "plant").problems
    assert problems[0].startswith("Node n1 is DataNode here, and ConfigNode and DataNode in the set.")


def test_a_home_without_configuration_takes_over_the_directories_of_the_set() -> None:
    bare = found(home="/data/iotdb", config_identity={}, data_identity={})
    bare = replace(bare, layout=replace(bare.layout, configured=False))
    directories = {"cn_system_dir": "/opt/iotdb/meta/cn", "dn_system_dir": "/mnt/disk/dn"}
    node = NodeOfSet("n1", (CONFIG, DATA), CONFIG_ID, DATA_ID | {"dn_rpc_port": "7000"}, "/opt/iotdb", directories)
    whole = completed(bare, node)
    assert whole.layout.directories["cn_system_dir"] == "/data/iotdb/meta/cn"
    assert whole.layout.directories["dn_system_dir"] == "/mnt/disk/dn"
    assert whole.ports(DATA)[0] == 7000


# --- Places -----------------------------------------------------------------------------------------------------------
def test_optional_parts_are_replaced_only_where_the_set_has_some() -> None:
    held = places.amounts(
        [
            {"name": "n1/data/confignode/consensus/g/current/log_0-1", "type": "file", "size": 5},
            {"name": "n1/ext/udf/install/a.jar", "type": "file", "size": 7},
            {"name": "n1/conf/iotdb-system.properties", "type": "file", "size": 9},
        ],
        ["n1"],
    )
    mine = places.places_of("n1", found(), held, lambda path: path)
    assert [place.path.removeprefix("/opt/iotdb/") for place in mine] == [
        "data/confignode/consensus",
        "data/confignode/system",
        "data/datanode/consensus",
        "data/datanode/system",
        "ext/udf",
    ]
    assert held["n1/ext/udf"].bytes == 7


def test_directories_within_one_another_are_seen() -> None:
    inner, outer = places.Place("n1", "a", "/x/y"), places.Place("n1", "b", "/x")
    assert len(places.nested([inner, outer])) == 1
    assert places.nested([inner, places.Place("n1", "b", "/x/yz")]) == []


# --- Loss -------------------------------------------------------------------------------------------------------------
def test_the_loss_names_newer_databases_and_counts() -> None:
    before = Summary(counts={"series": 10, "users": 2}, names={"databases": ["root.a"]})
    present = Summary(counts={"series": 67, "users": 2}, names={"databases": ["root.a", "root.b"]})
    said = loss.loss_of("plant", NOW - timedelta(minutes=100), NOW, [("IoTDB", before, present)])
    assert (said["known"], said["databases"], said["seconds"]) == (True, ["root.b"], 6000)
    assert said["counts"] == {"series": ["Time series", 67, 10], "users": ["Users", 2, 2]}
    assert said["sentences"][0].endswith("(1 h 40 min).")
    assert said["sentences"][1].startswith("The database that the set does not hold: root.b.")
    assert said["sentences"][2] == "57 time series more than the set holds."


def test_what_is_not_known_is_said() -> None:
    said = loss.loss_of("plant", NOW, NOW, [("IoTDB", None, Summary()), ("IoTDB-1", Summary(), "It is off.")])
    assert said["known"] is False
    assert said["sentences"][-1] == (
        "What else is lost is not known. IoTDB: The set has no inventory. IoTDB-1: It is off."
    )


@pytest.mark.parametrize(
    ("expected", "seen", "is_grave"),
    [
        ({"series": 5}, {"series": 0}, True),
        ({"series": 5}, {"series": 4}, False),
        ({"series": 0}, {"series": 0}, False),
        ({"databases": 2}, {"databases": 0, "series": 0}, True),
        ({"series": 5}, {}, False),
    ],
)
def test_nothing_of_what_was_plenty_is_a_failure(
    expected: dict[str, int], seen: dict[str, int], is_grave: bool
) -> None:
    assert bool(loss.grave(Summary(counts=expected), Summary(counts=seen))) == is_grave


# --- Orphans ----------------------------------------------------------------------------------------------------------
def test_regions_that_nobody_knows_are_orphans(tmp_path: Path) -> None:
    for name in (
        "data/datanode/data/sequence/root.a/3/2900",
        "data/datanode/data/unsequence/root.a/3",
        "data/datanode/data/sequence/root.b/7",
        "data/datanode/data/sequence/root.b/upgrade",
        "disk2/sequence/root.c/9",
        "data/datanode/consensus/data_region/1_3",
    ):
        (tmp_path / name).mkdir(parents=True)
    known = found(home=str(tmp_path))
    settings = {"dn_data_dirs": f"data/datanode/data,{tmp_path}/disk2"}
    known = replace(known, layout=replace(known.layout, settings=settings))
    on_disk, host = orphans.regions_on_disk(LocalHost(), known), LocalHost()
    assert orphans.known_to_the_node(host, known) == {3}
    assert [path.removeprefix(f"{tmp_path}/") for path in orphans.orphans(on_disk, {3})] == [
        "data/datanode/data/sequence/root.b/7",
        "disk2/sequence/root.c/9",
    ]


# --- Control ----------------------------------------------------------------------------------------------------------
def test_commands_are_those_that_were_chosen() -> None:
    def line(how: Control, verb: str, role: str, **own: str) -> str:
        target = Target(1, "IoTDB", NodeSpec("n1", "/opt/io tdb", True, True), control=how, commands=own)
        return control.command_for(target, verb, role)

    assert line(Control.SCRIPTS, "start", DATA) == "bash '/opt/io tdb/sbin/start-datanode.sh' -d"
    assert line(Control.SCRIPTS, "stop", CONFIG) == "bash '/opt/io tdb/sbin/stop-confignode.sh'"
    assert "systemctl stop iotdb-datanode; else sudo -n systemctl" in line(Control.SYSTEMD, "stop", DATA)
    assert line(Control.COMMANDS, "start", DATA, **{"start DataNode": " run it "}) == "run it"
    assert line(Control.HAND, "start", DATA) == ""


class Crowd(LocalHost):
    """A machine on which these processes are."""

    def __init__(self, *commands: tuple[str, ...]) -> None:
        super().__init__()
        self.commands = commands

    def processes(self) -> Iterator[Process]:
        yield from (Process(number, command) for number, command in enumerate(self.commands, 1))


def test_a_process_is_known_by_its_main_class_and_its_home() -> None:
    main = MAIN_CLASSES[DATA]
    machine = Crowd(
        ("java", "-DIOTDB_HOME=/opt/iotdb", main, "-s"),
        ("java", "-DIOTDB_HOME=/opt/iotdb-2", main, "-s"),
        ("java", "-Dlogback.configurationFile=/opt/iotdb/conf/logback.xml", main),
        ("java", "-DCONFIGNODE_HOME=/opt/iotdb", MAIN_CLASSES[CONFIG]),
        ("tail", "-f", "/opt/iotdb/logs/log_datanode_all.log"),
    )
    assert control.processes_of(machine, "/opt/iotdb", DATA) == [1, 3]


def test_the_version_of_the_jars_is_what_will_be_started(tmp_path: Path) -> None:
    assert libraries_of(LocalHost(), str(tmp_path)) == ""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "iotdb-server-2.0.1-beta.jar").touch()
    (tmp_path / "lib" / "iotdb-thrift-2.0.0.jar").touch()
    assert libraries_of(LocalHost(), str(tmp_path)) == "2.0.1-beta"
    (tmp_path / "lib" / "iotdb-server-2.0.2.jar").touch()
    assert libraries_of(LocalHost(), str(tmp_path)) == ""
