"""A real IoTDB is asked for its health and its inventory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from tasks.iotdb import client
from tasks.iotdb.base import Account, Endpoint, Summary
from tasks.iotdb.client import NotAsked, ask_health, take_inventory
from tasks.iotdb.document import read
from tasks.iotdb.gathering import Gathering
from tasks.iotdb.link import connect
from tasks.iotdb.trees import take_jobs, take_ttls
from tests.patience import Stopwatch
from tests.servers.iotdb import ROOT_PASSWORD, IoTDB, iotdb_server  # noqa: F401
from tests.servers.iotdb_metadata import PASSWORDS, counts, create_metadata, inventory

ROOT = Account("root", ROOT_PASSWORD)
NOBODY_THERE = Endpoint("127.0.0.1", 1)


@pytest.fixture(scope="module", name="filled")
def filled_server(iotdb: IoTDB) -> IoTDB:
    """The server with metadata of every kind."""
    create_metadata(iotdb)
    return iotdb


def endpoint(server: IoTDB) -> Endpoint:
    return Endpoint("127.0.0.1", server.rpc_port)


def taken(server: IoTDB, path: Path, account: Account = ROOT, **more: int) -> tuple[Summary, list[dict[str, object]]]:
    """Take an inventory; return it in short and whole."""
    summary = take_inventory(account, [endpoint(server)], path, **more)
    with path.open("rb") as file:
        head, objects = read(file)
        found = list(objects)
    assert head.summary == summary
    return summary, found


@pytest.mark.server
def test_a_server_that_is_well_says_so_with_its_nodes_and_its_series(filled: IoTDB) -> None:
    health = ask_health(ROOT, [endpoint(filled)])
    assert health.well
    assert health.words.startswith("2 of 2 nodes Running; COUNT TIMESERIES root.** answered in ")
    assert health.series == counts(inventory(filled, data=False))["series"]
    assert {node.kind for node in health.nodes} == {"ConfigNode", "DataNode"}
    assert health.version == "2.0.1-beta"
    assert len(health.cluster_id) == 36


@pytest.mark.server
def test_the_next_endpoint_is_asked_where_one_does_not_answer(filled: IoTDB) -> None:
    assert ask_health(ROOT, [NOBODY_THERE, endpoint(filled)]).well


@pytest.mark.server
def test_a_wrong_password_is_told_and_stays_secret(filled: IoTDB) -> None:
    health = ask_health(Account("root", "Wrong-4711"), [endpoint(filled)])
    assert (health.well, health.refused, health.answered) == (False, True, True)
    assert health.words == f"127.0.0.1:{filled.rpc_port} refuses the user root or the password."
    assert "4711" not in repr(health) + repr(Account("root", "Wrong-4711"))


@pytest.mark.server
def test_the_inventory_counts_what_sql_shows(filled: IoTDB, tmp_path: Path) -> None:
    summary, objects = taken(filled, tmp_path / "inventory.json")
    shown = counts(inventory(filled, data=False))
    assert summary.errors == {}
    assert summary.version == "2.0.1-beta"
    same = {"series": "series", "devices": "devices", "templates": "templates", "users": "users", "roles": "roles"}
    same |= {"triggers": "triggers", "continuous_queries": "continuous queries", "pipes": "pipes"}
    same |= {"functions": "external functions", "tables": "tables"}
    for kind, name in same.items():
        assert summary.counts[kind] == shown[name], kind
    assert summary.counts["databases"] == shown["databases"] + 1  # metering, of the table model
    assert summary.counts["table_devices"] == 20
    assert sum(summary.series_of.values()) == shown["series"]
    assert sum(one["type"] == "series" for one in objects) == shown["series"]
    assert sum(one["type"] == "device" for one in objects) == shown["devices"]


@pytest.mark.server
def test_the_inventory_holds_every_kind_of_object_with_its_facts(filled: IoTDB, tmp_path: Path) -> None:
    _, objects = taken(filled, tmp_path / "inventory.json")
    for wanted in (
        {
            "type": "series",
            "path": "root.plant1.named.device3.s",
            "alias": "temperature3",
            "datatype": "FLOAT",
            "encoding": "GORILLA",
            "compression": "SNAPPY",
            "tags": {"the owner": "team 3", "unit": "°C"},
            "attributes": {"description": 'línea "3"', "max": "100"},
            "doubtful": True,
            "deadband": "SDT",
            "deadband_parameters": "{compdev=0.01}",
        },
        {
            "type": "template",
            "name": "position",
            "aligned": True,
            "nodes": [
                {"name": "lat", "datatype": "FLOAT", "encoding": "GORILLA", "compression": "LZ4"},
                {"name": "lon", "datatype": "FLOAT", "encoding": "GORILLA", "compression": "LZ4"},
            ],
        },
        {"type": "template_set", "template": "turbine", "path": "root.windfarm.north"},
        {"type": "template_used", "template": "turbine", "path": "root.windfarm.north.turbine7"},
        {"type": "ttl", "path": "root.plant2.**", "ttl": "94608000000000"},
        {"type": "user", "name": "anna"},
        {"type": "role_of_user", "user": "anna", "role": "reader"},
        {
            "type": "privilege",
            "of": "role",
            "holder": "writer",
            "path": "root.plant2.**",
            "privilege": "WRITE_DATA",
            "grant_option": True,
        },
        {"type": "table", "database": "metering", "name": "meters", "ttl": "8640000000000", "devices": 20},
        {
            "type": "column",
            "database": "metering",
            "table": "meters",
            "name": "model",
            "datatype": "STRING",
            "category": "ATTRIBUTE",
        },
    ):
        assert wanted in objects
    assert {"table_database", "database", "device", "role", "continuous_query", "pipe"} <= {
        str(one["type"]) for one in objects
    }


@pytest.mark.server
def test_two_inventories_of_an_unchanged_server_are_equal(filled: IoTDB, tmp_path: Path) -> None:
    first, objects = taken(filled, tmp_path / "first.json")
    second, again = taken(filled, tmp_path / "second.json")
    assert first == second
    assert sorted(map(str, objects)) == sorted(map(str, again))


@pytest.mark.server
def test_an_account_without_rights_has_each_refusal_recorded_and_no_false_count(filled: IoTDB, tmp_path: Path) -> None:
    anna = Account("anna", PASSWORDS["anna"])
    summary, _ = taken(filled, tmp_path / "inventory.json", anna)
    for statement in ("LIST USER", "LIST ROLE", "SHOW DEVICE TEMPLATES", "SHOW TRIGGERS", "SHOW CQS", "SHOW PIPES"):
        assert summary.errors[statement].startswith("803: ")
    # anna sees 180 of the series; a number that low would look like a loss.
    assert summary.errors["SHOW TIMESERIES root.**"] == (
        "anna does not see every series: READ_SCHEMA on root.** is missing"
    )
    assert not {"series", "devices", "databases", "users"} & summary.counts.keys()
    health = ask_health(anna, [endpoint(filled)])
    assert not health.well
    assert "SHOW CLUSTER was refused to anna" in health.words
    assert "MAINTAIN" in health.words


@pytest.mark.server
def test_the_rights_that_the_form_names_are_enough(filled: IoTDB, tmp_path: Path) -> None:
    filled.execute(
        "CREATE USER watcher 'Throwaway_3'",
        *(f"GRANT {right} ON root.** TO USER watcher" for right in ("READ_SCHEMA", "MAINTAIN", "MANAGE_USER")),
        *(f"GRANT {right} ON root.** TO USER watcher" for right in ("MANAGE_ROLE", "USE_UDF", "USE_TRIGGER")),
        *(f"GRANT {right} ON root.** TO USER watcher" for right in ("USE_CQ", "USE_PIPE")),
    )
    try:
        account = Account("watcher", "Throwaway_3")
        assert ask_health(account, [endpoint(filled)]).well
        mine, _ = taken(filled, tmp_path / "mine.json", account)
        of_root, _ = taken(filled, tmp_path / "root.json")
        assert list(mine.errors) == ["SHOW DEVICE TEMPLATES"]
        assert {**of_root.counts, **mine.counts} == of_root.counts
        assert set(of_root.counts) - set(mine.counts) == {"templates"}
    finally:
        filled.execute("DROP USER watcher")


@pytest.mark.server
def test_more_series_than_the_limit_are_counted_but_not_listed(filled: IoTDB, tmp_path: Path) -> None:
    summary, objects = taken(filled, tmp_path / "inventory.json", series_limit=100)
    assert summary.counts["series"] > 100
    assert "more than the limit of 100" in summary.errors["SHOW TIMESERIES root.**"]
    assert sum(summary.series_of.values()) == summary.counts["series"]
    assert not any(one["type"] == "series" for one in objects)
    assert any(one["type"] == "not_listed" for one in objects)


@pytest.mark.server
def test_what_does_not_fit_into_the_time_is_recorded_and_the_rest_is_kept(filled: IoTDB) -> None:
    lines: list[dict[str, object]] = []
    gathering = Gathering(lines.append)
    link = connect(endpoint(filled), ROOT.user, ROOT.password, time.monotonic() + 30)
    take_ttls(link, gathering, [])
    link._until = time.monotonic()
    take_jobs(link, gathering)
    link.close()
    assert gathering.counts["ttls"] == len(lines) > 0
    assert gathering.errors == dict.fromkeys(
        ("SHOW FUNCTIONS", "SHOW TRIGGERS", "SHOW CQS", "SHOW PIPES", "SHOW PIPEPLUGINS"),
        "the time for the inventory was over",
    )


def peak_of_the_child(server: IoTDB) -> tuple[int, int]:
    """Return the most memory, in kB, that the child took for an inventory, and its number of lines."""
    request = {"call": "inventory", "user": ROOT.user, "password": ROOT.password, "series_limit": 1_000_000}
    request |= {"endpoints": [endpoint(server)], "until": time.monotonic() + 300}
    with TemporaryFile() as given, TemporaryFile() as answer:
        given.write(json.dumps(request).encode() + b"\n")
        given.seek(0)
        child = subprocess.Popen(client.COMMAND, cwd=client.ROOT, stdin=given, stdout=answer)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        answer.seek(0)
        return used.ru_maxrss, sum(1 for _ in answer)


@pytest.mark.server
def test_fifty_thousand_series_take_no_more_memory_than_a_few(filled: IoTDB) -> None:
    few, short = peak_of_the_child(filled)
    filled.execute("CREATE DATABASE root.many")
    session = filled.session()
    try:
        for device in range(100):
            paths = [f"root.many.line.device{device}.s{number}" for number in range(500)]
            ones = [1] * len(paths)
            session.create_multi_time_series(paths, ones, [0] * len(paths), ones, None, None, None, None)
        many, long = peak_of_the_child(filled)
    finally:
        session.close()
        filled.execute("DELETE DATABASE root.many")
    assert long > short + 50_000
    assert many < few + 60_000, f"{few} kB, then {many} kB"


@pytest.fixture(name="hung")
def hung_server(filled: IoTDB) -> Iterator[IoTDB]:
    """The server, stopped by SIGSTOP: it takes connections and never answers."""
    for pid in filled.pids:
        os.kill(pid, signal.SIGSTOP)
    yield filled
    for pid in filled.pids:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.server
def test_a_server_that_hangs_costs_no_more_than_the_limit(hung: IoTDB, tmp_path: Path) -> None:
    began = Stopwatch()
    health = ask_health(ROOT, [endpoint(hung)], seconds=8)
    assert not health.well
    assert "does not answer" in health.words or "did not answer" in health.words
    with pytest.raises(NotAsked):
        take_inventory(ROOT, [endpoint(hung)], tmp_path / "inventory.json", seconds=8)
    assert began.seconds < 20
    assert list(tmp_path.iterdir()) == []
