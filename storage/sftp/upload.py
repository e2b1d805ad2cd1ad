"""One file on its way to an SFTP server: writes in flight, every answer read."""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING

from storage.remote import RemoteUpload
from storage.sftp import requests, words
from storage.sftp.wire import Code, Packet, Refusal, string

if TYPE_CHECKING:
    from storage.sftp.store import SFTPStore

_FILE_MODE = requests.mode_attributes(0o600)


class SFTPUpload(RemoteUpload):
    """A partial file. Bytes are collected to pieces of the size the server likes; a bounded number is in flight."""

    _store: SFTPStore

    def __init__(self, store: SFTPStore, directory: str, name: str, partial: str) -> None:
        super().__init__(directory, name, partial, store.wire.piece)
        self._store = store
        self._pending: deque[int] = deque()
        self._handle: bytes | None = None
        with store.guard(directory, partial, taken=True):
            path = store.path(directory, partial)
            self._handle = requests.open_file(store.wire, path, requests.CREATE, _FILE_MODE)

    def truncate(self, size: int) -> None:
        """Drop everything after ``size`` bytes."""
        with self._guard():
            self._drain()
            self._store.wire.ask(Packet.FSETSTAT, string(self._open_handle()), struct.pack(">IQ", 1, size))
            self._sent = size

    def seal(self, size: int) -> None:
        """Bring everything to the server's disk, close the file, and compare its size."""
        with self._guard():
            self._drain()
            self._sync()
            handle, self._handle = self._open_handle(), None
            self._store.wire.ask(Packet.CLOSE, string(handle))
            found = self._store.attributes(self._directory, self._partial).size
        self._compare(found, size)

    def publish(self) -> str:
        """Rename to the final name; another file of that name is never overwritten."""
        store = self._store
        # OpenSSH refuses to rename over a file, but not every server of version 3 does.
        if store.is_there(self._directory, self._final):
            raise words.exists(store.place.below(self._directory, self._final))
        with store.guard(self._directory, self._final, taken=True):
            old, new = store.path(self._directory, self._partial), store.path(self._directory, self._final)
            requests.rename(store.wire, old, new)
        self._done = True
        store.sync_directory(self._directory)
        return store.full_path(self._directory, self._final)

    def _let_go(self) -> None:
        for number in self._pending:
            self._store.wire.forget(number)
        self._pending.clear()
        handle, self._handle = self._handle, None
        if handle is not None and not self._store.broken:
            with self._guard():
                self._store.wire.ask(Packet.CLOSE, string(handle))

    def _send(self, piece: memoryview) -> None:
        wire = self._store.wire
        if len(self._pending) >= wire.depth:
            wire.take(self._pending.popleft(), Packet.STATUS)
        at = struct.pack(">QI", self._sent, len(piece))
        self._pending.append(wire.send(Packet.WRITE, string(self._open_handle()), at, piece))
        self._sent += len(piece)

    def _drain(self) -> None:
        """Read every answer that is still to come; each may be the one that tells of a full disk."""
        self._pieces.flush()
        while self._pending:
            self._store.wire.take(self._pending.popleft(), Packet.STATUS)

    def _sync(self) -> None:
        """Bring the file to the disk where the server can be asked to; a disk that fails then is an error."""
        wire = self._store.wire
        if requests.FSYNC in wire.extensions:
            wire.extended(requests.FSYNC, string(self._open_handle()), expect=Packet.STATUS)

    def _open_handle(self) -> bytes:
        if self._handle is None:
            raise Refusal(Code.FAILURE)
        return self._handle
