"""Processes of this machine: dying with a parent, finding what was started, ending it, and being the only one.

Linux only, as the kernel calls are. A process is known by a mark in the environment that it was started with, never by
its name, so that nothing foreign is ever touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_parent = 0


class AlreadyRunning(Exception):
    """Somebody else holds the lock; ``holder`` is what it wrote about itself, empty where it wrote nothing."""

    def __init__(self, holder: dict[str, Any]) -> None:
        super().__init__("the lock is held")
        self.holder = holder


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process as soon as ``parent`` ends, however it ends; at once if it has ended."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def children_die_with_us() -> None:
    """Do the same for every process that this one, or a child of it, forks from now on (``prctl`` is not inherited)."""

    def before() -> None:
        global _parent
        _parent = os.getpid()

    os.register_at_fork(before=before, after_in_child=lambda: die_with_parent(_parent))


def members_of_session(session: int) -> set[int]:
    """Return the living processes of a session (``setsid``); zombies have ended."""
    found = set()
    for pid in _pids():
        with contextlib.suppress(OSError, IndexError, ValueError):
            # The name in brackets may hold anything, so the fields are counted from its end.
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                found.add(pid)
    return found


def marked(name: str, value: str) -> set[int]:
    """Return the living processes, other than this one, that were started with ``name=value`` in the environment."""
    wanted = f"{name}={value}".encode()
    found = set()
    for pid in _pids():
        with contextlib.suppress(OSError):
            if pid != os.getpid() and wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.add(pid)
    return found


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())


def lock_holders(path: Path, byte: int) -> set[int]:
    """Return the processes that hold a lock for writing (``fcntl``) on that byte of a file; none where it is not there.

    A container sees those of its own processes only.
    """
    try:
        inode = path.stat().st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return set()
    found = set()
    for line in lines:
        # "1: POSIX  ADVISORY  WRITE 4711 08:01:1234 120 120"; who waits for it has "->" after the number (proc(5)).
        fields = line.split()
        if fields[1] == "POSIX" and fields[3] == "WRITE" and fields[5].rpartition(":")[2] == str(inode):
            first, last = fields[6], fields[7]
            if int(first) <= byte and (last == "EOF" or byte <= int(last)):
                found.add(int(fields[4]))
    return found


def send(number: signal.Signals, pids: Iterable[int]) -> None:
    """Send a signal to each process; one that has ended meanwhile is passed over."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def kill_all(find: Callable[[], set[int]], seconds: float = 5.0) -> set[int]:
    """Kill what ``find`` returns until it returns nothing, for up to ``seconds``; return what was killed."""
    killed: set[int] = set()
    deadline = time.monotonic() + seconds
    while (found := find()) and time.monotonic() < deadline:
        send(signal.SIGKILL, found)
        killed |= found
        time.sleep(0.05)
    return killed


@contextmanager
def only_one(path: Path, about: dict[str, Any]) -> Iterator[None]:
    """Hold the lock ``path`` and write ``about`` into it; raise ``AlreadyRunning`` while another process holds it.

    The kernel frees the lock when its holder ends in whatever way; children do not inherit it.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning(_read(handle)) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(about).encode(), 0)
        yield
    finally:
        os.close(handle)


def _read(handle: int) -> dict[str, Any]:
    try:
        holder = json.loads(os.pread(handle, 4096, 0))
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}
