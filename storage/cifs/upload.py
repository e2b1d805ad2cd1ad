"""One file on its way to a CIFS server."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, BinaryIO, cast

from smbprotocol.open import CreateDisposition, CreateOptions, Open, ShareAccess
from smbprotocol.open import FilePipePrinterAccessMask as Access

from storage.base import Buffer
from storage.cifs.share import Share
from storage.connection import Lost
from storage.errors import StoreError
from storage.remote import RemoteUpload

if TYPE_CHECKING:
    from storage.cifs.store import CIFSStore

# Measured: half of it costs more requests, twice as much more memory, and neither is faster.
PIECE = 1 << 20
READ_PIECE = 1 << 20
_FILE = CreateOptions.FILE_NON_DIRECTORY_FILE


class CIFSUpload(RemoteUpload):
    """A partial file. While it is written nobody else can open it, but an aborted run can be swept."""

    _store: CIFSStore

    def __init__(self, store: CIFSStore, directory: str, name: str, partial: str) -> None:
        super().__init__(directory, name, partial, PIECE)
        self._store = store
        self._open: Open | None = None
        access = Access.FILE_READ_DATA | Access.FILE_WRITE_DATA | Access.FILE_APPEND_DATA | Access.FILE_WRITE_ATTRIBUTES
        with store.guard(directory, partial):
            place = store.place_of(directory, partial)
            # A second connection may delete the file, or a lost run's handle would protect its leftovers.
            sharing = ShareAccess.FILE_SHARE_DELETE
            self._open = store.share.open(place, access, CreateDisposition.FILE_CREATE, _FILE, sharing)

    def truncate(self, size: int) -> None:
        """Drop everything after ``size`` bytes."""
        with self._guard():
            self._pieces.flush()
            self._store.share.cut_file(self._opened(), size)
            self._sent = size

    def seal(self, size: int) -> None:
        """Bring everything to the server's disk, close the file, and compare its size."""
        with self._guard():
            self._pieces.flush()
            self._store.share.flush(self._opened())
            opened, self._open = self._opened(), None
            self._store.share.close_file(opened)
        found = self._store.stat(self._directory, self._partial).size
        self._compare(found, size)

    def publish(self) -> str:
        """Rename to the final name; another file of that name is never overwritten."""
        store = self._store
        with store.guard(self._directory, self._final):
            place = store.place_of(self._directory, self._partial)
            with store.share.opened(place, Access.DELETE, _FILE) as opened:
                store.share.rename(opened, store.place_of(self._directory, self._final))
        self._done = True
        return store.full_path(self._directory, self._final)

    def _let_go(self) -> None:
        opened, self._open = self._open, None
        if opened is not None and not self._store.broken:
            with self._guard():
                self._store.share.close_file(opened)

    def _send(self, piece: memoryview) -> None:
        while piece:
            written = self._store.share.write(self._opened(), self._sent, piece)
            if written <= 0:
                raise Lost
            self._sent += written
            piece = piece[written:]

    def _opened(self) -> Open:
        if self._open is None:
            raise Lost
        return self._open


class _File(io.RawIOBase):
    """An open file from its beginning to its end; ``guard`` translates what goes wrong."""

    def __init__(self, share: Share, opened: Open, guard: Callable[[], AbstractContextManager[None]]) -> None:
        super().__init__()
        self._share = share
        self._open = opened
        self._guard = guard
        self._offset = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:  # type: ignore[override]
        """Fill ``buffer`` as far as one answer goes."""
        view = memoryview(buffer).cast("B")
        with self._guard():
            data = self._share.read(self._open, self._offset, min(len(view), READ_PIECE))
        view[: len(data)] = data
        self._offset += len(data)
        return len(data)

    def close(self) -> None:
        """Give the file back to the server; a lost connection has done so already."""
        if not self.closed:
            with suppress(StoreError), self._guard():
                self._share.close_file(self._open)
        super().close()


def open_reader(share: Share, opened: Open, guard: Callable[[], AbstractContextManager[None]]) -> BinaryIO:
    """Return an open file as a stream; closing it closes the file."""
    return cast(BinaryIO, io.BufferedReader(_File(share, opened, guard), READ_PIECE))
