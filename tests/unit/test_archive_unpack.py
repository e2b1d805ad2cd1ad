"""Unpacking: members come out as they went in, and what could do harm or changed meanwhile does not pass."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from storage.errors import Corrupt
from tasks.engine.archive import ArchiveWriter, Listing, add_tree, unpack, verify_archive
from tasks.engine.archive.gzip import ParallelGzip

from .archive_kit import Fill, MemorySink, build, reader


def unpacked(data: bytes, sha256: str | None = None, again: bytes | None = None) -> list[tuple[str, str, bytes]]:
    """Verify ``data``, unpack it (or ``again``), and return name, kind and content or target of each member."""
    with Listing() as listing:
        verify_archive(reader(data), sha256=sha256, listing=listing)
        return [
            (one.name, one.kind, one.target.encode() or b"".join(map(bytes, one.chunks)))
            for one in unpack(reader(again or data), listing, sha256=sha256)
        ]


def refused(data: bytes, again: bytes | None = None) -> str:
    with pytest.raises(Corrupt) as raised:
        unpacked(data, again=again)
    return raised.value.message


def squeezed(tar: bytes) -> bytes:
    sink = MemorySink()
    with ParallelGzip(sink) as stream:
        stream.write(tar)
        stream.finish()
    return bytes(sink.data)


def renamed(fill: Fill, old: bytes, new: bytes) -> bytes:
    """Return an archive whole in itself in which a member has a name that the writer would not have taken."""
    assert len(old) == len(new)
    tar = bytearray(gzip.decompress(build(fill)[0]))
    for start in range(0, len(tar), 512):
        block = tar[start : start + 512]
        if block[257:262] == b"ustar" and old in block[:100]:
            block[:100] = bytes(block[:100]).replace(old, new)
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\0 " % sum(block)
            tar[start : start + 512] = block
    return squeezed(bytes(tar).replace(b'"name":"' + old, b'"name":"' + new))


def test_members_come_out_as_they_went_in(tmp_path: Path) -> None:
    noise = Random(1).randbytes(3_000_000)
    (tmp_path / "deep" / ("d" * 90) / ("e" * 90)).mkdir(parents=True)
    (tmp_path / "deep" / ("d" * 90) / ("e" * 90) / "größe").write_bytes(noise)
    (tmp_path / "empty").touch(0o640)
    (tmp_path / "link").symlink_to("empty")
    os.utime(tmp_path / "empty", (1_700_000_000, 1_700_000_000))
    data, result = build(lambda archive: add_tree(archive, tmp_path, "n1"))
    found = {name: (kind, content) for name, kind, content in unpacked(data, result.sha256)}
    assert found["n1"] == ("directory", b"")
    assert found["n1/link"] == ("symlink", b"empty")
    assert found["n1/empty"] == ("file", b"")
    assert found[f"n1/deep/{'d' * 90}/{'e' * 90}/größe"] == ("file", noise)
    assert len(found) == result.members
    with Listing() as listing:
        verify_archive(reader(data), listing=listing)
        one = next(one for one in unpack(reader(data), listing) if one.name == "n1/empty")
    assert (one.mode, one.mtime, one.uid, one.gid) == (0o640, 1_700_000_000, os.getuid(), os.getgid())


def test_chunks_that_nobody_takes_are_read_over_and_still_compared() -> None:
    noise = Random(2).randbytes(2_000_000)
    data, result = build(lambda archive: [archive.add_bytes(f"n1/{number}", noise, 0) for number in range(3)])
    with Listing() as listing:
        verify_archive(reader(data), sha256=result.sha256, listing=listing)
        names = [one.name for one in unpack(reader(data), listing, sha256=result.sha256)]
    assert names == ["n1/0", "n1/1", "n1/2"]


def _two(second: bytes) -> Fill:
    def fill(archive: ArchiveWriter) -> None:
        archive.add_bytes("n1/first", b"same", 0)
        archive.add_bytes("n1/second", second, 0)
        archive.add_bytes("n1/third", b"same", 0)

    return fill


def test_a_member_that_changed_between_the_two_readings_is_named() -> None:
    before, after = build(_two(b"aaaa"))[0], build(_two(b"bbbb"))[0]
    assert "it is not as it was when the archive was checked (at n1/second)" in refused(before, after)


def test_members_that_went_away_or_came_between_the_two_readings_are_noticed() -> None:
    before = build(_two(b"aaaa"))[0]
    shorter = build(lambda archive: archive.add_bytes("n1/first", b"same", 0))[0]
    assert "members are missing" in refused(before, shorter)
    assert "it is not as it was when the archive was checked (at n1/second)" in refused(shorter, before)
    assert "it ends too early" in refused(before, before[:-20])


def test_another_archive_with_the_same_members_is_noticed_by_the_hash() -> None:
    noise = Random(3).randbytes(500) * 2000
    fill: Callable[[ArchiveWriter], object] = lambda archive: archive.add_bytes("n1/a", noise, 0)  # noqa: E731
    (data, result), (other, _) = build(fill, level="fast"), build(fill, level="small")
    assert data != other
    with Listing() as listing:
        verify_archive(reader(data), sha256=result.sha256, listing=listing)
        with pytest.raises(Corrupt, match="SHA-256"):
            list(unpack(io.BytesIO(other), listing, sha256=result.sha256))


@pytest.mark.parametrize("name", [b"/etc/passwd1", b"../../passwd", b"n1/../../pwd", b"n1/./passwd1", b"n1//passwd12"])
def test_names_that_lead_out_are_refused_although_the_archive_is_whole(name: bytes) -> None:
    data = renamed(lambda archive: archive.add_bytes("n1/passwd123", b"x", 0), b"n1/passwd123", name)
    verify_archive(reader(data))
    assert "leads out of the directory" in refused(data)


def test_a_member_behind_a_link_of_the_archive_is_refused(tmp_path: Path) -> None:
    def fill(archive: ArchiveWriter) -> None:
        (tmp_path / "link").symlink_to("/etc")
        archive.add_symlink("n1/conf", "/etc", os.lstat(tmp_path / "link"))
        archive.add_bytes("n1/conf/passwd", b"x", 0)

    assert "behind a symbolic link" in refused(build(fill)[0])


def test_what_check_raises_ends_the_unpacking() -> None:
    data, _ = build(_two(b"aaaa"))

    def stop() -> None:
        raise InterruptedError("stopped")

    with Listing() as listing:
        verify_archive(reader(data), listing=listing)
        with pytest.raises(InterruptedError):
            list(unpack(reader(data), listing, check=stop))
