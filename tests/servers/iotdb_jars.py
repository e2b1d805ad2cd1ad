"""The jars of Apache IoTDB, fetched through Maven once and kept in the user's cache, outside of the repository.

Only 2.0.1-beta is complete in the Maven repository: 165 jars, 105 MB.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

VERSION = "2.0.1-beta"
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>backupconsole</groupId><artifactId>iotdb-for-tests</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>{}</dependencies>
</project>
"""
_DEPENDENCY = (
    "<dependency><groupId>org.apache.iotdb</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"
)


class Unavailable(Exception):
    """The server cannot be had on this machine; the text says what lacks."""


def distribution() -> Path:
    """Return the directory with the server's jars, fetching them once. Raises Unavailable."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    base = cache / "backup-console" / f"iotdb-{VERSION}"
    lib = base / "lib"
    if not shutil.which("java"):
        raise Unavailable("no Java on the PATH (version 17 is known to serve)")
    if (lib / ".complete").exists():
        return lib
    if not shutil.which("mvn"):
        raise Unavailable("no Maven (mvn) on the PATH")
    base.mkdir(parents=True, exist_ok=True)
    wanted = "".join(_DEPENDENCY.format(name, VERSION) for name in ("iotdb-server", "iotdb-confignode"))
    (base / "pom.xml").write_text(_POM.format(wanted))
    fresh = Path(tempfile.mkdtemp(prefix="fetching-", dir=base))
    try:
        _fetch(base / "pom.xml", fresh)
        if not (lib / ".complete").exists():  # else somebody was quicker, and may be using it by now
            shutil.rmtree(lib, ignore_errors=True)
            fresh.rename(lib)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return lib


def _fetch(pom: Path, target: Path) -> None:
    command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
    command += [f"-DoutputDirectory={target}", "-DincludeScope=runtime"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    except subprocess.TimeoutExpired as late:
        raise Unavailable("Maven did not deliver the jars within 10 minutes") from late
    if done.returncode:
        raise Unavailable(f"Maven cannot fetch Apache IoTDB {VERSION}: {(done.stdout + done.stderr).strip()[-300:]}")
    (target / ".complete").touch()
