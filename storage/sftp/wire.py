"""The SFTP protocol, version 3, over an open channel: requests out, answers in.

Written for the console because the client of the SSH library drops the answers of pipelined writes, and with them the
news of a full disk, and does not tell which extensions a server has. Every answer is read here, in whatever order the
server gives them. Sources: draft-ietf-secsh-filexfer-02; OpenSSH's PROTOCOL file for the extensions.
"""

from __future__ import annotations

import struct
import threading
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from storage.base import Buffer
from storage.connection import Lost
from storage.watchdog import Watchdog


class Packet(IntEnum):
    """Types of packets."""

    INIT = 1
    VERSION = 2
    OPEN = 3
    CLOSE = 4
    READ = 5
    WRITE = 6
    LSTAT = 7
    FSTAT = 8
    SETSTAT = 9
    FSETSTAT = 10
    OPENDIR = 11
    READDIR = 12
    REMOVE = 13
    MKDIR = 14
    RMDIR = 15
    REALPATH = 16
    STAT = 17
    RENAME = 18
    READLINK = 19
    SYMLINK = 20
    STATUS = 101
    HANDLE = 102
    DATA = 103
    NAME = 104
    ATTRS = 105
    EXTENDED = 200
    EXTENDED_REPLY = 201


class Code(IntEnum):
    """Codes of a status; those above 8 are of later versions, and servers of version 3 send them all the same."""

    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    NO_CONNECTION = 6
    CONNECTION_LOST = 7
    UNSUPPORTED = 8
    NO_SUCH_PATH = 10
    FILE_ALREADY_EXISTS = 11
    WRITE_PROTECT = 12
    NO_SPACE = 14
    QUOTA_EXCEEDED = 15


class Refusal(Exception):
    """The server's answer is no; ``code`` is one of ``Code`` or a number that only this server knows."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Channel(Protocol):
    """What is needed of the SSH library's channel."""

    def send(self, s: bytes, /) -> int: ...

    def recv(self, nbytes: int, /) -> bytes: ...


@dataclass(frozen=True)
class Attributes:
    """What a server tells of a file; ``size`` in bytes, ``modified`` in seconds since 1970, the owner as numbers."""

    size: int = 0
    mode: int = 0
    modified: int = 0
    uid: int = 0
    gid: int = 0


class Answer:
    """The rest of a packet, read field by field; a packet that is too short is no SFTP and counts as ``Lost``."""

    def __init__(self, kind: int, body: bytes, at: int = 0) -> None:
        self.kind = kind
        self._body = body
        self._at = at

    @property
    def more(self) -> bool:
        """Whether anything is left."""
        return self._at < len(self._body)

    def number(self) -> int:
        """Read 32 bits."""
        return int.from_bytes(self._take(4))

    def long(self) -> int:
        """Read 64 bits."""
        return int.from_bytes(self._take(8))

    def string(self) -> bytes:
        """Read a counted string."""
        return self._take(self.number())

    def attributes(self) -> Attributes:
        """Read the attributes of a file; what the server leaves out is 0."""
        flags = self.number()
        size = self.long() if flags & 1 else 0
        uid, gid = (self.number(), self.number()) if flags & 2 else (0, 0)
        mode = self.number() if flags & 4 else 0
        modified = 0
        if flags & 8:
            self._take(4)
            modified = self.number()
        if flags & 0x80000000:
            for _ in range(2 * self.number()):
                self.string()
        return Attributes(size, mode, modified, uid, gid)

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._body):
            raise Lost
        part = self._body[self._at : end]
        self._at = end
        return part


def string(data: Buffer) -> bytes:
    """Return ``data`` as a counted string."""
    return b"".join((struct.pack(">I", len(data)), data))


def path_bytes(path: str) -> bytes:
    """Return a path as it is sent."""
    return string(path.encode("utf-8", "surrogateescape"))


class Wire:
    """A session of SFTP. Several threads may use it, one request at a time.

    ``silence`` is the longest wait for a single answer, in seconds; ``faults`` are the exceptions of the library that
    mean a lost connection. Raises ``Refusal`` for an answer that is no, ``Lost`` for the connection.
    """

    # A server of version 3 has to take 34,000 bytes in a packet; more only where it says so.
    PIECE = 32768
    LARGEST_PIECE = 261120
    # Bytes in flight of a write; hides a round trip of 20 ms at 200 MB/s.
    WINDOW = 4 << 20
    LARGEST_PACKET = 1 << 20
    # What an SSH packet carries at most on the common servers; larger parts would be cut, and copied, again.
    PART = 32704

    def __init__(
        self, channel: Channel, watchdog: Watchdog, silence: float, faults: tuple[type[BaseException], ...]
    ) -> None:
        self._channel = channel
        self._watchdog = watchdog
        self._silence = silence
        self._faults = faults
        self._lock = threading.RLock()
        self._buffer = bytearray()
        self._number = 0
        self._kept: dict[int, Answer] = {}
        self._unwanted: set[int] = set()
        self.extensions: dict[str, str] = {}
        self.piece = self.PIECE
        self._begin()

    @property
    def depth(self) -> int:
        """Return how many pieces may be in flight."""
        return max(2, self.WINDOW // self.piece)

    def send(self, kind: Packet, *fields: Buffer) -> int:
        """Send a request and return its number, to be taken later; an answer that nobody takes stays in memory."""
        with self._lock:
            self._number = (self._number + 1) % (1 << 32)
            self._transmit(kind, struct.pack(">I", self._number), *fields)
            return self._number

    def take(self, number: int, *expected: Packet) -> Answer:
        """Wait for the answer to a request; raise ``Refusal`` for a status other than OK."""
        with self._lock:
            while number not in self._kept:
                answer = self._receive()
                got = answer.number()
                if got in self._unwanted:
                    self._unwanted.discard(got)
                else:
                    self._kept[got] = answer
            answer = self._kept.pop(number)
        if answer.kind == Packet.STATUS:
            code = answer.number()
            if code != Code.OK or (expected and Packet.STATUS not in expected):
                raise Refusal(code)
        elif answer.kind not in expected:
            raise Lost
        return answer

    def ask(self, kind: Packet, *fields: Buffer, expect: Packet = Packet.STATUS) -> Answer:
        """Send a request and wait for its answer."""
        with self._lock:
            return self.take(self.send(kind, *fields), expect)

    def forget(self, number: int) -> None:
        """Drop the answer to a request when it comes."""
        with self._lock:
            if self._kept.pop(number, None) is None:
                self._unwanted.add(number)

    def extended(self, name: str, *fields: Buffer, expect: Packet = Packet.EXTENDED_REPLY) -> Answer:
        """Ask for an extension; one that the server does not offer is refused as unsupported without asking."""
        if name not in self.extensions:
            raise Refusal(Code.UNSUPPORTED)
        return self.ask(Packet.EXTENDED, string(name.encode()), *fields, expect=expect)

    def _begin(self) -> None:
        """Agree on version 3 and learn the server's extensions and limits."""
        self._transmit(Packet.INIT, struct.pack(">I", 3))
        answer = self._receive()
        if answer.kind != Packet.VERSION or answer.number() < 3:
            raise Lost
        while answer.more:
            name = answer.string().decode("ascii", "replace")
            self.extensions[name] = answer.string().decode("ascii", "replace")
        try:
            limits = self.extended("limits@openssh.com")
        except Refusal:
            return
        _, read, write = limits.long(), limits.long(), limits.long()
        known = [limit for limit in (read, write) if limit]
        self.piece = min(self.LARGEST_PIECE, *known) if known else self.PIECE

    def _transmit(self, kind: Packet, *parts: Buffer) -> None:
        length = 1 + sum(len(part) for part in parts)
        packet = memoryview(b"".join((struct.pack(">IB", length, kind), *parts)))
        try:
            while packet:
                with self._watchdog.watch(self._silence):
                    sent = self._channel.send(bytes(packet[: self.PART]))
                if sent <= 0:
                    raise Lost(self._watchdog.fired)
                packet = packet[sent:]
        except self._faults as error:
            raise self._loss(error) from error

    def _receive(self) -> Answer:
        try:
            with self._watchdog.watch(self._silence):
                length = int.from_bytes(self._bytes(4))
                # A message of the day that a shell prints where SFTP should begin looks like a giant packet.
                if not 0 < length <= self.LARGEST_PACKET:
                    raise Lost
                body = self._bytes(length)
        except self._faults as error:
            raise self._loss(error) from error
        return Answer(body[0], body, 1)

    def _bytes(self, count: int) -> bytes:
        while len(self._buffer) < count:
            part = self._channel.recv(65536)
            if not part:
                raise Lost(self._watchdog.fired)
            self._buffer += part
        taken = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return taken

    def _loss(self, error: BaseException) -> Lost:
        return Lost(self._watchdog.fired or isinstance(error, TimeoutError))
