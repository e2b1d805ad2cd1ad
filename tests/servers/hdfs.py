"""A real Apache Hadoop HDFS for tests: one NameNode, or an HA pair with a JournalNode, and DataNodes, on loopback.

Both NameNodes of a pair use the same port, as the form demands, on 127.0.0.1 and 127.0.0.2. The server has no IPv6:
addresses such as [::1]:8020 are refused by its own parser.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lacks import leave_out
from tests.servers import unixkit
from tests.servers.daemon import spawn, wait_for
from tests.servers.hdfs_layout import SERVICE, Unavailable, distribution, web_applications, write_configuration

NODES = {"nn1": "127.0.0.1", "nn2": "127.0.0.2"}
USER = "backup"
SMALL = 256
TARGET = "/backup/iotdb"
_SERVER = "org.apache.hadoop.hdfs.server"
_NAMENODE = f"{_SERVER}.namenode.NameNode"
_DATANODE = f"{_SERVER}.datanode.DataNode"
_JOURNAL = "org.apache.hadoop.hdfs.qjournal.server.JournalNode"
_PROXY = f"{_SERVER}.namenode.ha.ConfiguredFailoverProxyProvider"
_TOOLS = "org.apache.hadoop.hdfs.tools"
_JAVA = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss512k", "-Djava.net.preferIPv4Stack=true"]
_JAVA += ["--add-opens", "java.base/java.lang=ALL-UNNAMED"]


class HDFS:
    """A cluster in ``root``; ``TARGET`` belongs to ``USER``. With ``ha`` the NameNode nn1 is made active."""

    def __init__(self, root: Path, *, ha: bool = False, datanodes: int = 1, block: int = 8 << 20) -> None:
        self.root = root
        self.ha = ha
        self.datanodes = datanodes
        self.block = block
        self.rpc_port, self.http_port, self._journal_port = (unixkit.free_port() for _ in range(3))
        self._ports = [[unixkit.free_port() for _ in range(3)] for _ in range(datanodes)]
        self._lib = distribution()
        self._web = web_applications(root)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    # --- Configuration ------------------------------------------------------------------------------------------------
    @property
    def _file_system(self) -> str:
        return f"hdfs://{SERVICE}" if self.ha else f"hdfs://127.0.0.1:{self.rpc_port}"

    def _settings(self) -> dict[str, object]:
        """Return what all processes and the tools share."""
        settings: dict[str, object] = {"dfs.replication": self.datanodes, "dfs.blocksize": self.block}
        if not self.ha:
            return settings | {
                "dfs.namenode.rpc-address": f"127.0.0.1:{self.rpc_port}",
                "dfs.namenode.http-address": f"127.0.0.1:{self.http_port}",
                "dfs.namenode.secondary.http-address": "127.0.0.1:0",
            }
        for name, address in NODES.items():
            settings[f"dfs.namenode.rpc-address.{SERVICE}.{name}"] = f"{address}:{self.rpc_port}"
            settings[f"dfs.namenode.http-address.{SERVICE}.{name}"] = f"{address}:{self.http_port}"
        return settings | {
            "dfs.nameservices": SERVICE,
            f"dfs.ha.namenodes.{SERVICE}": ",".join(NODES),
            f"dfs.client.failover.proxy.provider.{SERVICE}": _PROXY,
            "dfs.namenode.shared.edits.dir": f"qjournal://127.0.0.1:{self._journal_port}/{SERVICE}",
            "dfs.ha.fencing.methods": "shell(true)",
            "dfs.ha.automatic-failover.enabled": "false",
            "dfs.ha.tail-edits.period": "1s",
            "dfs.client.failover.sleep.base.millis": 100,
            "dfs.client.failover.sleep.max.millis": 1000,
        }

    def _configure(self, name: str, **more: object) -> None:
        settings = self._settings() | {key.replace("__", "-").replace("_", "."): value for key, value in more.items()}
        write_configuration(self.root / "conf" / name, self._file_system, settings)

    def _lay_out(self) -> None:
        self._configure("client")
        for name in self._namenodes:
            more = {"dfs_ha_namenode_id": name} if self.ha else {}
            self._configure(name, dfs_namenode_name_dir=f"file://{self.root}/data/{name}", **more)
        for number, (data, ipc, http) in enumerate(self._ports, 1):
            self._configure(
                f"dn{number}",
                dfs_datanode_data_dir=f"file://{self.root}/data/dn{number}",
                dfs_datanode_address=f"127.0.0.1:{data}",
                dfs_datanode_ipc_address=f"127.0.0.1:{ipc}",
                dfs_datanode_http_address=f"127.0.0.1:{http}",
                dfs_datanode_hostname="localhost",
            )

    @property
    def _namenodes(self) -> list[str]:
        return list(NODES) if self.ha else ["nn1"]

    # --- Processes ----------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start everything and wait until files can be written."""
        self._lay_out()
        if self.ha:
            self._start_journal()
        self._tool("nn1", _NAMENODE, "-format", "-nonInteractive", "-force")
        if self.ha:
            # What -bootstrapStandby does, without one more Java.
            shutil.copytree(self.root / "data" / "nn1", self.root / "data" / "nn2")
            (self.root / "data" / "nn2" / "in_use.lock").unlink(missing_ok=True)
        for name in self._namenodes:
            self.start_node(name)
        for number in range(1, self.datanodes + 1):
            self.start_datanode(number)
        if self.ha:
            for name in self._namenodes:
                self.await_state(name, "standby")
            self.make_active("nn1")
        for name in self._namenodes:
            self.await_serving(name)
        self.shell("-mkdir", "-p", TARGET, "/quota", "/others")
        self.shell("-chown", "-R", USER, "/backup", "/quota")

    def _start_journal(self) -> None:
        self._configure(
            "jn1",
            dfs_journalnode_rpc__address=f"127.0.0.1:{self._journal_port}",
            dfs_journalnode_http__address="127.0.0.1:0",
            dfs_journalnode_edits_dir=self.root / "data" / "jn1",
        )
        self._spawn("jn1", _JOURNAL, "128m")
        self._await("jn1", lambda: unixkit.answers(self._journal_port))

    def start_node(self, name: str) -> None:
        """Start a NameNode that is down."""
        self._spawn(name, _NAMENODE, "256m")

    def start_datanode(self, number: int) -> None:
        """Start a DataNode that is down; the NameNodes count it when it has reported."""
        self._spawn(f"dn{number}", _DATANODE, "256m")
        self._await(f"dn{number}", lambda: unixkit.answers(self._ports[number - 1][2]))

    def runs(self, name: str) -> bool:
        """Tell whether a process is up."""
        return name in self._processes and self._processes[name].poll() is None

    def await_state(self, name: str, *states: str) -> None:
        """Wait until a NameNode is in one of the states."""
        self._await(name, lambda: self.state(name) in states)

    def await_serving(self, name: str) -> None:
        """Wait until a NameNode has left safe mode and counts all DataNodes."""
        self._await(name, lambda: self._serves(name))

    def _spawn(self, name: str, main: str, heap: str) -> None:
        command = [*_JAVA, f"-Xmx{heap}", f"-Dhadoop.log.dir={self.root}", "-cp", self._class_path(name), main]
        self._processes[name] = spawn(command, self._log(name))

    def _class_path(self, configuration: str) -> str:
        return f"{self.root}/conf/{configuration}:{self._web}:{self._lib}/*"

    def _log(self, name: str) -> Path:
        return self.root / f"{name}.log"

    def _await(self, name: str, ready: Any) -> None:
        wait_for(ready, 90, f"HDFS {name}", self._log(name))

    def suspend(self, name: str) -> None:
        """Let a process hang: connections stay, nothing is answered."""
        self._processes[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Go on after ``suspend``."""
        self._processes[name].send_signal(signal.SIGCONT)

    def kill(self, name: str) -> None:
        """End a process as a loss of power would."""
        unixkit.end(self._processes.pop(name))

    def stop(self) -> None:
        """End everything."""
        for name in reversed(list(self._processes)):
            self.kill(name)

    # --- Questions and tools ------------------------------------------------------------------------------------------
    def _beans(self, name: str, query: str) -> dict[str, Any]:
        url = f"http://{NODES[name]}:{self.http_port}/jmx?qry=Hadoop:service=NameNode,name={query}"
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(url, timeout=3) as answer:
            beans: list[dict[str, Any]] = json.load(answer)["beans"]
        return beans[0]

    def state(self, name: str) -> str:
        """Return whether a NameNode is active or standby."""
        return str(self._beans(name, "NameNodeStatus")["State"])

    def _serves(self, name: str) -> bool:
        live = self._beans(name, "FSNamesystemState")["NumLiveDataNodes"]
        return bool(live == self.datanodes and self._beans(name, "NameNodeInfo")["Safemode"] == "")

    def _tool(self, configuration: str, main: str, *words: str) -> str:
        command = [*_JAVA, "-Xmx256m", "-cp", self._class_path(configuration), main, *words]
        environment = os.environ | {"HADOOP_USER_NAME": "root"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, env=environment)
        if done.returncode:
            raise RuntimeError(f"{main} {' '.join(words)}: {(done.stdout + done.stderr)[-1500:]}")
        return done.stdout

    def shell_command(self, *words: str) -> list[str]:
        """Return the command line of ``hdfs dfs``; its user is that of HADOOP_USER_NAME."""
        return [*_JAVA, "-Xmx256m", "-cp", self._class_path("client"), "org.apache.hadoop.fs.FsShell", *words]

    def shell(self, *words: str) -> str:
        """Run ``hdfs dfs`` as the superuser."""
        return self._tool("client", "org.apache.hadoop.fs.FsShell", *words)

    def admin(self, *words: str) -> str:
        """Run ``hdfs dfsadmin``."""
        return self._tool("client", f"{_TOOLS}.DFSAdmin", *words)

    def make_active(self, name: str, force: bool = False) -> None:
        """Make a NameNode active; with ``force`` although the other one cannot be asked."""
        words = ["-transitionToActive", *(["--forceactive"] if force else []), name]
        self._tool("client", f"{_TOOLS}.DFSHAAdmin", *words)

    def make_standby(self, name: str) -> None:
        """Make a NameNode standby."""
        self._tool("client", f"{_TOOLS}.DFSHAAdmin", "-transitionToStandby", name)

    def parameters(self, **changes: Any) -> dict[str, Any]:
        """Return what a form would hold, and the values that it leaves at their defaults."""
        values: dict[str, Any] = {
            "name_service": SERVICE,
            "ip_mode": "ipv4",
            "active_ip": NODES["nn1"],
            "standby_ip": NODES["nn2"],
            "rpc_port": self.rpc_port,
            "http_port": self.http_port,
            "target_path": TARGET,
            "username": USER,
            "copies": 7,
        }
        return values | changes


def require() -> None:
    """Skip the test that calls this where the server cannot be had, saying what lacks; with CI=true fail it instead."""
    try:
        distribution()
    except Unavailable as lack:
        leave_out(f"HDFS tests do not run: {lack}")


def _running(root: Path, **options: Any) -> Iterator[HDFS]:
    require()
    server = HDFS(root, **options)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def hdfs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HDFS]:
    """One NameNode and one DataNode, shared by all tests of the session; tests leave it running and unhurt.

    The disk of the DataNode has ``SMALL`` mebibytes where this machine lets such a disk be mounted.
    """
    root = tmp_path_factory.mktemp("hdfs")
    (root / "data").mkdir()
    with unixkit.small_disk(root / "data" / "dn1", SMALL):
        yield from _running(root)


@pytest.fixture(scope="module")
def hdfs_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HDFS]:
    """An HA pair and two DataNodes, to hurt; each test leaves nn1 active and nn2 standby."""
    yield from _running(tmp_path_factory.mktemp("hdfs-ha"), ha=True, datanodes=2)
