"""What the fixtures of file servers share: ports, accounts, small disks, and processes that end by their pid."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.lacks import leave_out

# Servers jail accounts only below directories that nobody but root may write to, which rules out the temporary one.
BASE = Path("/srv")
SMALL_MEBIBYTES = 24
_given: set[int] = set()


def lack(programs: list[str], packages: str) -> str:
    """Return why a server cannot be had on this machine, or nothing."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    lacks = [program for program in programs if not shutil.which(program, path=path)]
    if lacks:
        return f"{', '.join(lacks)} not installed (Debian: apt-get install --no-install-recommends {packages})"
    return "only root can start it with accounts of its own" if os.geteuid() else ""


def need(server: str, programs: list[str], packages: str) -> None:
    """Leave the test out, loudly, where a server cannot be had; with CI=true fail it instead."""
    reason = lack(programs, packages)
    if reason:
        leave_out(f"{server} tests do not run: {reason}")


def program(name: str) -> str:
    """Return the path of a server's program, which is in a directory that not every PATH has."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    assert found, name
    return found


def free_port() -> int:
    """Return a port that is free on both loopback addresses, and another one at each call.

    The kernel gives the same one twice now and then, and a server that got it for two purposes serves only one.
    """
    for _ in range(50):
        with socket.socket() as four, socket.socket(socket.AF_INET6) as six:
            four.bind(("127.0.0.1", 0))
            port: int = four.getsockname()[1]
            with suppress(OSError):
                six.bind(("::1", port))
                if port not in _given:
                    _given.add(port)
                    return port
    raise RuntimeError("no free port")


def wait_until(ready: Callable[[], bool], seconds: float = 15) -> None:
    """Wait for a condition; raise TimeoutError."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether something listens on a port."""
    with suppress(OSError):
        socket.create_connection((host, port), 1).close()
        return True
    return False


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server and everything it started, frozen children too."""
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
        for child in family:
            with suppress(psutil.NoSuchProcess):
                child.kill()
    process.kill()
    process.wait(20)


@dataclass
class FileServer:
    """A server process with sessions for one account; ``directory`` holds all that it needs."""

    directory: Path
    user: str
    port: int = field(default_factory=free_port)
    has_small_disk: bool = False
    process: subprocess.Popen[bytes] | None = None

    def launch(self, command: list[str], log: Path) -> None:
        """Start the process and wait until it answers; raise RuntimeError with the end of ``log``."""
        with log.open("ab") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            wait_until(lambda: answers(self.port))
        except TimeoutError:
            raise RuntimeError(log.read_text()[-1500:]) from None

    def stop(self) -> None:
        """End the server and all its sessions."""
        if self.process:
            end(self.process)
            self.process = None

    def freeze(self) -> None:
        """Let the sessions, and the server itself, stop answering."""
        self._signal(signal.SIGSTOP, listener=True)

    def thaw(self) -> None:
        """Let them answer again, the sessions before the server."""
        self._signal(signal.SIGCONT, listener=True)

    def cut(self) -> None:
        """Kill the sessions; the server goes on."""
        self._signal(signal.SIGKILL, listener=False)

    def is_session(self, process: psutil.Process) -> bool:
        """Tell whether a child serves a connection; as a rule all do."""
        return True

    def _signal(self, number: int, *, listener: bool) -> None:
        assert self.process
        server = psutil.Process(self.process.pid)
        with_sessions = [one for one in server.children(recursive=True) if listener or self.is_session(one)]
        for process in [*with_sessions, *([server] if listener else [])]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


@contextmanager
def room() -> Iterator[Path]:
    """Give a directory that a server's accounts can reach, and remove it at the end."""
    root = Path(tempfile.mkdtemp(prefix="backup-console-", dir=BASE))
    root.chmod(0o755)
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def account(shell: str = "/usr/sbin/nologin") -> Iterator[str]:
    """Make a user of this machine, by default one that cannot log in to a shell, and remove it at the end."""
    name = f"bkc{secrets.token_hex(4)}"
    command = [program("useradd"), "--no-create-home", "--home-dir", "/nonexistent", "--shell", shell]
    _retried([*command, name])
    try:
        yield name
    finally:
        # A session whose server was cut off may outlive it, and an account in use is not removed.
        for process in psutil.process_iter(["username"]):
            if process.info["username"] == name:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        _retried([program("userdel"), name])


def _retried(command: list[str]) -> None:
    """Run a command of the user database, which another session may have locked."""
    for attempt in range(5):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            return
        time.sleep(0.3 * (attempt + 1))
    raise RuntimeError(done.stderr)


@contextmanager
def small_disk(at: Path, mebibytes: int, options: str = "") -> Iterator[bool]:
    """Mount a small file system; gives False where this machine does not let one be mounted."""
    at.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=0777{options}", "tmpfs", str(at)]
    mounted = subprocess.run(command, capture_output=True, timeout=30).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(at)], check=True, capture_output=True, timeout=30)


class Listener:
    """A port that answers in its own way, for each connection ``serve`` in a thread; nothing by default."""

    def __init__(self, greeting: bytes = b"") -> None:
        self.greeting = greeting
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="listener", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                connection.sendall(self.greeting)

    def close(self) -> None:
        """End the listener and all its connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for one in (self._listener, *self._open):
            one.close()
