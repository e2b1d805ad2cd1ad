"""The Java processes of a rehearsal: ConfigNodes and DataNodes of the jars of an installation, on small heaps."""

from __future__ import annotations

import os
import re
import subprocess
from functools import partial

from tasks.rehearsal import system
from tasks.rehearsal.plan import Plan, ScratchNode

MAIN = {
    "ConfigNode": "org.apache.iotdb.confignode.service.ConfigNode",
    "DataNode": "org.apache.iotdb.db.service.DataNode",
}
_PACKAGES = ("java.util.concurrent", "java.lang", "java.util", "java.nio", "java.io", "java.net")
_LOGBACK = """<configuration>
  <appender name="F" class="ch.qos.logback.core.FileAppender">
    <file>${node.log}</file>
    <encoder><pattern>%d [%t] %-5p %C{1}:%L - %m%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="F"/></root>
</configuration>
"""
_DIRECT_MB = {"ConfigNode": 128, "DataNode": 512}
_OWN_MB = 160  # a Java process besides its heap: code, classes, threads (measured, 2.0.1-beta)
_LINE = 300
# A line of the level ERROR, and the exception that stands in the next one.
_ERROR = re.compile(r"^\S+ \S+ \[.*?\] ERROR .*? - (.*(?:\n\S*(?:Exception|Error)\b.*)?)$", re.MULTILINE)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


class Ended(Exception):
    """A process of the rehearsed service ended; the text says which, and the last error of its log."""


def heap_mb(role: str, data_heap_mb: int) -> int:
    """Return the heap of a role in MB."""
    return data_heap_mb if role == "DataNode" else max(128, data_heap_mb // 3)


def memory_needed(roles: list[str], data_heap_mb: int) -> int:
    """Return the bytes that processes of these roles may need together."""
    return sum(heap_mb(role, data_heap_mb) + _OWN_MB for role in roles) * 1_000_000


def roles_of(config_node: bool, data_node: bool) -> list[str]:
    """Return the roles to start, in the order to start them."""
    return ["ConfigNode"] * config_node + ["DataNode"] * data_node


class Servers:
    """The processes of one rehearsal; they end with the process that started them at the latest."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._networks: list[int | None] = []
        self._running: dict[str, tuple[subprocess.Popen[bytes], str]] = {}
        self.peak = 0

    def start(self, networks: list[int | None]) -> None:
        """Start every ConfigNode, then every DataNode, each in the network of its host. Raises OSError."""
        self._networks = networks
        for role in MAIN:
            for node in self._plan.nodes:
                if role in roles_of(node.config_node, node.data_node):
                    self._start(node, role)

    def look(self) -> None:
        """Raise Ended where a process is gone, and note how much memory they hold."""
        for name, (process, log) in self._running.items():
            if process.poll() is not None:
                raise Ended(f"{name} ended with status {process.returncode}. {last_error(log)}".strip())
        self.peak = max(self.peak, sum(_resident(process.pid) for process, _ in self._running.values()))

    def errors(self) -> str:
        """Return the last errors that the processes logged, in one sentence each; empty where there are none."""
        told = ((name, last_error(log)) for name, (_, log) in self._running.items())
        return " ".join(f"{name}: {error}" for name, error in told if error)

    def _start(self, node: ScratchNode, role: str) -> None:
        logs, conf = os.path.join(node.home, "logs"), os.path.join(node.home, "conf")
        os.makedirs(logs, mode=0o700, exist_ok=True)
        logback = os.path.join(logs, "logback.xml")
        with open(logback, "w", encoding="utf-8") as file:
            file.write(_LOGBACK)
        log = os.path.join(logs, f"{role}.log")
        defines = _defines(node.home, conf, logs, role)
        defines |= {"logback.configurationFile": logback, "node.log": log, "java.io.tmpdir": self._temporary()}
        command = [self._plan.java, *(f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _PACKAGES)]
        command += ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xss512k"]
        command += [f"-Xmx{heap_mb(role, self._plan.heap_mb)}m", f"-XX:MaxDirectMemorySize={_DIRECT_MB[role]}m"]
        command += ["-XX:+ExitOnOutOfMemoryError", "-Dfile.encoding=UTF-8", "-Dsun.jnu.encoding=UTF-8"]
        command += [f"-D{name}={value}" for name, value in defines.items()]
        command += ["-cp", f"{self._plan.lib}/*", MAIN[role], "-s"]
        with open(os.path.join(logs, f"{role}.out"), "wb") as out:
            process = subprocess.Popen(
                command,
                cwd=node.home,
                env={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=partial(_enter, self._networks[node.host]),
            )
        self._running[f"{role} {node.name}"] = (process, log)

    def _temporary(self) -> str:
        path = os.path.join(self._plan.scratch, "_tmp")
        os.makedirs(path, mode=0o700, exist_ok=True)
        return path


def _enter(network: int | None) -> None:
    """Become what a server may be: in its host's network, without rights, and no longer there than its parent."""
    if network is not None:
        system.enter_network(network)
    system.give_up_rights()
    system.end_with_parent()


def last_error(log: str) -> str:
    """Return the last error in a log as a sentence, shortened, without anything that was quoted in it."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - (1 << 18)))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    found = _ERROR.findall(text)
    # IoTDB may log a statement, and a statement may hold a password.
    said = " ".join(_QUOTED.sub("…", found[-1]).split()) if found else ""
    return f"Its last error: {said[:_LINE].rstrip('.')}." if said else ""


def _defines(home: str, conf: str, logs: str, role: str) -> dict[str, str]:
    common = {"TSFILE_HOME": home, "TSFILE_CONF": conf, "iotdb.jmx.local": "true", "iotdb-foreground": "yes"}
    if role == "ConfigNode":
        own = {"CONFIGNODE_HOME": home, "CONFIGNODE_DATA_HOME": home, "CONFIGNODE_CONF": conf, "CONFIGNODE_LOGS": logs}
        return common | own | {"name": "iotdb.ConfigNode"}
    own = {"IOTDB_HOME": home, "IOTDB_DATA_HOME": home, "IOTDB_CONF": conf, "IOTDB_LOG_DIR": logs}
    return common | own | {"OFF_HEAP_MEMORY": "1024M", "name": "iotdb.IoTDB"}


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
