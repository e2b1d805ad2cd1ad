"""A real Apache IoTDB for tests: one ConfigNode and one DataNode on the loopback address."""

from __future__ import annotations

import atexit
import ctypes
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.lacks import leave_out
from tests.servers.iotdb_jars import Unavailable, distribution
from tests.servers.iotdb_ports import PORTS, busy_ports, free_offset

ROOT_PASSWORD = "root"
ZONE = "UTC"  # of server and sessions: some answers hold times as text, and Django sets TZ for its children
PROPERTIES = "conf/iotdb-system.properties"
_LOGBACK = """<configuration>
  <appender name="F" class="ch.qos.logback.core.FileAppender">
    <file>${node.log}</file>
    <encoder><pattern>%d [%t] %-5p %C{1}:%L - %m%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="F"/></root>
</configuration>
"""
_PACKAGES = ("java.util.concurrent", "java.lang", "java.util", "java.nio", "java.io", "java.net")
_PR_SET_PDEATHSIG = 1


class StartFailed(Exception):
    """A node died or did not become healthy; the text ends with its log."""


def read_properties(home: Path) -> dict[str, str]:
    """Return the settings of a home as written."""
    lines = (home / PROPERTIES).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def write_properties(home: Path, offset: int, properties: Mapping[str, str]) -> None:
    """Write the smallest configuration that serves: loopback addresses, shifted ports, small buffers."""
    ports = {name: port + offset for name, port in PORTS.items()}
    seed = f"127.0.0.1:{ports['cn_internal_port']}"
    lines: dict[str, object] = {"cluster_name": "defaultCluster", "cn_internal_address": "127.0.0.1"}
    lines |= {"cn_seed_config_node": seed, "dn_seed_config_node": seed}
    lines |= {"dn_rpc_address": "127.0.0.1", "dn_internal_address": "127.0.0.1", **ports}
    lines |= {"schema_replication_factor": 1, "data_replication_factor": 1}
    # With the default of 16 MB a data region a small heap soon has no DataRegionGroup to offer.
    lines |= {"wal_buffer_size_in_byte": 1048576, "cn_metric_reporter_list": "", "dn_metric_reporter_list": ""}
    lines |= properties
    path = home / PROPERTIES
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class IoTDB:
    """A running server. Start it with ``IoTDB.start``; it dies with the thread that started it at the latest."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.properties = read_properties(home)
        self.rpc_port = int(self.properties["dn_rpc_port"])
        self.lib = distribution()
        self._nodes: dict[str, subprocess.Popen[bytes]] = {}

    @classmethod
    def start(
        cls, home: Path, offset: int | None = None, properties: Mapping[str, str] | None = None, *, timeout: float = 240
    ) -> IoTDB:
        """Start a server in ``home`` and return it when it is healthy.

        A home that has a configuration keeps its ports, as the server demands; a new one gets the default ports plus
        ``offset``, or free ones. Raises Unavailable (no Java, no jars, ports taken) and StartFailed.
        """
        distribution()
        if not (home / PROPERTIES).exists():
            write_properties(home, free_offset() if offset is None else offset, properties or {})
        server = cls(home)
        if taken := busy_ports({name: int(server.properties[name]) for name in PORTS}):
            raise Unavailable(f"ports taken: {taken}")
        atexit.register(server.stop, kill=True)
        try:
            server.launch()
            server.wait(timeout)
        except BaseException:
            server.stop(kill=True)
            raise
        return server

    @property
    def running(self) -> bool:
        """Whether both nodes run."""
        return bool(self._nodes) and all(node.poll() is None for node in self._nodes.values())

    @property
    def pids(self) -> list[int]:
        """The process ids of the nodes that were started, the ConfigNode first."""
        return [node.pid for node in self._nodes.values()]

    def kill(self, node: str) -> None:
        """End one node, ``datanode`` or ``confignode``, by SIGKILL and wait for it."""
        process = self._nodes[node]
        process.kill()
        process.wait()

    def stop(self, kill: bool = False) -> None:
        """End the DataNode, then the ConfigNode, and wait: by SIGTERM (half a minute) or at once by SIGKILL."""
        for name in ("datanode", "confignode"):
            node = self._nodes.pop(name, None)
            if node is None:
                continue
            node.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            try:
                node.wait(90)
            except subprocess.TimeoutExpired:
                node.kill()
                node.wait()

    def session(self, user: str = "root", password: str = ROOT_PASSWORD) -> Any:
        """Return an open session of the tree model; the caller closes it."""
        from iotdb.Session import Session

        session = Session("127.0.0.1", str(self.rpc_port), user, password, fetch_size=10000, zone_id=ZONE)
        session.open(False)
        return session

    def table_session(self, user: str = "root", password: str = ROOT_PASSWORD) -> Any:
        """Return an open session of the table model; the caller closes it."""
        from iotdb.table_session import TableSession, TableSessionConfig

        config = TableSessionConfig(
            node_urls=[f"127.0.0.1:{self.rpc_port}"],
            username=user,
            password=password,
            fetch_size=10000,
            time_zone=ZONE,
        )
        return TableSession(config)

    def execute(self, *statements: str) -> None:
        """Run statements in the tree model."""
        session = self.session()
        try:
            for statement in statements:
                session.execute_non_query_statement(statement)
        finally:
            session.close()

    def launch(self) -> None:
        """Start both nodes; they do not serve yet."""
        for node, command in self.commands().items():
            with (self.home / "logs" / f"{node}.out").open("wb") as out:
                self._nodes[node] = subprocess.Popen(
                    command,
                    cwd=self.home,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    preexec_fn=_die_with_parent,
                )

    def commands(self) -> dict[str, list[str]]:
        """Return the command line of each node, the ConfigNode first; what they log to is made."""
        logs = self.home / "logs"
        logs.mkdir(exist_ok=True)
        (logs / "logback.xml").write_text(_LOGBACK)
        home, conf = self.home, self.home / "conf"
        common = {"TSFILE_HOME": home, "TSFILE_CONF": conf, "iotdb.jmx.local": "true", "iotdb-foreground": "yes"}
        config = {"CONFIGNODE_HOME": home, "CONFIGNODE_DATA_HOME": home, "CONFIGNODE_CONF": conf}
        data = {"IOTDB_HOME": home, "IOTDB_DATA_HOME": home, "IOTDB_CONF": conf, "IOTDB_LOG_DIR": logs}
        return {
            "confignode": self._command(
                "confignode",
                "org.apache.iotdb.confignode.service.ConfigNode",
                ("256m", "128m"),
                common | config | {"CONFIGNODE_LOGS": logs, "name": "iotdb.ConfigNode"},
            ),
            "datanode": self._command(
                "datanode",
                "org.apache.iotdb.db.service.DataNode",
                ("768m", "512m"),
                common | data | {"OFF_HEAP_MEMORY": "1024M", "name": "iotdb.IoTDB"},
            ),
        }

    def _command(self, node: str, main: str, memory: tuple[str, str], defines: Mapping[str, object]) -> list[str]:
        logs = self.home / "logs"
        defines = dict(defines) | {"logback.configurationFile": logs / "logback.xml", "node.log": logs / f"{node}.log"}
        command = ["java", *(f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _PACKAGES)]
        command += [
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Xss512k",
            "-Dfile.encoding=UTF-8",
            f"-Duser.timezone={ZONE}",
        ]
        command += [f"-Xmx{memory[0]}", f"-XX:MaxDirectMemorySize={memory[1]}", "-Dsun.jnu.encoding=UTF-8"]
        command += [f"-D{name}={value}" for name, value in defines.items()]
        return [*command, "-cp", ":".join(sorted(map(str, self.lib.glob("*.jar")))), main, "-s"]

    def wait(self, timeout: float, *, counts: bool = True) -> None:
        """Wait until all nodes are Running and, unless not ``counts``, series are counted; raise StartFailed."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for name, node in self._nodes.items():
                if node.poll() is not None:
                    raise StartFailed(f"{name} ended with {node.returncode}: {self._tail(name)}")
            with suppress(Exception):
                if self._healthy(counts):
                    return
            time.sleep(0.3)
        raise StartFailed(f"not healthy after {timeout:.0f} s: {self._tail('datanode')}")

    def _healthy(self, counts: bool) -> bool:
        """SHOW CLUSTER alone says Running with every schema region missing; a count does not."""
        socket.create_connection(("127.0.0.1", self.rpc_port), 1).close()
        session = self.session()
        try:
            nodes = rows(session, "SHOW CLUSTER")
            if counts:
                rows(session, "COUNT TIMESERIES root.**")
        finally:
            session.close()
        kinds = {row["NodeType"] for row in nodes}
        return kinds >= {"ConfigNode", "DataNode"} and all(row["Status"] == "Running" for row in nodes)

    def _tail(self, node: str) -> str:
        text = ""
        for name in (f"{node}.out", f"{node}.log"):
            with suppress(OSError):
                text += (self.home / "logs" / name).read_text(errors="replace")[-1500:]
        return text


def rows(session: Any, statement: str) -> list[dict[str, Any]]:
    """Return the rows of a query as dictionaries; empty values are None."""
    answer = session.execute_query_statement(statement)
    frame = answer.todf()
    answer.close_operation_handle()
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def require() -> None:
    """Skip the test that calls this where the server cannot be had, saying what lacks; with CI=true fail it."""
    try:
        distribution()
    except Unavailable as lack:
        unavailable(lack)


def unavailable(lack: Unavailable) -> NoReturn:
    """End a test for which the server cannot be had: skipped, or failed with CI=true."""
    leave_out(f"IoTDB tests do not run: {lack}")


@pytest.fixture(scope="session", name="iotdb")
def iotdb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IoTDB]:
    """A running server without content, shared by all tests of the session; tests add names of their own."""
    require()
    server = IoTDB.start(tmp_path_factory.mktemp("iotdb-home"))
    yield server
    server.stop(kill=True)
