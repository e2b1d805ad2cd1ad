"""One file of another machine over a session of SFTP: read ahead of the reader, written with pieces in flight."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable

from storage.remote import Pieces
from storage.sftp.reader import Guard, RemoteFile
from storage.sftp.wire import Attributes, Packet, Wire, string
from tasks.hosts.base import Buffer, FileStat


class SFTPFile:
    """An open regular file of the other machine; what it holds is asked for ahead of the reader."""

    fd = None

    def __init__(self, wire: Wire, handle: bytes, size: int, guard: Guard) -> None:
        self._wire = wire
        self._guard = guard
        self._asked: int | None = wire.send(Packet.FSTAT, string(handle))
        self._known: FileStat | None = None
        self._content = RemoteFile(wire, handle, size, guard, to_end=True)
        self._content.ask_ahead()

    def stat(self) -> FileStat:
        """Return what was known of it when it was opened."""
        if self._known is None:
            with self._guard():
                number, self._asked = self._asked, None
                self._known = known_of(self._wire.take(number or 0, Packet.ATTRS).attributes())
        return self._known

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; none at the end."""
        return self._content.read(size) or b""

    def close(self) -> None:
        """Let go of it."""
        if self._asked is not None:
            self._wire.forget(self._asked)
            self._asked = None
        self._content.close()


def write_all(wire: Wire, handle: bytes, chunks: Iterable[Buffer]) -> None:
    """Write ``chunks`` into an open file (``handle`` as it is sent), several pieces in flight, every answer read.

    Raises ``Refusal`` and ``Lost``.
    """
    pending: deque[int] = deque()
    sent = 0

    def send(piece: memoryview) -> None:
        nonlocal sent
        if len(pending) >= wire.depth:
            wire.take(pending.popleft(), Packet.STATUS)
        pending.append(wire.send(Packet.WRITE, handle, struct.pack(">QI", sent, len(piece)), piece))
        sent += len(piece)

    pieces = Pieces(wire.piece, send)
    try:
        for chunk in chunks:
            pieces.add(chunk)
        pieces.flush()
        while pending:
            wire.take(pending.popleft(), Packet.STATUS)
    finally:
        for number in pending:
            wire.forget(number)


def known_of(known: Attributes) -> FileStat:
    """Return what a server tells of a name; its times are in whole seconds."""
    return FileStat(known.mode, known.size, known.modified * 1_000_000_000, known.uid, known.gid)
