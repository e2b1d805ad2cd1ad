"""Reading a file of an SFTP server with several requests in flight and bounded memory."""

from __future__ import annotations

import io
import struct
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import BinaryIO, cast

from storage.base import Buffer
from storage.connection import Lost
from storage.sftp.wire import Code, Packet, Refusal, Wire, string

DEPTH = 8
Guard = Callable[[], AbstractContextManager[None]]


class RemoteFile(io.RawIOBase):
    """The first ``size`` bytes of an open file, with ``to_end`` all that follows too; ``guard`` translates errors."""

    def __init__(self, wire: Wire, handle: bytes, size: int, guard: Guard, *, to_end: bool = False) -> None:
        super().__init__()
        self._wire = wire
        self._handle = handle
        self._size = size
        self._guard = guard
        self._to_end = to_end
        self._asked = 0
        self._window: deque[tuple[int, int, int]] = deque()
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:  # type: ignore[override]
        """Fill ``buffer`` as far as the next answer goes."""
        if not self._ready:
            with self._guard():
                self._ready = memoryview(self._next())
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._ready))
        view[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def close(self) -> None:
        """Give the file back to the server; a lost connection has done so already."""
        if not self.closed:
            for number, _, _ in self._window:
                self._wire.forget(number)
            with suppress(Lost):
                self._wire.forget(self._wire.send(Packet.CLOSE, string(self._handle)))
        super().close()

    def ask_ahead(self) -> None:
        """Send the requests for the next bytes; what they bring is taken by reading."""
        while self._asked < self._size and len(self._window) < DEPTH:
            self._request(min(self._wire.piece, self._size - self._asked))

    def _next(self) -> bytes:
        """Return the next bytes in order, or none at the end."""
        self.ask_ahead()
        if not self._window and self._to_end:
            self._request(self._wire.piece)
        if not self._window:
            return b""
        number, offset, length = self._window.popleft()
        try:
            data = self._wire.take(number, Packet.DATA).string()
        except Refusal as refusal:
            if refusal.code != Code.EOF:
                raise
            # The file is shorter than it was; whoever reads it finds out by its size.
            return b""
        if 0 < len(data) < length:
            rest = offset + len(data)
            if rest < self._size:
                self._window.appendleft((self._ask(rest, length - len(data)), rest, length - len(data)))
            else:
                self._asked = rest
        return data

    def _request(self, length: int) -> None:
        self._window.append((self._ask(self._asked, length), self._asked, length))
        self._asked += length

    def _ask(self, offset: int, length: int) -> int:
        return self._wire.send(Packet.READ, string(self._handle), struct.pack(">QI", offset, length))


def open_reader(wire: Wire, handle: bytes, size: int, guard: Guard) -> BinaryIO:
    """Return the open file ``handle`` of ``size`` bytes as a stream; closing it closes the handle."""
    return cast(BinaryIO, io.BufferedReader(RemoteFile(wire, handle, size, guard), 1 << 18))
