"""Names, sizes and headers of any kind survive an archive."""

from __future__ import annotations

import io
import math
import os
import tarfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.engine.archive import ArchiveWriter, tar, verify_archive

from .archive_kit import build, gnu_tar, reader

names = st.lists(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=140).filter(
        lambda part: part not in (".", "..")
    ),
    min_size=1,
    max_size=5,
).map("/".join)
raw_names = st.binary(min_size=1, max_size=200).map(lambda raw: os.fsdecode(b"r" + raw.translate(None, b"/\0")))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names | raw_names, st.binary(max_size=2000), max_size=6), st.sampled_from([0, 1, 1 << 33, -5]))
def test_any_name_and_content_survives(contents: dict[str, bytes], mtime: int) -> None:
    contents.pop("MANIFEST.json", None)

    def fill(archive: ArchiveWriter) -> None:
        for name, content in contents.items():
            archive.add_bytes(name, content, mtime)

    data, result = build(fill)
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8") as opened:
        found = {member.name: opened.extractfile(member).read() for member in opened if member.name != "MANIFEST.json"}  # type: ignore[union-attr]
        assert all(int(member.mtime) == mtime for member in opened if member.name != "MANIFEST.json")
    assert found == contents
    assert verify_archive(reader(data), sha256=result.sha256).files == len(contents)
    listed = gnu_tar("tz", "--quoting-style=literal", data=data)
    assert listed.returncode == 0
    assert listed.stdout == b"".join(tar.encode_name(name) + b"\n" for name in [*contents, "MANIFEST.json"])


@settings(max_examples=100, deadline=None)
@given(
    raw_names,
    st.sampled_from([0, 1, 8 * (1 << 30) - 1, 8 * (1 << 30), 50 << 40]),
    st.sampled_from([0, 2_097_151, 2_097_152, 4_294_967_294]),
    st.integers(-10, 1 << 34),
)
def test_headers_are_what_tarfile_understands(name: str, size: int, owner: int, mtime: int) -> None:
    header = tar.member_header(tar.encode_name(name), size, tar.Attributes(0o4755, mtime, owner, owner, 500_000_000))
    with tarfile.open(fileobj=io.BytesIO(header + tar.END), encoding="utf-8", ignore_zeros=True) as opened:
        member = opened.next()
    assert member is not None
    assert (member.name, member.size, member.uid, member.gid) == (name, size, owner, owner)
    assert (math.floor(member.mtime), member.mode, member.type) == (mtime, 0o4755, tarfile.REGTYPE)


def test_sparse_giants_have_a_size_that_gnu_tar_reads(tmp_path: Path) -> None:
    header = tar.member_header(b"giant", 9 << 30, tar.Attributes(0o600, 0, 0, 3_000_000))
    (tmp_path / "head.tar").write_bytes(header)
    listed = gnu_tar("tvf", "head.tar", "--numeric-owner", cwd=tmp_path)
    assert listed.stdout.startswith(b"-rw------- 0/3000000") and b" 9663676416 " in listed.stdout
