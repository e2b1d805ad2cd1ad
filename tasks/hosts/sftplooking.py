"""Files of another machine looked at over a session of SFTP; errors are those of the operating system."""

from __future__ import annotations

import errno
import os
import stat
import struct
from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import ClassVar

from storage.sftp import requests
from storage.sftp.wire import Attributes, Code, Packet, Refusal, Wire, path_bytes, string
from tasks.hosts import words
from tasks.hosts.base import FileStat, Host
from tasks.hosts.sftpfile import SFTPFile, known_of

# Small files that are read in one go, so that a slow line is not waited for three times each.
TOGETHER = 32
_SMALL = 32768


class SFTPLooking(Host):
    """The part of a host that reads, and that SFTP is enough for."""

    exact_times: ClassVar[bool] = False

    def __init__(self) -> None:
        self.broken = False

    @property
    @abstractmethod
    def wire(self) -> Wire:
        """The session of SFTP."""

    @abstractmethod
    def talking(self) -> AbstractContextManager[None]:
        """Translate what goes wrong with the connection."""

    @contextmanager
    def guard(self, path: str) -> Iterator[None]:
        """Translate what goes wrong with a path."""
        with self.talking():
            try:
                yield
            except Refusal as refusal:
                raise words.of_refusal(refusal, path) from refusal

    def stat(self, path: str) -> FileStat:
        """Return what a name stands for, links followed."""
        with self.guard(path):
            return known_of(requests.attributes(self.wire, path, follow=True))

    def lstat(self, path: str) -> FileStat:
        """Return what a name itself is."""
        with self.guard(path):
            return known_of(requests.attributes(self.wire, path))

    def scan(self, path: str) -> list[tuple[str, FileStat]]:
        """Return the names in a directory with what they themselves are."""
        with self.guard(path):
            found = dict(requests.listing(self.wire, path))
            if "." not in found:
                # OpenSSH leaves out what it may not look at, itself too: such a directory is not an empty one.
                requests.attributes(self.wire, f"{path}/.")
        return [
            (name, known_of(known) if known.mode else self.lstat(f"{path}/{name}"))
            for name, known in found.items()
            if name not in (".", "..")
        ]

    def readlink(self, path: str) -> str:
        """Return where a link points to."""
        with self.guard(path):
            return requests.read_link(self.wire, path)

    def realpath(self, path: str) -> str:
        """Return a path without links, as far as it exists."""
        try:
            with self.guard(path):
                return requests.real_path(self.wire, path)
        except FileNotFoundError:
            above, name = os.path.split(path.rstrip("/"))
            return os.path.join(self.realpath(above), name) if name else path

    def open(self, path: str) -> SFTPFile:
        """Open a regular file; ENXIO for anything else, ELOOP for a link."""
        with self.guard(path):
            known = requests.attributes(self.wire, path)
            _require_regular(known, path)
            return self._file(path, requests.open_file(self.wire, path), known.size)

    def _file(self, path: str, handle: bytes, size: int) -> SFTPFile:
        return SFTPFile(self.wire, handle, size, lambda: self.guard(path))

    def opened(self, paths: Iterable[str]) -> Iterator[SFTPFile]:
        """Open several files, small ones ahead of the reader: on a slow line each would be waited for four times."""
        names = list(paths)
        for start in range(0, len(names), TOGETHER):
            part = names[start : start + TOGETHER]
            run: list[tuple[str, int]] = []
            for path, size in zip(part, self._sizes(part), strict=True):
                if size is not None and size <= _SMALL:
                    run.append((path, size))
                    continue
                # What comes after a large file, or after one that is not what it was, is not read before it.
                yield from self._run(run)
                run = []
                yield self.open(path)
            yield from self._run(run)

    def _sizes(self, paths: list[str]) -> list[int | None]:
        """Return the sizes of regular files, None for what is none or cannot be looked at."""
        sizes: list[int | None] = []
        with self.talking():
            for number in [self.wire.send(Packet.LSTAT, path_bytes(path)) for path in paths]:
                known = Attributes()
                with suppress(Refusal):
                    known = self.wire.take(number, Packet.ATTRS).attributes()
                sizes.append(known.size if stat.S_ISREG(known.mode) else None)
        return sizes

    def _run(self, run: list[tuple[str, int]]) -> Iterator[SFTPFile]:
        """Open small files at once, and give them one by one."""
        files: deque[SFTPFile | OSError] = deque()
        try:
            with self.talking():
                for (path, number), (_, size) in zip(self._opening([path for path, _ in run]), run, strict=True):
                    try:
                        files.append(self._file(path, self.wire.take(number, Packet.HANDLE).string(), size))
                    except Refusal as refusal:
                        files.append(words.of_refusal(refusal, path))
            while files:
                file = files.popleft()
                if isinstance(file, OSError):
                    raise file
                yield file
        finally:
            for left in files:
                if not isinstance(left, OSError):
                    left.close()

    def forbidden(self, paths: Iterable[str]) -> Iterator[str]:
        """Yield those of ``paths`` that may not be read: the server is asked to open each."""
        names = list(paths)
        for start in range(0, len(names), TOGETHER):
            yield from self._forbidden(names[start : start + TOGETHER])

    def _forbidden(self, paths: list[str]) -> list[str]:
        found = []
        with self.talking():
            for path, number in self._opening(paths):
                try:
                    self.wire.forget(
                        self.wire.send(Packet.CLOSE, string(self.wire.take(number, Packet.HANDLE).string()))
                    )
                except Refusal as refusal:
                    if refusal.code == Code.PERMISSION_DENIED:
                        found.append(path)
        return found

    def _opening(self, paths: list[str]) -> list[tuple[str, int]]:
        """Send the requests to open several files, and return the number of each."""
        fields = (requests.READ, requests.NO_ATTRIBUTES)
        return [(path, self.wire.send(Packet.OPEN, path_bytes(path), *fields)) for path in paths]

    def contents(self, paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield path and content of small files, several at a time."""
        names = list(paths)
        for start in range(0, len(names), TOGETHER):
            yield from self._together(names[start : start + TOGETHER])

    def _together(self, paths: list[str]) -> list[tuple[str, bytes]]:
        wire = self.wire
        with self.talking():
            opened = [wire.send(Packet.OPEN, path_bytes(path), requests.READ, requests.NO_ATTRIBUTES) for path in paths]
            reading = []
            for path, number in zip(paths, opened, strict=True):
                with suppress(Refusal):
                    handle = string(wire.take(number, Packet.HANDLE).string())
                    reading.append((path, handle, wire.send(Packet.READ, handle, struct.pack(">QI", 0, _SMALL))))
            found = []
            for path, handle, number in reading:
                with suppress(Refusal):
                    found.append((path, self._rest(handle, wire.take(number, Packet.DATA).string())))
                wire.forget(wire.send(Packet.CLOSE, handle))
        return found

    def _rest(self, handle: bytes, content: bytes) -> bytes:
        """Read on until the end: files of ``/proc`` are told in parts of a page."""
        while content:
            try:
                at = struct.pack(">QI", len(content), _SMALL)
                content += self.wire.ask(Packet.READ, handle, at, expect=Packet.DATA).string()
            except Refusal as refusal:
                if refusal.code != Code.EOF:
                    raise
                break
        return content


def _require_regular(known: Attributes, path: str) -> None:
    if stat.S_ISLNK(known.mode):
        raise words.os_error(errno.ELOOP, path)
    if not stat.S_ISREG(known.mode):
        raise words.os_error(errno.ENXIO, path)
