"""Members from streams of known size: the same archive as from files, and no trace of a stream that fails."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.errors import Unreachable
from tasks.engine.archive import ArchiveWriter, Attributes, FileShrank
from tasks.engine.archive.gzip import BLOCK
from tests.unit.archive_kit import build, reader

ABOUT = Attributes(0o640, 1_700_000_000, 0, 0, 0, True)
SIZES = [0, 1, 511, 512, BLOCK - 600, BLOCK - 512, BLOCK, BLOCK + 1, 3 * BLOCK + 77]


def in_parts(data: bytes, most: int = 70_000) -> Callable[[int], bytes]:
    """Return a reader that gives less than it is asked for."""
    stream = io.BytesIO(data)
    return lambda size: stream.read(min(size, most))


@pytest.mark.parametrize("size", SIZES)
def test_a_stream_becomes_the_member_that_its_file_would(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "f").write_bytes(data)
    os.chmod(tmp_path / "f", 0o640)
    os.utime(tmp_path / "f", (1_700_000_000, 1_700_000_000))

    def from_file(archive: ArchiveWriter) -> None:
        fd = os.open(tmp_path / "f", os.O_RDONLY)
        archive.add_file("n1/f", fd)
        os.close(fd)

    def from_stream(archive: ArchiveWriter) -> None:
        seen = (tmp_path / "f").stat()
        about = ABOUT._replace(uid=seen.st_uid, gid=seen.st_gid, foreign=False)
        member = archive.add_stream("n1/f", in_parts(data), size, about)
        assert (member.size, archive.source_bytes, archive.files) == (size, size, 1)

    assert build(from_file)[0] == build(from_stream)[0]


@pytest.mark.parametrize("size", [100, BLOCK - 600, 2 * BLOCK + 9])
@pytest.mark.parametrize("before", [0, 1000, BLOCK + 5])
@pytest.mark.parametrize("error", [None, OSError(5, "x"), Unreachable("The connection was lost."), ValueError()])
def test_a_stream_that_ends_or_fails_early_leaves_the_archive_as_it_was(
    size: int, before: int, error: Exception | None
) -> None:
    first, good, data = os.urandom(before), os.urandom(size), os.urandom(size // 2)

    def failing() -> Callable[[int], bytes]:
        read = in_parts(data)

        def step(wanted: int) -> bytes:
            part = read(wanted)
            if not part and error is not None:
                raise error
            return part

        return step

    def disturbed(archive: ArchiveWriter) -> None:
        archive.add_stream("n1/a", in_parts(first), before, ABOUT)
        totals = archive.totals
        with pytest.raises(FileShrank if error is None else type(error)):
            archive.add_stream("n1/b", failing(), size, ABOUT)
        assert not archive.broken
        assert archive.totals == totals
        archive.add_stream("n1/b", in_parts(good), size, ABOUT)

    def undisturbed(archive: ArchiveWriter) -> None:
        archive.add_stream("n1/a", in_parts(first), before, ABOUT)
        archive.add_stream("n1/b", in_parts(good), size, ABOUT)

    assert build(disturbed)[0] == build(undisturbed)[0]


def test_owners_of_another_machine_go_in_as_numbers_only() -> None:
    def fill(archive: ArchiveWriter) -> None:
        archive.add_directory("n1/d", ABOUT)
        archive.add_symlink("n1/d/l", "f", ABOUT)
        archive.add_stream("n1/d/f", in_parts(b"x"), 1, ABOUT._replace(uid=1001, gid=3_000_000))
        archive.add_directory("here", ABOUT._replace(foreign=False))

    with tarfile.open(fileobj=reader(build(fill)[0])) as tar:
        owners = {one.name: (one.uid, one.gid, one.uname, one.gname) for one in tar}
    assert owners["n1/d"] == owners["n1/d/l"] == (0, 0, "", "")
    assert owners["n1/d/f"] == (1001, 3_000_000, "", "")
    assert owners["here"][2] == "root"
