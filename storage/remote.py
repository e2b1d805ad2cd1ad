"""What stores and uploads over a connection have in common, whatever is spoken on it."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import BinaryIO

from storage.base import Buffer, Store, Upload
from storage.connection import Peer
from storage.errors import BadPath, Corrupt, StoreError

_SEPARATORS = re.compile(r"[/\x00]")


def check_parts(parts: tuple[str, ...], odd: re.Pattern[str] = _SEPARATORS) -> None:
    """Raise ``BadPath`` for a part of a path that leads elsewhere, or in which ``odd`` is found."""
    for part in parts:
        if not part or part in (".", "..") or odd.search(part):
            raise BadPath(f"{part!r} cannot be the name of a backup file or directory.")


class Pieces:
    """Puts bytes together to pieces of ``size``; ``send`` gets each, and has done with it when it returns.

    At most one piece is held. What ``send`` raises comes out, and the piece stays held.
    """

    def __init__(self, size: int, send: Callable[[memoryview], None]) -> None:
        self._size = size
        self._send = send
        self._held = bytearray()

    def add(self, data: Buffer) -> None:
        """Take all of ``data``; whole pieces of it are sent as they stand, without a copy."""
        view = memoryview(data).cast("B")
        if self._held:
            room = self._size - len(self._held)
            self._held += view[:room]
            view = view[room:]
            if len(self._held) < self._size:
                return
            self.flush()
        while len(view) >= self._size:
            self._send(view[: self._size])
            view = view[self._size :]
        self._held += view

    def flush(self) -> None:
        """Send what is held."""
        if self._held:
            with memoryview(self._held) as view:
                self._send(view)
            self.drop()

    def keep(self, size: int) -> None:
        """Drop what is held after the first ``size`` bytes."""
        del self._held[size:]

    def drop(self) -> None:
        """Forget what is held."""
        # Not clear(): a traceback of a failed send may still look at the old bytes, which then cannot change.
        self._held = bytearray()


class RemoteStore(Store):
    """A store whose connection may break: ``broken`` then, and every later call raises ``Unreachable`` at once."""

    place: Peer
    broken: bool
    # Opens the same destination over a new connection.
    _again: Callable[[], Store]

    @abstractmethod
    def guard(self, *parts: str, written: int | None = None) -> AbstractContextManager[None]:
        """Translate what goes wrong with the place of ``parts``, of which ``written`` bytes had been sent."""

    def delete_anyhow(self, directory: str, name: str) -> None:
        """Remove a file, over a new connection where this one is gone."""
        if not self.broken:
            try:
                return self.delete(directory, name)
            except StoreError:
                if not self.broken:
                    raise
        with self._again() as store:
            return store.delete(directory, name)


class RemoteUpload(Upload):
    """A partial file on a server, of which ``_sent`` bytes were written. ``publish`` sets ``_done``."""

    _store: RemoteStore

    def __init__(self, directory: str, name: str, partial: str, piece: int) -> None:
        self._directory = directory
        self._final = name
        self._partial = partial
        self._pieces = Pieces(piece, self._send)
        self._sent = 0
        self._done = False

    def write(self, data: Buffer) -> None:
        """Write all of ``data``; what an earlier write could not store may be raised here."""
        with self._guard():
            self._pieces.add(data)

    def reader(self) -> BinaryIO:
        """Open the sealed file; the answers come from the server."""
        return self._store.open(self._directory, self._partial)

    def abort(self) -> None:
        """Remove the partial file, over a new connection where the old one is gone.

        A server that cannot be reached keeps it; the name tells whose it is.
        """
        if self._done:
            return
        self._done = True
        self._pieces.drop()
        with suppress(StoreError):
            self._let_go()
        with suppress(StoreError):
            self._store.delete_anyhow(self._directory, self._partial)

    @abstractmethod
    def _send(self, piece: memoryview) -> None:
        """Write all of ``piece`` behind what was sent; the server's word on it may come later."""

    @abstractmethod
    def _let_go(self) -> None:
        """Close the file where that can still be asked of the server."""

    def _guard(self) -> AbstractContextManager[None]:
        return self._store.guard(self._directory, self._partial, written=self._sent)

    def _compare(self, found: int, size: int) -> None:
        """Raise ``Corrupt`` unless the server ``found`` the ``size`` that was written."""
        if found != size:
            raise Corrupt(
                f"{self._final} was not stored as it was written: {found} of {size} bytes.",
                cure=f"Check the disk of {self._store.place.host}.",
            )
