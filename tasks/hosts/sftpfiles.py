"""Files of another machine over a session of SFTP, with the errors that the operating system would give."""

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

from storage.connection import Lost
from storage.sftp import requests
from storage.sftp.store import FULL_BELOW
from storage.sftp.wire import Code, Packet, Refusal, Wire, path_bytes, string
from tasks.hosts import words
from tasks.hosts.base import Buffer, FileStat, Host
from tasks.hosts.sftpfile import SFTPFile, known_of, write_all

# Small files that are read in one go, so that a slow line is not waited for three times each.
_TOGETHER = 32
_SMALL = 32768


class SFTPFiles(Host):
    """The part of a host that SFTP is enough for."""

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

    # --- Looking ------------------------------------------------------------------------------------------------------
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
            if stat.S_ISLNK(known.mode):
                raise words.os_error(errno.ELOOP, path)
            if not stat.S_ISREG(known.mode):
                raise words.os_error(errno.ENXIO, path)
            handle = requests.open_file(self.wire, path)
            return SFTPFile(self.wire, handle, known.size, lambda: self.guard(path))

    def forbidden(self, paths: Iterable[str]) -> Iterator[str]:
        """Yield those of ``paths`` that may not be read: the server is asked to open each."""
        names = list(paths)
        for start in range(0, len(names), _TOGETHER):
            yield from self._forbidden(names[start : start + _TOGETHER])

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
        for start in range(0, len(names), _TOGETHER):
            yield from self._together(names[start : start + _TOGETHER])

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

    # --- Changing -----------------------------------------------------------------------------------------------------
    def mkdir(self, path: str, mode: int = 0o700) -> None:
        """Make a directory."""
        with self._making(path):
            requests.make_directory(self.wire, path, mode)
        # Its mode was cut by the mask of the account.
        with self.guard(path):
            self.wire.ask(Packet.SETSTAT, path_bytes(path), requests.mode_attributes(mode))

    def write(self, path: str, chunks: Iterable[Buffer], mode: int) -> None:
        """Make a new file and bring it to the disk; nothing is left of one that could not be written whole."""
        with self._making(path):
            first = requests.mode_attributes(mode & 0o700)
            handle = string(requests.open_file(self.wire, path, requests.CREATE, first))
        try:
            with self._making(path, own=True):
                write_all(self.wire, handle, chunks)
                self.wire.ask(Packet.FSETSTAT, handle, requests.mode_attributes(mode))
                if requests.FSYNC in self.wire.extensions:
                    self.wire.extended(requests.FSYNC, handle, expect=Packet.STATUS)
                self.wire.ask(Packet.CLOSE, handle)
        except BaseException:
            with suppress(Refusal, Lost):
                if not self.broken:
                    self.wire.forget(self.wire.send(Packet.CLOSE, handle))
                    self.wire.ask(Packet.REMOVE, path_bytes(path))
            raise

    def symlink(self, target: str, path: str) -> None:
        """Make a link."""
        with self._making(path):
            requests.make_link(self.wire, target, path)

    def set_attributes(self, path: str, *, mode: int, uid: int, gid: int, mtime: float) -> None:
        """Set them; the owner first, as changing it takes set-user-id bits away."""
        with self.guard(path):
            with suppress(Refusal):
                requests.set_owner(self.wire, path, uid, gid)
            requests.set_mode_and_time(self.wire, path, mode, int(mtime))

    def rename(self, old: str, new: str) -> None:
        """Rename, and bring the names to the disk."""
        with suppress(FileNotFoundError):
            self.lstat(new)
            raise words.os_error(errno.EEXIST, new)
        with self.guard(old):
            try:
                requests.rename(self.wire, old, new)
            except Refusal as refusal:
                raise self._reason(refusal, new, taken=True) from refusal
            for directory in {os.path.dirname(old), os.path.dirname(new)}:
                requests.sync_directory(self.wire, directory)

    def remove_tree(self, path: str) -> None:
        """Remove a directory with all that is in it."""
        try:
            if not stat.S_ISDIR(self.lstat(path).mode):
                raise words.os_error(errno.ENOTDIR, path)
        except FileNotFoundError:
            return
        self._remove_below(path)
        with self.guard(path):
            self.wire.ask(Packet.RMDIR, path_bytes(path))

    def _remove_below(self, path: str) -> None:
        waiting: deque[tuple[str, int]] = deque()
        for name, known in self.scan(path):
            below = f"{path}/{name}"
            if stat.S_ISDIR(known.mode):
                self._remove_below(below)
            with self.talking():
                kind = Packet.RMDIR if stat.S_ISDIR(known.mode) else Packet.REMOVE
                waiting.append((below, self.wire.send(kind, path_bytes(below))))
            if len(waiting) >= _TOGETHER:
                self._done(*waiting.popleft())
        for one in waiting:
            self._done(*one)

    def _done(self, path: str, number: int) -> None:
        with suppress(FileNotFoundError), self.guard(path):
            self.wire.take(number, Packet.STATUS)

    @contextmanager
    def _making(self, path: str, *, own: bool = False) -> Iterator[None]:
        """As ``guard``; a plain failure is looked into, as the server does not say more."""
        with self.talking():
            try:
                yield
            except Refusal as refusal:
                raise self._reason(refusal, path, taken=not own) from refusal

    def _reason(self, refusal: Refusal, path: str, *, taken: bool) -> OSError:
        if refusal.code == Code.FAILURE:
            with suppress(Refusal):
                if taken and requests.attributes(self.wire, path):
                    return words.os_error(errno.EEXIST, path)
            with suppress(Refusal):
                space = requests.space(self.wire, os.path.dirname(path))
                if space and space.free < FULL_BELOW:
                    return words.os_error(errno.ENOSPC, path)
        return words.of_refusal(refusal, path)
