"""A real Samba server for tests: one account, several shares, on both loopback addresses."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.servers import unixkit

PACKAGES = "samba"
PROGRAMS = ["smbd", "smbpasswd", "useradd"]
PASSWORD = "S3cret of cifs"
_HOME = ("private", "lock", "state", "cache", "run", "ncalrpc", "log", "share", "ro")
_SHARES = {"backup": ("share", "no"), "ro": ("ro", "yes"), "small": ("small", "no")}


@dataclass
class Samba(unixkit.FileServer):
    """A running server; ``share`` is the directory behind the share *backup*."""

    extra: dict[str, str] = field(default_factory=dict)

    @property
    def share(self) -> Path:
        """Return the directory of the share *backup*."""
        return self.directory / "share"

    def parameters(self, path: str = "/backup/iotdb", **changes: Any) -> dict[str, Any]:
        """Return what stands in the form's fields."""
        values = {"ip_mode": "ipv4", "server_ip": "127.0.0.1", "port": self.port, "username": self.user}
        return values | {"shared_path": path, "copies": 7} | changes

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = self.directory / "smb.conf"
        settings.write_text(self._settings())
        self._add_account(settings)
        command = [unixkit.program("smbd"), "--foreground", "--no-process-group", f"--configfile={settings}"]
        self.launch(command, self.directory / "smbd.out")

    def is_session(self, process: psutil.Process) -> bool:
        """Tell whether a child serves a connection; others keep the server's house."""
        with suppress(psutil.Error):
            return any(one.laddr.port == self.port and one.raddr for one in process.net_connections("tcp"))
        return False

    def _add_account(self, settings: Path) -> None:
        command = [unixkit.program("smbpasswd"), "-c", str(settings), "-a", "-s", self.user]
        secret = f"{PASSWORD}\n{PASSWORD}\n".encode()
        subprocess.run(command, input=secret, check=True, timeout=60, stdout=subprocess.DEVNULL)

    def _settings(self) -> str:
        here = self.directory
        values = {"server role": "standalone server", "workgroup": "TEST", "netbios name": "TEST"}
        values |= {"smb ports": str(self.port), "bind interfaces only": "yes", "interfaces": "127.0.0.1/8 ::1/128"}
        values |= {"disable netbios": "yes", "server min protocol": "SMB2_10", "map to guest": "never"}
        values |= {"passdb backend": f"tdbsam:{here}/private/passdb.tdb", "private dir": f"{here}/private"}
        values |= {f"{name} directory": f"{here}/{name}" for name in ("lock", "state", "cache")}
        values |= {"pid directory": f"{here}/run", "ncalrpc dir": f"{here}/ncalrpc", "log file": f"{here}/log/smbd"}
        values |= {"load printers": "no", "printcap name": "/dev/null", "disable spoolss": "yes"}
        values |= {"rpc start on demand helpers": "no"} | self.extra
        lines = ["[global]", *(f"  {name} = {value}" for name, value in values.items())]
        for share, (directory, read_only) in _SHARES.items():
            lines += [f"[{share}]", f"  path = {here}/{directory}", f"  read only = {read_only}"]
            lines += [f"  valid users = {self.user}"] if share != "small" else []
        lines += ["[closed]", f"  path = {here}/share", "  valid users = root"]
        return "\n".join(lines) + "\n"


def prepare(stack: ExitStack) -> Samba:
    """Make account and directories; everything is removed when ``stack`` ends."""
    server = Samba(stack.enter_context(unixkit.room()), stack.enter_context(unixkit.account()))
    for name in (*_HOME, "share/iotdb", "share/locked"):
        (server.directory / name).mkdir()
    (server.directory / "private").chmod(0o700)
    (server.share / "file").write_text("not a directory")
    for path in (server.share, server.share / "iotdb", server.directory / "ro"):
        path.chmod(0o777)
    (server.share / "locked").chmod(0o755)
    server.has_small_disk = stack.enter_context(unixkit.small_disk(server.directory / "small", unixkit.SMALL_MEBIBYTES))
    return server


@pytest.fixture(scope="session")
def samba() -> Iterator[Samba]:
    """A running server, shared by all tests of the session."""
    unixkit.need("Samba", PROGRAMS, PACKAGES)
    with ExitStack() as stack:
        server = prepare(stack)
        stack.callback(server.stop)
        server.start()
        yield server
