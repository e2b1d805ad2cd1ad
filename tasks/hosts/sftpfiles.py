"""Files of another machine made and changed over a session of SFTP; errors are those of the operating system."""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from storage.connection import Lost
from storage.sftp import requests
from storage.sftp.store import FULL_BELOW
from storage.sftp.wire import Code, Packet, Refusal, path_bytes, string
from tasks.hosts import words
from tasks.hosts.base import Buffer
from tasks.hosts.sftpfile import write_all
from tasks.hosts.sftplooking import TOGETHER, SFTPLooking


class SFTPFiles(SFTPLooking):
    """The part of a host that SFTP is enough for."""

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
            if len(waiting) >= TOGETHER:
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
