"""A question to one NameNode by Hadoop's RPC (version 9, simple authentication), with a hard limit on every wait.

The client package asks neither for free space nor for quotas, and its first question to a NameNode that accepts and
never answers has no limit. The messages are protobuf, of which the few shapes that are needed are written by hand
(Hadoop: RpcHeader.proto, IpcConnectionContext.proto, ProtobufRpcEngine.proto, ClientNamenodeProtocol.proto).
"""

from __future__ import annotations

import socket
import struct
import time
import uuid

PROTOCOL = "org.apache.hadoop.hdfs.protocol.ClientProtocol"
_PREAMBLE = b"hrpc\x09\x00\x00"
_CONTEXT_CALL = -3
_LONGEST_ANSWER = 1 << 20

Fields = dict[int, int | bytes]


class RpcRefused(Exception):
    """The NameNode answered with an exception; ``java`` is its class."""

    def __init__(self, java: str, text: str) -> None:
        super().__init__(text)
        self.java = java
        self.text = text


class NotRpc(Exception):
    """What answers speaks another protocol; ``http`` tells that it is HTTP."""

    def __init__(self, http: bool) -> None:
        super().__init__("not Hadoop RPC")
        self.http = http


def ask(address: str, port: int, method: str, body: bytes, user: str, seconds: float) -> Fields:
    """Call a method of the NameNode's client protocol and return the fields of the answer.

    ``seconds`` limits everything together. Raises RpcRefused, NotRpc and OSError (TimeoutError among them).
    """
    client = uuid.uuid4().bytes
    context = text(2, text(1, user)) + text(3, PROTOCOL)
    call = text(1, method) + text(2, PROTOCOL) + number(3, 1)
    with _Connection(address, port, seconds) as connection:
        connection.send(
            _PREAMBLE
            + _frame(_sized(_header(_CONTEXT_CALL, -1, client)) + _sized(context))
            + _frame(_sized(_header(0, 0, client)) + _sized(call) + _sized(body))
        )
        return _answer(connection.receive())


class _Connection:
    """A socket all of whose waits together end at one time."""

    def __init__(self, address: str, port: int, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._socket = socket.create_connection((address, port), seconds)

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *details: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> bytes:
        """Return one framed answer."""
        head = self._exactly(4)
        (size,) = struct.unpack(">I", head)
        if size > _LONGEST_ANSWER:
            raise NotRpc(http=head == b"HTTP")
        return self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            part = self._socket.recv(size - len(data))
            if not part:
                raise NotRpc(http=False)
            data += part
        return data


def _answer(data: bytes) -> Fields:
    """Return the fields of an answer; raise RpcRefused where it is an exception, NotRpc where it is not one at all."""
    try:
        header, at = _take(data, 0)
        fields = parse(header)
        if fields.get(2, 0):
            raise RpcRefused(_text(fields.get(4)), _text(fields.get(5)).split("\n")[0])
        return parse(_take(data, at)[0])
    except (IndexError, struct.error) as error:
        raise NotRpc(http=False) from error


def _text(value: int | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def _header(call: int, retry: int, client: bytes) -> bytes:
    """Return an RpcRequestHeaderProto: engine 2 is protobuf, operation 0 a final packet."""
    zigzag = [((value << 1) ^ (value >> 31)) & 0xFFFFFFFF for value in (call, retry)]
    return number(1, 2) + number(2, 0) + number(3, zigzag[0]) + text(4, client) + number(5, zigzag[1])


def _frame(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _sized(data: bytes) -> bytes:
    return _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 127
        out.append(low | (128 if value else 0))
        if not value:
            return bytes(out)


def number(field: int, value: int) -> bytes:
    """Return an integer field of a message."""
    return _varint(field << 3) + _varint(value)


def text(field: int, value: str | bytes) -> bytes:
    """Return a field of a message that has a length."""
    return _varint(field << 3 | 2) + _sized(value.encode() if isinstance(value, str) else value)


def _take(data: bytes, at: int) -> tuple[bytes, int]:
    """Return a message with its length before it, and where the next one begins."""
    size, at = _read(data, at)
    return data[at : at + size], at + size


def _read(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def parse(data: bytes) -> Fields:
    """Return the fields of a message by their numbers; of repeated ones the last."""
    fields: Fields = {}
    at = 0
    while at < len(data):
        key, at = _read(data, at)
        kind = key & 7
        if kind == 0:
            fields[key >> 3], at = _read(data, at)
        elif kind == 2:
            fields[key >> 3], at = _take(data, at)
        else:
            size = 8 if kind == 1 else 4
            fields[key >> 3] = data[at : at + size]
            at += size
    return fields


def figure(fields: Fields, field: int) -> int:
    """Return an integer field, 0 where it is absent."""
    value = fields.get(field, 0)
    return value if isinstance(value, int) else 0


def inner(fields: Fields, field: int) -> Fields:
    """Return the fields of a message within a message."""
    value = fields.get(field, b"")
    return parse(value) if isinstance(value, bytes) else {}
