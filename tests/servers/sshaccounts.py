"""Accounts on the real OpenSSH server that are not jailed: with a shell, and with and without rights by sudo."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.hosts import HostSpec
from tests.servers import unixkit
from tests.servers.openssh import PASSWORD, OpenSSH, openssh
from tests.unit.source_home import make_home

__all__ = ["openssh"]
PROGRAMS = ["sudo", "visudo"]
LONG_AGO = 1_600_000_000


@dataclass(frozen=True)
class Accounts:
    """``shell`` has a shell and no rights; ``free`` works as ``iotdb`` by sudo, ``asked`` too, with its password.

    ``room`` is a directory that ``shell``, ``free`` and ``asked`` may enter; ``own`` in it belongs to ``shell``,
    ``closed`` to ``iotdb`` alone.
    """

    server: OpenSSH
    room: Path
    shell: str
    free: str
    asked: str
    iotdb: str

    @property
    def own(self) -> Path:
        """Return the directory of ``shell``."""
        return self.room / "own"

    @property
    def closed(self) -> Path:
        """Return the directory that only ``iotdb`` may enter."""
        return self.room / "closed"

    def spec(self, user: str, **changes: Any) -> HostSpec:
        """Return how the server is reached as one of the accounts."""
        values: dict[str, Any] = {"reach": "ssh", "address": "127.0.0.1", "port": self.server.port, "user": user}
        values |= {"host_key": self.server.fingerprint(), "secrets": {"password": PASSWORD}}
        return HostSpec(**(values | changes))


@pytest.fixture(scope="session")
def accounts(openssh: OpenSSH) -> Iterator[Accounts]:
    """The accounts, for all tests of the session."""
    unixkit.need("sudo", PROGRAMS, "sudo")
    with ExitStack() as stack:
        shell, free, asked = (stack.enter_context(unixkit.account("/bin/sh")) for _ in range(3))
        iotdb = stack.enter_context(unixkit.account())
        lines = "".join(f"{user}:{PASSWORD}\n" for user in (shell, free, asked))
        subprocess.run([unixkit.program("chpasswd")], input=lines.encode(), check=True, timeout=60)
        rules = Path("/etc/sudoers.d") / openssh.directory.name
        stack.callback(rules.unlink, missing_ok=True)
        rules.write_text(f"{free} ALL=({iotdb}) NOPASSWD: ALL\n{asked} ALL=({iotdb}) ALL\n")
        rules.chmod(0o440)
        subprocess.run([unixkit.program("visudo"), "-cqf", rules], check=True, timeout=60)
        made = Accounts(openssh, openssh.directory / "machine", shell, free, asked, iotdb)
        made.own.mkdir(parents=True)
        made.closed.mkdir(mode=0o700)
        shutil.chown(made.own, shell, shell)
        shutil.chown(made.closed, iotdb, iotdb)
        yield made


@pytest.fixture(name="remote_home")
def home_of_iotdb(accounts: Accounts) -> Iterator[Path]:
    """A small home that only the IoTDB account of the server may enter; nothing in it is young."""
    home = make_home(accounts.closed / "home")
    give(home, accounts.iotdb)
    yield home
    shutil.rmtree(home)


def give(home: Path, owner: str, age: int = LONG_AGO) -> None:
    """Let a tree belong to an account, with old times."""
    for path in [home, *home.rglob("*")]:
        shutil.chown(path, owner, owner)
        os.utime(path, (age, age), follow_symlinks=False)
