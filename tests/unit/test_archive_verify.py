"""Verification: every kind of damage is found, named where it can be, and nothing ever waits for ever."""

from __future__ import annotations

import gzip
import io
import threading
import time
from collections.abc import Callable
from random import Random

import pytest

from storage.errors import Corrupt, Unreachable
from tasks.engine.archive import ArchiveWriter, verify_archive
from tasks.engine.archive.gzip import BLOCK, ParallelGzip
from tests.patience import Stopwatch

from .archive_kit import MemorySink, build, reader

LIST = b"MANIFEST.json"


def fill(archive: ArchiveWriter) -> None:
    for number in range(4):
        archive.add_bytes(f"n1/data/file-{number}", b"root.sg.d%d.temperature " % number * 30, 1_700_000_000)


SMALL, RESULT = build(fill)


def damaged(data: bytes, sha256: str | None = None) -> str:
    """Return what verification says about an archive that it must refuse."""
    with pytest.raises(Corrupt) as raised:
        verify_archive(reader(data), sha256=sha256)
    return raised.value.message


def squeeze(tar_bytes: bytes) -> bytes:
    """Return a tar in the gzip form of the writer."""
    sink = MemorySink()
    with ParallelGzip(sink) as stream:
        stream.write(tar_bytes)
        stream.finish()
    return bytes(sink.data)


def edited(edit: Callable[[bytearray], bytearray]) -> bytes:
    """Return the small archive after ``edit`` of its tar."""
    return squeeze(bytes(edit(bytearray(gzip.decompress(SMALL)))))


def tar_of(fill_it: Callable[[ArchiveWriter], object]) -> bytes:
    return gzip.decompress(build(fill_it)[0])


def test_every_flipped_bit_is_found() -> None:
    for bit in range(len(SMALL) * 8):
        data = bytearray(SMALL)
        data[bit >> 3] ^= 1 << (bit & 7)
        damaged(bytes(data), RESULT.sha256)


def test_without_the_hash_a_flip_is_found_or_changes_nothing() -> None:
    whole, passed = gzip.decompress(SMALL), 0
    for bit in range(0, len(SMALL) * 8, 3):
        data = bytearray(SMALL)
        data[bit >> 3] ^= 1 << (bit & 7)
        try:
            verify_archive(reader(bytes(data)))
        except Corrupt:
            continue
        passed += 1
        assert gzip.decompress(bytes(data)) == whole
    assert passed < len(SMALL) * 8 / 3 / 20


def test_every_cut_is_found() -> None:
    for size in range(len(SMALL)):
        damaged(SMALL[:size])
    assert "is empty" in damaged(b"")


def test_damage_in_a_large_archive() -> None:
    noise = Random(5).randbytes(6 * BLOCK)
    data, result = build(lambda archive: archive.add_bytes("n1/big", noise, 0))
    random = Random(6)
    for _ in range(25):
        place = random.randrange(len(data))
        changed = bytearray(data)
        changed[place] ^= 1 << random.randrange(8)
        damaged(bytes(changed), result.sha256)
        damaged(data[:place])
        changed = bytearray(data)
        changed[place : place + 4096] = bytes(len(changed[place : place + 4096]))
        damaged(bytes(changed), result.sha256)


def test_zeros_and_other_things_are_no_archive() -> None:
    assert "does not begin like an archive" in damaged(bytes(len(SMALL)))
    assert "does not begin like an archive" in damaged(gzip.compress(b"hello"))
    assert "goes on after its end" in damaged(SMALL + b"\0")
    assert "goes on after its end" in damaged(SMALL + SMALL)
    assert "SHA-256" in damaged(SMALL, "0" * 64)


def test_a_member_that_changed() -> None:
    def change(tar_bytes: bytearray) -> bytearray:
        tar_bytes[512] ^= 1
        return tar_bytes

    assert "n1/data/file-0 is not as its manifest says" in damaged(edited(change))


@pytest.mark.parametrize("number", range(4))
def test_a_member_that_is_missing(number: int) -> None:
    def remove(tar_bytes: bytearray) -> bytearray:
        start = tar_bytes.index(b"n1/data/file-%d" % number)
        del tar_bytes[start : start + 512 + 1024]
        return tar_bytes

    assert f"n1/data/file-{number} is in the manifest, but not in the archive" in damaged(edited(remove))


@pytest.mark.parametrize("number", [0, 2, 4])
def test_a_member_too_many(number: int) -> None:
    extra = tar_of(lambda archive: archive.add_bytes("n1/data/extra", b"x", 0))[:1024]

    def insert(tar_bytes: bytearray) -> bytearray:
        place = tar_bytes.index(b"n1/data/file-%d" % number) if number < 4 else tar_bytes.index(LIST)
        tar_bytes[place:place] = extra
        return tar_bytes

    assert "n1/data/extra is in the archive, but not in its manifest" in damaged(edited(insert))


def test_a_member_that_was_renamed() -> None:
    other = tar_of(lambda archive: archive.add_bytes("n1/data/renamed", b"root.sg.d1.temperature " * 30, 1_700_000_000))

    def rename(tar_bytes: bytearray) -> bytearray:
        place = tar_bytes.index(b"n1/data/file-1")
        tar_bytes[place : place + 512] = other[:512]
        return tar_bytes

    assert "n1/data/file-1 is in the manifest, but not in the archive" in damaged(edited(rename))


def test_members_in_another_order() -> None:
    def swap(tar_bytes: bytearray) -> bytearray:
        tar_bytes[:1536], tar_bytes[1536:3072] = tar_bytes[1536:3072], tar_bytes[:1536]
        return tar_bytes

    damaged(edited(swap))


def test_a_manifest_that_is_missing_or_not_last() -> None:
    def without(tar_bytes: bytearray) -> bytearray:
        return tar_bytes[: tar_bytes.index(LIST)] + bytes(1024)

    assert "it has no MANIFEST.json" in damaged(edited(without))
    assert "something follows its manifest" in damaged(edited(lambda data: data[:-1024] + data[:1536] + bytes(1024)))
    assert "goes on after its end" in damaged(edited(lambda data: data + bytes(512)))
    assert "ends too early" in damaged(edited(lambda data: data[:-512]))


def test_headers_and_padding_count() -> None:
    def padding(tar_bytes: bytearray) -> bytearray:
        tar_bytes[1530] = 1
        return tar_bytes

    def checksum(tar_bytes: bytearray) -> bytearray:
        tar_bytes[150] ^= 1
        return tar_bytes

    def owner(tar_bytes: bytearray) -> bytearray:
        tar_bytes[110] ^= 1
        return tar_bytes

    assert "space between two members" in damaged(edited(padding))
    assert "header is not readable" in damaged(edited(checksum))
    assert "header is not readable" in damaged(edited(owner))


def test_the_message_has_a_cure_and_no_exception_of_python() -> None:
    for data in (b"", SMALL[:50], SMALL[:-4], bytes(30)):
        with pytest.raises(Corrupt) as raised:
            verify_archive(reader(data))
        assert raised.value.message.startswith("The archive is damaged: it ")
        assert "another backup file set" in raised.value.cure
        assert not raised.value.retryable


class Faulty(io.RawIOBase):
    """A reader that ends its good part with an error, or by waiting until it is let go."""

    def __init__(self, good: bytes, error: Exception | None) -> None:
        self._good = io.BytesIO(good)
        self._error = error
        self.let_go = threading.Event()

    def read(self, size: int = -1) -> bytes:
        data = self._good.read(min(size, 100))
        if data:
            return data
        if self._error is not None:
            raise self._error
        self.let_go.wait(10)
        return b""


def test_errors_of_the_reader_come_out_as_they_are() -> None:
    for error in (Unreachable("The server does not answer."), OSError(5, "I/O")):
        with pytest.raises(type(error)) as raised:
            verify_archive(Faulty(SMALL[:300], error))  # type: ignore[arg-type]
        assert raised.value is error


def test_check_ends_it_even_while_the_reader_hangs() -> None:
    class Stop(Exception):
        pass

    begun, watch = time.monotonic(), Stopwatch()
    source = Faulty(SMALL[:300], None)

    def check() -> None:
        if time.monotonic() - begun > 0.3:
            source.let_go.set()
            raise Stop

    with pytest.raises(Stop):
        verify_archive(source, check=check)  # type: ignore[arg-type]
    assert watch.seconds < 3
    assert not [thread for thread in threading.enumerate() if thread.name == "inflate"]


def test_no_thread_is_left_after_damage_found_early() -> None:
    data, _ = build(lambda archive: [archive.add_bytes(f"n1/{n}", bytes(8 * BLOCK), 0) for n in range(8)])
    inner = bytearray(gzip.decompress(data))
    inner[0] ^= 1
    assert "header is not readable" in damaged(squeeze(bytes(inner)))
    assert not [thread for thread in threading.enumerate() if thread.name == "inflate"]
