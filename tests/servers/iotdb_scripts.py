"""An IoTDB that is started and stopped as in life: by scripts in its ``sbin``, by whoever calls them."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.servers.iotdb import IoTDB, write_properties
from tests.servers.iotdb_metadata import create_metadata
from tests.servers.iotdb_ports import free_offset

NODES = ("confignode", "datanode")


class ScriptedIoTDB(IoTDB):
    """A home with the scripts; the console starts and stops the server, and so may the test, as ``account``."""

    account = ""

    @classmethod
    def prepare(cls, home: Path, lib: Path | None = None) -> ScriptedIoTDB:
        """Write configuration and scripts into ``home``; ``lib`` is where the jars are for whoever starts it."""
        write_properties(home, free_offset(), {})
        server = cls(home)
        server.lib = lib or server.lib
        (home / "sbin").mkdir()
        (home / "run").mkdir()
        for node, command in server.commands().items():
            pid, out = home / "run" / f"{node}.pid", home / "logs" / f"{node}.out"
            start = f"cd {home}\nsetsid nohup {shlex.join(command)} > {out} 2>&1 < /dev/null & echo $! > {pid}"
            # SIGKILL: in order it takes half a minute each time, and nothing here depends on it.
            stop = f"kill -KILL $(cat {pid}); rm -f {pid}"
            for verb, line in (("start", start), ("stop", stop)):
                (home / "sbin" / f"{verb}-{node}.sh").write_text(f"#!/bin/bash\n{line}\n")
        return server

    def begin(self, timeout: float = 240) -> None:
        """Start it by its scripts and wait until it is healthy."""
        by = ["sudo", "-n", "-u", self.account, "--"] if self.account else []
        for node in NODES:
            subprocess.run([*by, "bash", self.home / "sbin" / f"start-{node}.sh", "-d"], check=True, timeout=30)
        self.wait(timeout)

    def end(self) -> None:
        """Kill what runs of it."""
        for node in NODES:
            with suppress(OSError, ValueError):
                os.kill(int((self.home / "run" / f"{node}.pid").read_text()), signal.SIGKILL)

    @contextmanager
    def serving(self) -> Iterator[ScriptedIoTDB]:
        """Give it healthy, with metadata of every kind, and remove it at the end."""
        try:
            self.begin()
            create_metadata(self)
            yield self
        finally:
            self.remove()

    def remove(self) -> None:
        """Kill it and remove its home: preallocated logs take hundreds of megabytes."""
        self.end()
        shutil.rmtree(self.home, ignore_errors=True)
