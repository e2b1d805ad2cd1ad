"""What can be asked of the machine of a node, whichever way it is reached.

Operations on files raise ``OSError`` with the number that the operating system would give (ENOENT, EACCES, ENOSPC, …),
``filename`` set, so that code which reads a directory is the same here and there. A connection that cannot be opened or
breaks raises errors of ``storage.errors`` (``Unreachable``, ``AuthenticationFailed``, ``HostKeyChanged``, …).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, Protocol, Self

from tasks.hosts import proc

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True)
class HostSpec:
    """How a machine is reached: this one, or another one by SSH, where need be as ``sudo_user``.

    ``host_key`` is the pinned key (``ssh-ed25519 SHA256:…``). ``secrets`` holds ``password``, or ``private_key`` and
    its ``passphrase``; the password is sudo's as well. ``problem`` says why they are not known.
    """

    reach: str = "local"
    address: str = ""
    port: int = 22
    user: str = ""
    host_key: str = ""
    sudo_user: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    problem: str = ""


class FileStat(NamedTuple):
    """What is known of a name. ``size`` in bytes, ``mtime_ns`` in nanoseconds since 1970; ``inode`` 0 where unknown."""

    mode: int
    size: int
    mtime_ns: int
    uid: int
    gid: int
    inode: int = 0


class HostFile(Protocol):
    """An open file that is read from its beginning; ``fd`` is its descriptor where it is a file of this machine."""

    @property
    def fd(self) -> int | None:
        """The descriptor by which it is read without a detour, or None."""

    def stat(self) -> FileStat:
        """Return what is known of the open file itself."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; none at the end."""

    def close(self) -> None:
        """Let go of it."""


class Done(NamedTuple):
    """A command that ended: its exit status, and the end of what it wrote (both streams, 8 KiB at most)."""

    status: int
    output: str


class Process(NamedTuple):
    """A process of the machine."""

    pid: int
    command: tuple[str, ...]


class Remark(NamedTuple):
    """What is worth knowing of how a machine is reached; ``cure`` says what to do where it is not ``well``."""

    what: str
    detail: str
    well: bool = True
    cure: str = ""


class Host(ABC):
    """A machine that is reached; use as a context manager. Paths are absolute.

    ``exact_times`` tells whether times of files are finer than whole seconds.
    """

    exact_times: ClassVar[bool] = True
    spec: HostSpec

    @property
    @abstractmethod
    def account(self) -> str:
        """Return whose rights on files count there, in a sentence after "the account"."""

    # --- Looking ------------------------------------------------------------------------------------------------------
    @abstractmethod
    def stat(self, path: str) -> FileStat:
        """Return what a name stands for, links followed."""

    @abstractmethod
    def lstat(self, path: str) -> FileStat:
        """Return what a name itself is."""

    @abstractmethod
    def scan(self, path: str) -> list[tuple[str, FileStat]]:
        """Return the names in a directory with what they themselves are, in no particular order."""

    @abstractmethod
    def readlink(self, path: str) -> str:
        """Return where a link points to, as it is stored."""

    @abstractmethod
    def realpath(self, path: str) -> str:
        """Return a path without links, as far as it exists."""

    @abstractmethod
    def open(self, path: str) -> HostFile:
        """Open a regular file, links not followed; never waits for a named pipe."""

    def opened(self, paths: Iterable[str]) -> Iterator[HostFile]:
        """Open several files as ``open`` does, one after the other as they are asked for; the caller closes each.

        What is read of them is read in their order.
        """
        return map(self.open, paths)

    @abstractmethod
    def forbidden(self, paths: Iterable[str]) -> Iterator[str]:
        """Yield those of ``paths``, regular files, that are there and may not be read."""

    @abstractmethod
    def now(self) -> float:
        """Return the machine's clock, in seconds since 1970."""

    def ahead(self) -> float | None:
        """Return how many seconds the machine's clock is ahead of ours; None where it is ours, or cannot be asked."""
        return None

    def contents(self, paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield path and content of small files, also of those whose size is only told by reading them (``/proc``).

        A file that is not there or may not be read is passed over.
        """
        return proc.whole(self, paths)

    def listening_ports(self) -> frozenset[int]:
        """Return the TCP ports on which something listens there."""
        return proc.listening_ports(self)

    def processes(self) -> Iterator[Process]:
        """Yield the processes there, as far as the account may see them."""
        return (Process(*one) for one in proc.commands(self))

    # --- Changing, for a restoration ----------------------------------------------------------------------------------
    @abstractmethod
    def mkdir(self, path: str, mode: int = 0o700) -> None:
        """Make a directory whose parent exists."""

    @abstractmethod
    def write(self, path: str, chunks: Iterable[Buffer], mode: int) -> None:
        """Make a new file (EEXIST where there is one) with all of ``chunks``, and bring it to the disk."""

    @abstractmethod
    def symlink(self, target: str, path: str) -> None:
        """Make a link."""

    @abstractmethod
    def set_attributes(self, path: str, *, mode: int, uid: int, gid: int, mtime: float) -> None:
        """Set them on a file or directory, the owner only where the account may (its number is ignored else)."""

    @abstractmethod
    def rename(self, old: str, new: str) -> None:
        """Rename within a file system; EEXIST where ``new`` is there, never overwrites. The names reach the disk."""

    @abstractmethod
    def remove_tree(self, path: str) -> None:
        """Remove a directory with all that is in it, links not followed; nothing there is no error."""

    @abstractmethod
    def run(self, command: str, seconds: float) -> Done:
        """Run a shell command as the account (by sudo where the spec says so) and wait for it, at most ``seconds``.

        Nothing is given to it to read, and what it leaves running in the background goes on. Raises TimeoutError.
        """

    def tried(self, command: str, seconds: float) -> Done:
        """Run a command as ``run`` does; one that takes too long has failed, with the status of timeout(1)."""
        try:
            return self.run(command, seconds)
        except TimeoutError as error:
            return Done(124, str(error))

    @abstractmethod
    def remarks(self) -> list[Remark]:
        """Return how the machine is reached, and what the account may do there besides reading files."""

    @abstractmethod
    def close(self) -> None:
        """End the connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()
