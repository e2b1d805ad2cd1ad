"""The jars and the configuration files of the HDFS for tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

VERSION = "3.4.1"
SERVICE = "hacluster"
_ARTIFACTS = ("hadoop-hdfs", "hadoop-hdfs-client", "hadoop-common")
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>backupconsole</groupId><artifactId>hdfs-for-tests</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>{}</dependencies>
</project>
"""
_DEPENDENCY = (
    "<dependency><groupId>org.apache.hadoop</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"
)
_LOG4J = """log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
"""
# Small, quick to start, and quick to notice that a DataNode died.
COMMON: dict[str, object] = {
    "dfs.namenode.fs-limits.min-block-size": 1024,
    "dfs.permissions.enabled": "true",
    "dfs.webhdfs.enabled": "true",
    "dfs.namenode.datanode.registration.ip-hostname-check": "false",
    "dfs.namenode.safemode.extension": 0,
    "dfs.namenode.safemode.min.datanodes": 0,
    "dfs.namenode.handler.count": 4,
    "dfs.namenode.resource.du.reserved": 1048576,
    "dfs.heartbeat.interval": 1,
    "dfs.namenode.redundancy.interval.seconds": 1,
    "dfs.namenode.heartbeat.recheck-interval": 2000,
    "dfs.datanode.du.reserved": 0,
    "dfs.datanode.round-robin-volume-choosing-policy.additional-available-space": 0,
    "dfs.client.block.write.replace-datanode-on-failure.policy": "NEVER",
    "ipc.client.connect.max.retries": 3,
    "ipc.client.connect.timeout": 5000,
}


class Unavailable(Exception):
    """The server cannot be had on this machine; the text says what lacks."""


def distribution() -> Path:
    """Return the directory with the jars, fetching them once through Maven. Raises Unavailable.

    67 MB are kept in the user's cache, outside of the repository.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    base = cache / "backup-console" / f"hdfs-{VERSION}"
    lib = base / "lib"
    if not shutil.which("java"):
        raise Unavailable("no Java on the PATH (version 17 is known to serve)")
    if (lib / ".complete").exists():
        return lib
    if not shutil.which("mvn"):
        raise Unavailable("no Maven (mvn) on the PATH")
    base.mkdir(parents=True, exist_ok=True)
    (base / "pom.xml").write_text(_POM.format("".join(_DEPENDENCY.format(name, VERSION) for name in _ARTIFACTS)))
    command = ["mvn", "-q", "-B", "-f", str(base / "pom.xml"), "dependency:copy-dependencies"]
    command += [f"-DoutputDirectory={lib}", "-DincludeScope=runtime"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    except subprocess.TimeoutExpired as late:
        raise Unavailable("Maven did not deliver the jars within 10 minutes") from late
    if done.returncode:
        raise Unavailable(f"Maven cannot fetch HDFS {VERSION}: {(done.stdout + done.stderr).strip()[-300:]}")
    (lib / ".complete").touch()
    return lib


def write_configuration(directory: Path, file_system: str, settings: Mapping[str, object]) -> None:
    """Write the files of one process."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "log4j.properties").write_text(_LOG4J)
    core = {"fs.defaultFS": file_system, "hadoop.tmp.dir": directory / "tmp"}
    for name, values in (("core-site.xml", core), ("hdfs-site.xml", COMMON | dict(settings))):
        lines = (f"<property><name>{key}</name><value>{escape(str(values[key]))}</value></property>" for key in values)
        (directory / name).write_text(f'<?xml version="1.0"?><configuration>{"".join(lines)}</configuration>')


def web_applications(root: Path) -> Path:
    """Return a directory with the empty web applications that the jars lack and the servers look for."""
    for name in ("hdfs", "datanode", "journal", "secondary"):
        (root / "web" / "webapps" / name).mkdir(parents=True, exist_ok=True)
    return root / "web"
