"""The SFTP protocol against a server of paper: orders and answers that OpenSSH does not give."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from storage.connection import Lost
from storage.sftp.wire import Code, Packet, Refusal, Wire, path_bytes, string
from storage.watchdog import Watchdog

Answering = Callable[[Packet, int, bytes], list[bytes]]
LIMITS = b"limits@openssh.com"


def packet(kind: Packet, body: bytes) -> bytes:
    return struct.pack(">IB", len(body) + 1, kind) + body


def status(number: int, code: int) -> bytes:
    return packet(Packet.STATUS, struct.pack(">II", number, code) + string(b"text") + string(b""))


def version(extensions: dict[bytes, bytes] | None = None, number: int = 3) -> bytes:
    pairs = b"".join(string(name) + string(value) for name, value in (extensions or {}).items())
    return packet(Packet.VERSION, struct.pack(">I", number) + pairs)


class Paper:
    """A channel whose other end answers by ``answer``, in parts of ``step`` bytes."""

    def __init__(self, greeting: bytes, answer: Answering, step: int = 7) -> None:
        self.greeting = greeting
        self.answer = answer
        self.step = step
        self.received = b""
        self.waiting = b""
        self.seen: list[tuple[Packet, int, bytes]] = []

    def send(self, data: bytes) -> int:
        self.received += data[:1000]
        while len(self.received) >= 4:
            length = int.from_bytes(self.received[:4])
            if len(self.received) < 4 + length:
                break
            kind, body = Packet(self.received[4]), self.received[5 : 4 + length]
            self.received = self.received[4 + length :]
            if kind == Packet.INIT:
                self.waiting += self.greeting
            else:
                number = int.from_bytes(body[:4])
                self.seen.append((kind, number, body[4:]))
                self.waiting += b"".join(self.answer(kind, number, body[4:]))
        return min(len(data), 1000)

    def recv(self, count: int) -> bytes:
        part, self.waiting = self.waiting[: self.step], self.waiting[self.step :]
        return part


def wire(channel: Paper) -> Wire:
    return Wire(channel, Watchdog(lambda: None), 5, (OSError, EOFError))


def fine(kind: Packet, number: int, body: bytes) -> list[bytes]:
    return [status(number, Code.OK)]


def test_a_server_without_extensions_gets_small_pieces() -> None:
    plain = wire(Paper(version(), fine))
    assert (plain.piece, plain.depth) == (32768, 128)
    with pytest.raises(Refusal) as caught:
        plain.extended("statvfs@openssh.com", path_bytes("/x"))
    assert caught.value.code == Code.UNSUPPORTED


@pytest.mark.parametrize(
    ("read", "write", "piece"), [(261120, 261120, 261120), (65536, 261120, 65536), (0, 0, 32768), (1 << 40, 0, 261120)]
)
def test_the_limits_that_a_server_tells_are_kept(read: int, write: int, piece: int) -> None:
    def answer(kind: Packet, number: int, body: bytes) -> list[bytes]:
        return [packet(Packet.EXTENDED_REPLY, struct.pack(">IQQQQ", number, 262144, read, write, 0))]

    assert wire(Paper(version({LIMITS: b"1"}), answer)).piece == piece


def test_answers_in_another_order_reach_their_questions() -> None:
    held: list[bytes] = []

    def answer(kind: Packet, number: int, body: bytes) -> list[bytes]:
        held.insert(0, status(number, Code.FAILURE if number == 2 else Code.OK))
        return held if len(held) == 4 else []

    one = wire(Paper(version(), answer))
    numbers = [one.send(Packet.WRITE, string(b"h"), bytes(8), string(b"data")) for _ in range(4)]
    one.take(numbers[0], Packet.STATUS)
    with pytest.raises(Refusal):
        one.take(numbers[1], Packet.STATUS)
    one.forget(numbers[2])
    one.take(numbers[3], Packet.STATUS)
    assert not one._kept
    assert not one._unwanted


def test_an_answer_that_nobody_wants_is_dropped_when_it_comes() -> None:
    one = wire(Paper(version(), fine))
    one.forget(one.send(Packet.CLOSE, string(b"h")))
    one.ask(Packet.REMOVE, path_bytes("/x"))
    assert not one._kept
    assert not one._unwanted


def test_large_requests_arrive_whole() -> None:
    paper = Paper(version(), fine)
    one = wire(paper)
    data = bytes(range(256)) * 500
    one.ask(Packet.WRITE, string(b"h"), struct.pack(">Q", 5), string(memoryview(data)))
    assert paper.seen[0][2] == string(b"h") + struct.pack(">Q", 5) + string(data)


@pytest.mark.parametrize(
    "greeting",
    [b"", b"\0\0", version(number=2), b"This account is closed.\r\n", packet(Packet.STATUS, bytes(8)), bytes(40)],
)
def test_what_is_no_sftp_is_lost(greeting: bytes) -> None:
    with pytest.raises(Lost):
        wire(Paper(greeting, fine))


@pytest.mark.parametrize(
    "reply",
    [
        packet(Packet.DATA, struct.pack(">I", 1) + string(b"x")),
        packet(Packet.HANDLE, struct.pack(">II", 1, 4000)),
        packet(Packet.HANDLE, b"\0"),
        struct.pack(">IB", 1 << 30, Packet.HANDLE),
        b"",
    ],
)
def test_answers_that_make_no_sense_are_lost(reply: bytes) -> None:
    one = wire(Paper(version(), lambda *_: [reply]))
    with pytest.raises(Lost):
        one.ask(Packet.OPEN, path_bytes("/x"), expect=Packet.HANDLE).string()


def test_a_fine_status_where_a_handle_was_asked_for_is_no_answer() -> None:
    one = wire(Paper(version(), fine))
    with pytest.raises(Refusal):
        one.ask(Packet.OPEN, path_bytes("/x"), expect=Packet.HANDLE)


def test_attributes_are_read_as_far_as_they_are_told() -> None:
    everything = struct.pack(">IQIIIII", 0x8000000F, 5, 1, 2, 0o100600, 10, 20)
    everything += struct.pack(">I", 1) + string(b"name") + string(b"value")

    def answer(kind: Packet, number: int, body: bytes) -> list[bytes]:
        told = everything if kind == Packet.STAT else struct.pack(">I", 0)
        return [packet(Packet.ATTRS, struct.pack(">I", number) + told)]

    one = wire(Paper(version(), answer))
    full = one.ask(Packet.STAT, path_bytes("/x"), expect=Packet.ATTRS).attributes()
    assert (full.size, full.mode, full.modified) == (5, 0o100600, 20)
    bare = one.ask(Packet.LSTAT, path_bytes("/x"), expect=Packet.ATTRS).attributes()
    assert (bare.size, bare.mode, bare.modified) == (0, 0, 0)


def test_the_library_s_faults_are_losses() -> None:
    paper = Paper(version(), fine)
    one = wire(paper)

    def late(_count: int) -> bytes:
        raise TimeoutError

    paper.recv = late  # type: ignore[method-assign]
    with pytest.raises(Lost) as caught:
        one.ask(Packet.REMOVE, path_bytes("/x"))
    assert caught.value.silent
