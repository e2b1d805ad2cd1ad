"""A real OpenSSH server for tests: one account, jailed, with a password and a key, on both loopback addresses."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers import unixkit

PACKAGES = "openssh-server openssh-sftp-server openssh-client"
PROGRAMS = ["sshd", "ssh-keygen", "useradd", "chpasswd"]
PASSWORD = "S3cret of sftp"
PASSPHRASE = "open sesame"


@dataclass
class OpenSSH(unixkit.FileServer):
    """A running server. ``root`` is the jail, which the account sees as ``/``; ``key`` is its private key."""

    extra: str = ""

    @property
    def root(self) -> Path:
        """Return the jail."""
        return self.directory / "jail"

    @property
    def key(self) -> str:
        """Return the account's private key."""
        return (self.directory / "user_key").read_text()

    @property
    def locked_key(self) -> str:
        """Return the same key, locked by ``PASSPHRASE``."""
        return (self.directory / "locked_key").read_text()

    def fingerprint(self, kind: str = "ed25519") -> str:
        """Return a host key as ssh-keygen tells it and as it is pinned."""
        public = self.directory / f"host_{kind}.pub"
        listed = subprocess.run(["ssh-keygen", "-lf", public], capture_output=True, text=True, check=True).stdout
        return f"{public.read_text().split()[0]} {listed.split()[1]}"

    def parameters(self, path: str = "/store", **changes: Any) -> dict[str, Any]:
        """Return what stands in the form's fields."""
        values = {"ip_mode": "ipv4", "server_ip": "127.0.0.1", "port": self.port, "username": self.user}
        return values | {"shared_path": path, "host_key": self.fingerprint(), "copies": 7} | changes

    def start(self) -> None:
        """Start the server and wait until it answers."""
        (self.directory / "sshd_config").write_text(self._settings())
        Path("/run/sshd").mkdir(exist_ok=True)
        command = [unixkit.program("sshd"), "-D", "-e", "-f", str(self.directory / "sshd_config")]
        self.launch(command, self.directory / "sshd.log")

    def _settings(self) -> str:
        here = self.directory
        lines = [f"Port {self.port}", "ListenAddress 127.0.0.1", "ListenAddress ::1"]
        lines += [f"HostKey {here}/host_ed25519", f"HostKey {here}/host_rsa", f"PidFile {here}/sshd.pid"]
        lines += ["UsePAM no", "PasswordAuthentication yes", "KbdInteractiveAuthentication no", "StrictModes no"]
        lines += [f"AuthorizedKeysFile {here}/user_key.pub", "MaxStartups 100", "Subsystem sftp internal-sftp"]
        lines += [self.extra, f"Match User {self.user}", f"  ChrootDirectory {self.root}"]
        # Relative paths begin at /store then, so that a test would see the console use one.
        lines += ["  ForceCommand internal-sftp -d /store"]
        return "\n".join(lines) + "\n"


def prepare(stack: ExitStack) -> OpenSSH:
    """Make account, keys and directories; everything is removed when ``stack`` ends."""
    server = OpenSSH(stack.enter_context(unixkit.room()), stack.enter_context(unixkit.account()))
    here, jail = server.directory, server.root
    secret = f"{server.user}:{PASSWORD}\n".encode()
    subprocess.run([unixkit.program("chpasswd")], input=secret, check=True, timeout=60)
    for name, kind, passphrase in (
        ("host_ed25519", "ed25519", ""),
        ("host_rsa", "rsa", ""),
        ("user_key", "ed25519", ""),
    ):
        _make_key(here / name, kind, passphrase)
    shutil.copy(here / "user_key", here / "locked_key")
    lock = ["ssh-keygen", "-q", "-p", "-P", "", "-N", PASSPHRASE, "-f", str(here / "locked_key")]
    subprocess.run(lock, check=True, timeout=60, stdout=subprocess.DEVNULL)
    (here / "user_key.pub").chmod(0o644)
    for name, owner in (("store", server.user), ("readable", "root")):
        (jail / name).mkdir(parents=True)
        shutil.chown(jail / name, owner, owner)
    (jail / "readable").chmod(0o755)
    (jail / "file").write_text("not a directory")
    (jail / "loop").symlink_to("/")
    server.has_small_disk = stack.enter_context(unixkit.small_disk(jail / "small", unixkit.SMALL_MEBIBYTES))
    return server


def _make_key(path: Path, kind: str, passphrase: str) -> None:
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True, timeout=60)


@pytest.fixture(scope="session")
def openssh() -> Iterator[OpenSSH]:
    """A running server, shared by all tests of the session."""
    unixkit.need("OpenSSH", PROGRAMS, PACKAGES)
    with ExitStack() as stack:
        server = prepare(stack)
        stack.callback(server.stop)
        server.start()
        yield server
