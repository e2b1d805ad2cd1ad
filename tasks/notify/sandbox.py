"""What the courier's process may do, enforced by an audit hook of the interpreter (PEP 578) that cannot be taken off.

It runs code that others wrote on addresses that others chose. So it opens connections to allowed addresses only,
reads no file but Python's own and certificates, writes none, and starts no program.
"""

from __future__ import annotations

import os
import socket
import sys
import sysconfig
from typing import Any

from tasks.notify import policy

_STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "pty.spawn")
_CHANGES = (
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "shutil.rmtree", "shutil.copyfile", "shutil.move", "sqlite3.connect",
)  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Certificates, zones and the names of hosts.
_READABLE = ("/etc/ssl/", "/usr/share/ca-certificates/", "/usr/lib/ssl/", "/usr/share/zoneinfo/", "/etc/hosts")
_QUIET = ("/dev/null", "/dev/urandom")


class Sandbox:
    """The hook, and what it refused last: ``refused`` is an address with the reason, or nothing."""

    def __init__(self, own_files: tuple[str, ...] = ()) -> None:
        pure = sysconfig.get_paths()
        python = {pure[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
        code = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        self._readable = tuple(f"{os.path.realpath(path)}/" for path in {*python, code}) + _READABLE + own_files
        self.local = False
        self.proxy: tuple[str, ...] = ()
        self.refused: tuple[str, str] | None = None

    def enter(self) -> None:
        """Hold to it from now on, until the process ends."""
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto"):
            self._judge(arguments[0], arguments[1])
        elif event == "open":
            self._open(*arguments)
        elif event in _STARTS or event in _CHANGES:
            raise PermissionError(f"{event} is not for the courier.")

    def _judge(self, opened: socket.socket, address: Any) -> None:
        if opened.family not in (socket.AF_INET, socket.AF_INET6):
            raise PermissionError("The courier speaks to IP addresses only.")
        host = str(address[0])
        if host in self.proxy:
            return
        try:
            reason = policy.refusal(host, local=self.local)
        except ValueError:
            # A name: what it resolves to now need not be what the connection goes to.
            reason = "no IP address"
        if reason:
            self.refused = (host, reason)
            raise PermissionError(f"{host} is {reason}.")

    def _open(self, path: Any, mode: Any, flags: int) -> None:
        if isinstance(path, int) or path is None:
            return
        name = os.path.realpath(os.fsdecode(path))
        if name in _QUIET:
            return
        if flags & _WRITING or not name.startswith(self._readable):
            raise PermissionError(f"The courier may not open {name}.")
