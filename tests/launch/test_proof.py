"""The proof of an archive notices whatever does not fit."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from backupconsole.proof import NotProven, prove
from tasks.engine.archive import ArchiveWriter
from tasks.models import BackupFile
from tasks.naming import manifest_name


class Target(io.BytesIO):
    """A sink in memory."""

    def truncate(self, size: int | None = None) -> int:
        self.seek(size or 0)
        return super().truncate(size)


@pytest.fixture
def published(tmp_path: Path) -> BackupFile:
    """The record of an archive with three members, and the archive and its manifest on the disk."""
    path, target = tmp_path / "2.0.1-beta_IoTDB_20260601050000.tar.gz", Target()
    with ArchiveWriter(target) as writer:
        for name in ("a", "b", "c"):
            writer.add_bytes(f"node1/{name}", name.encode() * 5000, 0)
        result = writer.finish({"version": "2.0.1-beta"})
        writer.write_manifest(path.with_name(manifest_name(path.name)), {"version": "2.0.1-beta"}, path.name)
    path.write_bytes(target.getvalue())
    return BackupFile(path=str(path), name=path.name, size=result.size, sha256=result.sha256, members=result.members)


def test_a_whole_archive_is_proven(published: BackupFile) -> None:
    proof = prove(published)
    assert proof.names == ("node1/a", "node1/b", "node1/c", "MANIFEST.json")
    assert len(proof.checks) == 3


def test_the_names_come_from_the_manifest_where_there_is_no_tar(
    published: BackupFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert prove(published).names == ("node1/a", "node1/b", "node1/c")


def test_a_flipped_bit(published: BackupFile) -> None:
    path = Path(published.path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(NotProven, match="recorded were"):
        prove(published)


def test_a_file_that_is_gone(published: BackupFile) -> None:
    Path(published.path).unlink()
    with pytest.raises(NotProven, match="is not there"):
        prove(published)


@pytest.mark.parametrize("content", [b"", b"{", b"not json"])
def test_a_manifest_that_cannot_be_read(published: BackupFile, content: bytes) -> None:
    Path(published.path + ".manifest.json").write_bytes(content)
    with pytest.raises(NotProven, match="cannot be read"):
        prove(published)


def test_a_manifest_of_another_archive(published: BackupFile) -> None:
    beside = Path(published.path + ".manifest.json")
    beside.write_bytes(beside.read_bytes().replace(published.sha256.encode(), b"0" * 64))
    with pytest.raises(NotProven, match="speaks of another archive"):
        prove(published)


def test_an_archive_that_is_broken_although_all_hashes_agree(published: BackupFile) -> None:
    path, beside = Path(published.path), Path(published.path + ".manifest.json")
    path.write_bytes(path.read_bytes()[:-40])
    before, published.sha256 = published.sha256, hashlib.sha256(path.read_bytes()).hexdigest()
    size, published.size = published.size, path.stat().st_size
    text = beside.read_bytes().replace(before.encode(), published.sha256.encode())
    beside.write_bytes(text.replace(f'"size":{size},'.encode(), f'"size":{published.size},'.encode()))
    with pytest.raises(NotProven):
        prove(published)


def test_a_count_that_is_not_the_recorded_one(published: BackupFile) -> None:
    published.members += 1
    with pytest.raises(NotProven, match="members"):
        prove(published)
