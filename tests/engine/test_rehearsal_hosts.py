"""A cluster whose nodes had the same ports on different hosts is rehearsed: each host gets a network of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tasks.engine.snapshot import scratch_directory
from tasks.models import BackupTask, Node, Run, Service
from tasks.rehearsal import machine, outside
from tasks.rehearsal.plan import Login, Plan, ScratchNode
from tasks.states import RunState
from tests.engine.kit import log_of, run_now
from tests.engine.rehearsal_kit import leftovers, rehearse_now, require_means
from tests.lacks import leave_out
from tests.servers.iotdb_jars import distribution
from tests.servers.iotdb_ports import PORTS

pytestmark = [pytest.mark.server, pytest.mark.django_db(transaction=True)]
HOSTS = {"east": ("10.77.0.1", "iotdb-east.example"), "west": ("10.77.0.2", "iotdb-west.example")}
_LIVE = """
import json, sys, time
sys.path.insert(0, {root!r})
from tasks.rehearsal import network
from tasks.rehearsal.inside import Rehearsal
from tasks.rehearsal.isolation import isolate
from tasks.rehearsal.plan import Plan
plan = Plan.of(sys.stdin.buffer.readline())
live = Rehearsal(plan, lambda *_, **__: None)
networks = network.make(plan.hosts)
isolate(plan.scratch, plan.names, (), [])
live.servers.start(networks)
live.wait_for_port()
while len(live.wait()[0].nodes) < 4:
    time.sleep(1)
from iotdb.Session import Session
host, port = live.endpoints[0]
session = Session(host, port, "root", "root", zone_id="UTC", enable_redirection=False)
session.open(False)
for number in range(6):
    session.execute_non_query_statement(f"CREATE DATABASE root.plant{{number}}")
    for series in range(10):
        session.execute_non_query_statement(
            f"CREATE TIMESERIES root.plant{{number}}.line1.device1.s{{series}} WITH datatype=FLOAT, encoding=PLAIN")
summary, missing = live.inventory(plan.logins[0])
print(json.dumps(summary.as_json() if summary else missing), flush=True)
sys.stdin.read()
import os; os._exit(0)
"""


@pytest.fixture(autouse=True)
def means(settings: Any, storage_path: Path) -> None:
    """An installation, and a kernel that makes namespaces; without them nothing is run here, loudly."""
    require_means(settings)
    if not shutil.which("ip"):
        leave_out("the command ip (iproute2) is missing")


def configure(home: Path, address: str, name: str) -> None:
    """Write the configuration of a new node: its ports are the default ones, as on every other host."""
    seed = f"{HOSTS['east'][1]}:{PORTS['cn_internal_port']}"
    lines = {
        "cluster_name": "two-hosts",
        "cn_internal_address": name,
        "dn_internal_address": name,
        "dn_rpc_address": address,
        "cn_seed_config_node": seed,
        "dn_seed_config_node": seed,
        "schema_replication_factor": "1",
        "data_replication_factor": "1",
        "wal_buffer_size_in_byte": "1048576",
        "cn_metric_reporter_list": "",
        "dn_metric_reporter_list": "",
    } | {port: str(number) for port, number in PORTS.items()}
    (home / "conf").mkdir(parents=True)
    (home / "conf" / "iotdb-system.properties").write_text("".join(f"{key}={value}\n" for key, value in lines.items()))


@contextmanager
def cluster_of_two_hosts(root: Path) -> Iterator[dict[str, Any]]:
    """A running cluster with metadata on both hosts; gives its inventory in short."""
    for node, (address, name) in HOSTS.items():
        configure(root / node, address, name)
    port = PORTS["dn_rpc_port"]
    plan = Plan(
        scratch=str(root),
        lib=str(distribution()),
        java=machine.java().path,
        nodes=tuple(
            ScratchNode(node, str(root / node), True, True, i, HOSTS[node][0], port) for i, node in enumerate(HOSTS)
        ),
        hosts=tuple((address,) for address, _ in HOSTS.values()),
        names=tuple((name, address) for address, name in HOSTS.values()),
        hidden=(),
        keep=(),
        logins=(Login("root", "root", "root"),),
        heap_mb=512,
        seconds=400,
    )
    command = [
        *machine.namespaces(scratch_directory()).command,
        sys.executable,
        "-c",
        _LIVE.format(root=str(outside.ROOT)),
    ]
    process = subprocess.Popen(command, cwd=outside.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(plan.as_line())
        said = process.stdout.readline()
        assert said, "the cluster did not come up"
        yield json.loads(said)
    finally:
        outside.end(process)


def test_a_cluster_of_two_hosts_with_the_same_ports_is_rehearsed(
    service: Service, task: BackupTask, tmp_path: Path, settings: Any
) -> None:
    settings.REHEARSAL_HEAP_MB = 512
    with cluster_of_two_hosts(tmp_path / "live") as summary:
        for name in HOSTS:
            Node.objects.create(service=service, name=name, home=str(tmp_path / "live" / name))
        run = run_now(task)
    assert summary["counts"]["series"] == 60
    Run.objects.filter(pk=run.pk).update(inventory={"IoTDB": summary})
    rehearsal = rehearse_now(run)
    assert rehearsal.state == RunState.SUCCESSFUL, log_of(rehearsal)
    assert "4 of 4 nodes Running" in log_of(rehearsal)
    assert "counts equal, 60 time series." in rehearsal.reason
    assert leftovers() == []
