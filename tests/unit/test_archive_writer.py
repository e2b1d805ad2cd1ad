"""The archive writer: what it writes is what GNU tar, gzip and Python's own tar read."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import subprocess
import tarfile
from pathlib import Path
from random import Random

import pytest

from tasks.engine.archive import LEVELS, ArchiveWriter, FileShrank, add_tree, read_manifest, verify_archive
from tasks.engine.archive.gzip import BLOCK

from .archive_kit import MemorySink, add_path, build, gnu_tar, reader

RAW_NAME = os.fsdecode(b"not-utf8-\xff\xfe.bin")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with empty, small and large files, long and odd names, links and a pipe."""
    root = tmp_path / "tree"
    (root / "empty dir").mkdir(parents=True)
    (root / "a" / "b").mkdir(parents=True)
    random = Random(7)
    sizes = {"none": 0, "one": 1, "record": 512, "more": 513, "block": BLOCK, "big": 3 * BLOCK + 17}
    for name, size in sizes.items():
        (root / "a" / name).write_bytes(random.randbytes(size))
    (root / "a" / "b" / ("n" * 180)).write_text("a name of 180 bytes")
    (root / "a" / "line\nbreak").write_text("odd")
    (root / "Größe-数据").write_text("UTF-8")
    (root / RAW_NAME).write_text("raw")
    deep = root / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True)
    (deep / "leaf").write_text("deep")
    os.utime(deep / "leaf", ns=(0, -1_500_000_000))
    (root / "link").symlink_to("a/one")
    (root / "far").symlink_to("t" * 150)
    os.mkfifo(root / "pipe")
    os.chmod(root / "a" / "one", 0o640)
    os.utime(root / "a" / "one", (1, 1_600_000_000))
    return root


def test_gnu_tar_reads_compares_and_extracts(tree: Path, tmp_path: Path) -> None:
    data, result = build(lambda archive: add_tree(archive, tree, "tree"))
    (tmp_path / "t.tar.gz").write_bytes(data)

    listed = gnu_tar("tz", "--quoting-style=literal", "--null", data=data)
    assert (listed.returncode, listed.stderr) == (0, b"")
    assert gnu_tar("tzf", "t.tar.gz", cwd=tmp_path).stdout.count(b"\n") == result.members + 1
    compared = gnu_tar("dzf", "t.tar.gz", "--exclude=MANIFEST.json", cwd=tmp_path)
    assert compared.stdout + compared.stderr == b""
    assert compared.returncode == 0

    out = tmp_path / "out"
    out.mkdir()
    assert gnu_tar("xzf", "../t.tar.gz", cwd=out).returncode == 0
    os.unlink(tree / "pipe")
    same = subprocess.run(["diff", "-r", "--no-dereference", tree, out / "tree"], capture_output=True, check=False)
    assert (same.returncode, same.stdout) == (0, b"")
    assert stat.S_IMODE((out / "tree/a/one").stat().st_mode) == 0o640
    assert (out / "tree/a/one").stat().st_mtime == 1_600_000_000


def test_gzip_and_hashes(tree: Path) -> None:
    data, result = build(lambda archive: add_tree(archive, tree, "tree"))
    assert subprocess.run(["gzip", "-t"], input=data, capture_output=True, check=False).returncode == 0
    assert result.sha256 == hashlib.sha256(data).hexdigest()
    verified = verify_archive(reader(data), sha256=result.sha256)
    assert verified == (
        result.size, result.sha256, result.members, {"purpose": "test"}, result.files, result.source_bytes
    )  # fmt: skip


def test_tarfile_reads_names_and_contents(tree: Path) -> None:
    data, _ = build(lambda archive: add_tree(archive, tree, "tree"))
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8") as opened:
        members = {member.name: member for member in opened}
        assert f"tree/{RAW_NAME}" in members
        assert f"tree/{'d' * 120}/{'e' * 120}/leaf" in members
        assert members["tree/far"].linkname == "t" * 150
        big = opened.extractfile("tree/a/big")
        assert big is not None
        assert big.read() == (tree / "a/big").read_bytes()


def test_threads_do_not_change_the_bytes(tree: Path) -> None:
    archives = {build(lambda archive: add_tree(archive, tree, "t"), threads=threads)[0] for threads in (1, 2, 4, None)}
    assert len(archives) == 1


@pytest.mark.parametrize("level", LEVELS)
def test_levels(tree: Path, level: str) -> None:
    data, result = build(lambda archive: add_tree(archive, tree, "t"), level=level)
    assert verify_archive(reader(data), sha256=result.sha256).members == result.members
    assert gnu_tar("tz", data=data).returncode == 0


def test_unknown_level() -> None:
    with pytest.raises(ValueError, match="fast, balanced, small"):
        ArchiveWriter(MemorySink(), level="9")


def test_tree_counts_and_skips(tree: Path) -> None:
    counts = []
    data, _ = build(lambda archive: counts.append(add_tree(archive, tree, "t", skip=lambda name: name == "t/a")))
    names = gnu_tar("tz", data=data).stdout.decode().splitlines()
    assert not [name for name in names if name.startswith("t/a/")]
    assert (counts[0].files, counts[0].symlinks, counts[0].skipped) == (3, 2, 2)


def test_tree_goes_on_after_an_error(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problems: list[tuple[str, Exception]] = []
    real = os.open

    def vanish(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "record":
            raise FileNotFoundError(2, "gone", path)
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", vanish)
    data, result = build(
        lambda archive: add_tree(archive, tree, "t", on_error=lambda name, error: problems.append((name, error)))
    )
    assert [name for name, _ in problems] == ["t/a/record"]
    assert verify_archive(reader(data)).members == result.members
    with pytest.raises(FileNotFoundError):
        build(lambda archive: add_tree(archive, tree, "t"))


def test_members_and_manifest_beside(tmp_path: Path) -> None:
    source = tmp_path / "mlog.bin"
    source.write_bytes(b"x" * 700)
    os.chmod(source, 0o600)
    os.utime(source, (0, 1_650_000_000.75))
    sink = MemorySink()
    beside = tmp_path / "beside.json"
    with ArchiveWriter(sink, scratch=tmp_path) as archive:
        fd = os.open(source, os.O_RDONLY)
        os.lseek(fd, 300, os.SEEK_SET)
        member = archive.add_file("n1/data/mlog.bin", fd)
        os.close(fd)
        archive.add_bytes("n1/about.txt", b"made here", 1_700_000_000)
        with pytest.raises(RuntimeError):
            archive.write_manifest(beside, {}, "x.tar.gz")
        result = archive.finish({"version": "2.0.1"})
        archive.write_manifest(beside, {"version": "2.0.1"}, "x.tar.gz")
        with pytest.raises(FileExistsError):
            archive.write_manifest(beside, {}, "x.tar.gz")
        other = io.BytesIO()
        archive.write_manifest(other, {"version": "2.0.1"}, "x.tar.gz")
    assert member == ("n1/data/mlog.bin", 700, hashlib.sha256(b"x" * 700).hexdigest(), 0o600, 1_650_000_000)
    assert other.getvalue() == beside.read_bytes()
    assert stat.S_IMODE(beside.stat().st_mode) == 0o600
    whole = json.loads(beside.read_bytes())
    assert whole["archive"] == {"name": "x.tar.gz", "size": result.size, "sha256": result.sha256}
    assert whole["totals"] == {"members": 2, "files": 2, "source_bytes": 709}
    head, members = read_manifest(beside)
    assert (head.facts, list(members)) == ({"version": "2.0.1"}, whole["members"])
    with tarfile.open(fileobj=io.BytesIO(sink.data)) as opened:
        inside = opened.extractfile("MANIFEST.json")
        assert inside is not None
        assert json.loads(inside.read())["members"] == whole["members"]


def test_an_empty_archive() -> None:
    data, result = build(lambda archive: None)
    assert verify_archive(reader(data)).members == result.members == 0


def test_a_file_that_grows_is_cut_at_the_size_it_had(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a" * (BLOCK + 5))

    def fill(archive: ArchiveWriter) -> None:
        fd = os.open(path, os.O_RDONLY)
        before = os.fstat(fd)
        with path.open("ab") as more:
            more.write(b"b" * BLOCK)
        assert archive.add_file("log", fd, before).size == BLOCK + 5
        os.close(fd)

    data, _ = build(fill)
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        content = opened.extractfile("log")
        assert content is not None
        assert content.read() == b"a" * (BLOCK + 5)


@pytest.mark.parametrize("size", [10, 5 * BLOCK])
def test_a_file_that_shrank_leaves_the_archive_as_it_was(tmp_path: Path, size: int) -> None:
    path, other = tmp_path / "log", tmp_path / "other"
    path.write_bytes(b"a" * size)
    other.write_bytes(b"other")

    def fill(archive: ArchiveWriter) -> None:
        add_path(archive, "first", other)
        fd = os.open(path, os.O_RDONLY)
        before = os.fstat(fd)
        os.truncate(path, size - 3)
        with pytest.raises(FileShrank) as raised:
            archive.add_file("n/log", fd, before)
        os.close(fd)
        assert raised.value.name == "n/log"
        assert archive.totals == (1, 1, 5)
        assert not archive.broken
        add_path(archive, "second", other)

    def without(archive: ArchiveWriter) -> None:
        add_path(archive, "first", other)
        add_path(archive, "second", other)

    assert build(fill)[0] == build(without)[0]


def test_reading_errors_name_the_member(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"12345")

    def fill(archive: ArchiveWriter) -> None:
        fd = os.open(tmp_path / "f", os.O_WRONLY)
        with pytest.raises(OSError) as raised:
            archive.add_file("n/f", fd)
        os.close(fd)
        assert raised.value.filename == "n/f"

    assert build(fill)[1].members == 0


@pytest.mark.parametrize("name", ["", "/etc/passwd", "a/../b", "..", "a//b", "./a", "a/", "a\0b", "MANIFEST.json"])
def test_names_that_no_archive_may_hold(name: str) -> None:
    with ArchiveWriter(MemorySink()) as archive, pytest.raises(ValueError, match="cannot be the name"):
        archive.add_bytes(name, b"", 0)


def test_only_regular_files(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    with ArchiveWriter(MemorySink()) as archive, pytest.raises(ValueError, match="not a regular file"):
        archive.add_file("x", fd)
    os.close(fd)
