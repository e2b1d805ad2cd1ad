"""One file on its way to an NFS server, and reading it back."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import nfs_rs

from storage.base import Buffer, Upload
from storage.errors import Corrupt, StoreError, StoreFault
from storage.nfs.faults import FAULTS, cannot_link, is_uncertain
from storage.remote import Pieces

if TYPE_CHECKING:
    from storage.nfs.store import NFSStore

PIECE = 4 * 1024 * 1024
"""Bytes of one write. Each write is on the server's disk before it returns, so that small ones would be slow."""


class NFSUpload(Upload):
    """A file that grows on the server under its hidden name. At most one piece of it is held in memory."""

    def __init__(self, store: NFSStore, partial: str, final: str, final_name: str) -> None:
        self._store = store
        self._partial = partial
        self._final = final
        self._name = final_name
        self._pieces = Pieces(PIECE, self._send)
        self._stored = 0
        self._open = False
        self._ended = False
        with store.call(partial):
            self._file: Any = store.create(partial)
        self._open = True

    def write(self, data: Buffer) -> None:
        """Write all of ``data``; raise ``NoSpace`` where the directory is full."""
        self._pieces.add(data)

    def _send(self, view: memoryview) -> None:
        with self._store.call(self._partial):
            while view:
                count = self._file.write_at(view, self._stored)
                if count <= 0:
                    raise StoreFault(f"The NFS server {self._store.place.server} takes no more bytes of {self._name}.")
                self._stored += count
                view = view[count:]

    def truncate(self, size: int) -> None:
        """Drop everything after ``size`` bytes."""
        if size >= self._stored:
            self._pieces.keep(size - self._stored)
            return
        self._pieces.drop()
        with self._store.call(self._partial):
            self._file.truncate(size)
        self._stored = size

    def seal(self, size: int) -> None:
        """Bring the last bytes to the server's disk and ask it for the size."""
        self._pieces.flush()
        with self._store.call(self._partial):
            self._file.flush()
            self._close()
            found = self._store.client.stat(self._partial).size
        if found != size:
            raise Corrupt(
                f"{self._name} was not stored as it was written: {found} of {size} bytes.",
                cure="Check the disk of the NFS server.",
            )

    def reader(self) -> BinaryIO:
        """Open the file on the server; ``nfs-rs`` keeps nothing of it in memory here."""
        return open_reader(self._store, self._partial)

    def publish(self) -> str:
        """Give the final name by a hard link, which unlike a rename on NFS refuses to overwrite."""
        with self._store.call(self._final):
            self._close()
            try:
                self._store.client.link(self._partial, self._final)
            except FAULTS as fault:
                if cannot_link(fault):
                    self._store.rename_carefully(self._partial, self._final)
                elif not (is_uncertain(fault) and self._is_published()):
                    raise
        self._ended = True
        # The file has its name; a second name that stays is a leftover, which the next run sweeps.
        with suppress(*FAULTS):
            self._store.client.remove(self._partial, missing_ok=True)
        return self._store.typed(self._final)

    def _is_published(self) -> bool:
        """Tell whether the link was made by a request whose answer got lost."""
        try:
            partial, final = (self._store.client.stat(name) for name in (self._partial, self._final))
        except FileNotFoundError:
            return False
        return partial.fileid == final.fileid

    def abort(self) -> None:
        """Remove the partial file; over a new connection where this one is broken, and then as well as it can be."""
        if self._ended:
            return
        self._ended = True
        self._pieces.drop()
        with suppress(StoreError, *FAULTS):
            if not self._store.broken:
                with suppress(*FAULTS):
                    self._close()
                self._store.client.remove(self._partial, missing_ok=True)
                return
        self._store.remove_anew(self._partial)

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._file.close()


class _Reader(io.RawIOBase):
    """A file on the server whose faults are errors of the console."""

    def __init__(self, store: NFSStore, path: str) -> None:
        self._store = store
        self._path = path
        with store.call(path):
            self._file = store.client.open(path, "rb")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        with self._store.call(self._path):
            return self._file.readinto(target)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with self._store.call(self._path):
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if not self.closed:
            super().close()
            # Closing waits for the server, which a broken connection would do for nothing.
            if not self._store.broken:
                with suppress(*FAULTS):
                    self._file.close()


def open_reader(store: NFSStore, path: str) -> BinaryIO:
    """Open a file of the server from its beginning; raise ``PathMissing`` where there is none."""
    with store.call(path):
        if store.client.stat(path).type is nfs_rs.FileType.DIRECTORY:
            raise IsADirectoryError(path)
    return cast(BinaryIO, io.BufferedReader(_Reader(store, path), PIECE))
