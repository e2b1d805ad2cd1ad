"""A real NFS server for tests: NFS-Ganesha on the loopback address, NFS 3 and NFS 4.1, without kernel support.

It wants root (its VFS layer opens files by handle). NFS 3 has to be announced to a portmapper: one is started in a
network namespace of its own and is reached over its socket file, so that nothing listens on port 111 of the machine.
Files are made and removed through the server only; it does not expect changes behind its back.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.servers import unixkit
from tests.servers.daemon import spawn, wait_for

PACKAGES = "nfs-ganesha nfs-ganesha-vfs rpcbind"
NOBODY = 65534
SMALL = 8
"""Mebibytes of the export ``/small``."""
RPCBIND_SOCKET = "/run/rpcbind.sock"
_HEAD = """
NFS_CORE_PARAM {{ Protocols = {protocols}; NFS_Port = {port}; MNT_Port = {mount_port}; Bind_addr = {host};
  Enable_UDP = false; Enable_NLM = false; Enable_RQUOTA = false; mount_path_pseudo = true; }}
NFSv4 {{ Graceless = true; Minor_Versions = 1,2; RecoveryBackend = fs; RecoveryRoot = {root}/recovery;
  Only_Numeric_Owners = true; }}
NFS_KRB5 {{ Active_krb5 = false; }}
EXPORT_DEFAULTS {{ Protocols = {protocols}; Transports = TCP; SecType = sys; PrivilegedPort = false;
  Squash = Root_Squash; Anonymous_uid = 65534; Anonymous_gid = 65534; }}
LOG {{ Default_Log_Level = EVENT; }}
"""
_EXPORT = """
EXPORT {{ Export_Id = {number}; Path = {path}; Pseudo = /{name}; Access_Type = {access};
  SecType = {security}; FSAL {{ Name = VFS; }} }}
"""
EXPORTS = {"export": ("RW", "sys"), "ro": ("RO", "sys"), "small": ("RW", "sys"), "kerberos": ("RW", "krb5")}
NOBODYS = ("backup", "été 1#2")


class Ganesha:
    """A server with the exports ``/export`` (with the directories backup, root-owned and a few odd names),
    ``/ro`` (read-only), ``/small`` (full after 8 MiB) and ``/kerberos`` (to nobody who has no ticket)."""

    def __init__(self, root: Path, host: str = "127.0.0.1", protocols: str = "3,4") -> None:
        self.root = root
        self.host = host
        self.protocols = protocols
        self.port, self.mount_port = unixkit.free_port(), unixkit.free_port()
        self._log = root / "ganesha.log"
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Lay out the exports."""
        (self.root / "recovery").mkdir()
        for name in EXPORTS:
            (self.root / name).mkdir(exist_ok=True)
        for name in ("root-owned", *NOBODYS):
            (self.root / "export" / name).mkdir(exist_ok=True)
        for name in (*EXPORTS, *(f"export/{name}" for name in NOBODYS)):
            os.chown(self.root / name, NOBODY, NOBODY)

    def start(self) -> None:
        """Start it and wait until it answers."""
        if "3" in self.protocols:
            wait_for(_portmapper_answers, 10, "rpcbind")
        configuration = self.root / "ganesha.conf"
        text = _HEAD.format(
            root=self.root, **{n: getattr(self, n) for n in ("protocols", "port", "mount_port", "host")}
        )
        for number, (name, (access, security)) in enumerate(EXPORTS.items(), 77):
            path = self.root / name
            text += _EXPORT.format(number=number, path=path, name=name, access=access, security=security)
        configuration.write_text(text)
        command = [unixkit.program("ganesha.nfsd"), "-F", "-f", str(configuration), "-L", str(self._log)]
        self._process = spawn([*command, "-p", str(self.root / "ganesha.pid")], self.root / "ganesha.out")
        wait_for(lambda: unixkit.answers(self.port, self.host), 20, "NFS-Ganesha", self._log)

    def suspend(self) -> None:
        """Let it hang: connections stay, nothing is answered."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after ``suspend``."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a loss of power would."""
        if self._process:
            unixkit.end(self._process)
            self._process = None

    def parameters(self, shared: str = "/export/backup") -> dict[str, Any]:
        """Return what a form would hold, and the ports, which a form leaves at their defaults."""
        return {
            "ip_mode": "ipv6" if ":" in self.host else "ipv4",
            "server_ip": self.host,
            "shared_path": shared,
            "copies": 7,
            "nfs_port": self.port,
            "mount_port": self.mount_port,
        }


def _portmapper_answers() -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(RPCBIND_SOCKET)
        return True
    return False


def require() -> None:
    """Skip the test that calls this where the server cannot be had."""
    unixkit.need("NFS", ["ganesha.nfsd", "rpcbind", "unshare"], PACKAGES)


@contextmanager
def portmapped(log: Path) -> Iterator[None]:
    """Give a portmapper that only Ganesha sees; one that runs already is used as it is."""
    if _portmapper_answers():
        yield
        return
    command = f"ip link set lo up 2>/dev/null; exec {unixkit.program('rpcbind')} -f -w"
    process = spawn(["unshare", "-n", "sh", "-c", command], log)
    try:
        wait_for(_portmapper_answers, 10, "rpcbind", log)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


@contextmanager
def running(host: str = "127.0.0.1", protocols: str = "3,4") -> Iterator[Ganesha]:
    """Give a server that is ended at the end; NFS 3 needs ``portmapped`` around it."""
    with ExitStack() as stack:
        root = stack.enter_context(unixkit.room())
        if not stack.enter_context(unixkit.small_disk(root / "small", SMALL)):
            (root / "small" / "not-small").mkdir(parents=True)
        server = Ganesha(root, host, protocols)
        server.prepare()
        stack.callback(server.kill)
        server.start()
        yield server


@pytest.fixture(scope="session")
def portmapper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What NFS 3 is announced to."""
    require()
    with portmapped(tmp_path_factory.mktemp("rpcbind") / "rpcbind.log"):
        yield


@pytest.fixture(scope="session")
def nfs_server(portmapper: None) -> Iterator[Ganesha]:
    """NFS 3 and 4.1 on 127.0.0.1, shared by all tests of the session; tests leave it running and unhurt."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def nfs_server_v6() -> Iterator[Ganesha]:
    """NFS 4.1 on ::1."""
    require()
    with running(host="::1", protocols="4") as server:
        yield server


@pytest.fixture
def own_nfs_server(portmapper: None) -> Iterator[Ganesha]:
    """A server of one test, to hurt."""
    with running() as server:
        yield server


@pytest.fixture
def nfs3_server(portmapper: None) -> Iterator[Ganesha]:
    """A server that speaks NFS 3 only."""
    with running(protocols="3") as server:
        yield server
