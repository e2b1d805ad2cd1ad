"""Prove an archive by reading it once, in bounded memory: hash, gzip, tar, every member, and the manifest inside.

One thread reads, hashes and inflates; the caller's thread checks the CRC, takes the tar apart and hashes the members.
Only archives of ``writer`` are accepted: header and end have exactly one form, so that every bit of them counts.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from hashlib import sha256 as new_sha256
from typing import Any, BinaryIO, NamedTuple

from storage.errors import Corrupt

from . import manifest, tar
from .blocks import Damage
from .inflate import Inflater
from .manifest import MANIFEST_NAME, Totals

_MAX_EXTENDED = 1 << 20  # bytes of an extended header; names are far shorter
_SPOOL = 1 << 20  # bytes of lines that are kept in memory before they go to a temporary file


class Verified(NamedTuple):
    """An archive that is whole: size in bytes, SHA-256, counts as in its manifest, and the manifest's facts."""

    size: int
    sha256: str
    members: int
    facts: dict[str, Any]
    files: int
    source_bytes: int


def verify_archive(
    reader: BinaryIO,
    *,
    sha256: str | None = None,
    check: Callable[[], None] | None = None,
    scratch: str | os.PathLike[str] | None = None,
) -> Verified:
    """Read the archive from ``reader`` to its end and return what it holds.

    Raises Corrupt, naming the member where it is known, for any difference: a bit that changed, an archive cut short or
    with something after its end, a member that is missing, additional, renamed or not as the manifest inside says, a
    manifest that is missing. With ``sha256`` every bit of the archive counts; without it those that change nothing
    of what comes out (padding in the deflate stream, another way to say the same) cannot count, and all others do.
    ``check`` is called in this thread for every chunk and while waiting, and may raise. Errors of the reader pass.
    """
    with Inflater(reader, check or (lambda: None)) as source:
        proof = _Proof(source, scratch)
        try:
            totals, facts = proof.run()
        except Damage as error:
            raise proof.corrupt(str(error)) from error
        finally:
            proof.lines.close()
        if sha256 is not None and source.sha256 != sha256:
            raise _corrupt("its SHA-256 is not the one that was recorded when it was written")
        return Verified(source.size, source.sha256, totals.members, facts, totals.files, totals.source_bytes)


def _corrupt(what: str) -> Corrupt:
    return Corrupt(
        f"The archive is damaged: {what}.",
        cure="Do not restore from it. Use another backup file set, and run the backup task again.",
    )


class _Header(NamedTuple):
    name: str
    kind: bytes
    size: int
    mode: int
    mtime: int
    target: str


class _Proof:
    """One reading of one archive; ``Damage`` in it says what is wrong."""

    def __init__(self, source: Inflater, scratch: str | os.PathLike[str] | None) -> None:
        self.source = source
        self.lines = tempfile.SpooledTemporaryFile(_SPOOL, dir=None if scratch is None else os.fspath(scratch))  # noqa: SIM115 - closed by verify_archive
        self.name = ""
        self.members = self.files = self.source_bytes = 0

    def corrupt(self, what: str) -> Corrupt:
        """Return the error, with the member that was read when it showed."""
        return _corrupt(f"{what} (at {self.name})" if self.name else what)

    def run(self) -> tuple[Totals, dict[str, Any]]:
        """Read everything."""
        while True:
            header = self.next_header()
            if header is None:
                raise Damage(f"it has no {MANIFEST_NAME}")
            self.name = header.name
            if header.name == MANIFEST_NAME:
                break
            self.lines.write(self.member(header) + b"\n")
            self.members += 1
        head = self.compare(header.size)
        self.name = ""
        if self.source.exactly(len(tar.END)) != tar.END:
            raise Damage("something follows its manifest")
        self.source.expect_end()
        totals = Totals(self.members, self.files, self.source_bytes)
        if totals != head.totals:
            raise Damage("the counts in its manifest are not those of its members")
        return totals, head.facts

    def next_header(self) -> _Header | None:
        """Return the next header, what an extended one says taken in; None at the end of the tar."""
        extended: dict[bytes, bytes] = {}
        block = self.source.exactly(tar.RECORD)
        if block[156:157] == tar.EXTENDED:
            size = _parse(block, {}).size
            if size > _MAX_EXTENDED:
                raise Damage("an extended header is too long")
            extended = tar.parse_extended(self.source.exactly(size))
            self.skip_padding(size)
            block = self.source.exactly(tar.RECORD)
        return None if block == tar.ZEROS else _parse(block, extended)

    def member(self, header: _Header) -> bytes:
        """Read a member and return the line that the manifest has to have for it."""
        if header.kind == tar.DIRECTORY:
            return manifest.directory_line(header.name, header.mode, header.mtime)
        if header.kind == tar.SYMLINK:
            return manifest.symlink_line(header.name, header.target, header.mode, header.mtime)
        if header.kind != tar.FILE:
            raise Damage(f"a member has the unknown type {header.kind!r}")
        digest = new_sha256(usedforsecurity=False)
        for chunk in self.source.chunks(header.size):
            digest.update(chunk)
        self.skip_padding(header.size)
        self.files += 1
        self.source_bytes += header.size
        return manifest.file_line(header.name, header.size, header.mode, header.mtime, digest.hexdigest())

    def compare(self, size: int) -> manifest.Head:
        """Compare what was read with the manifest, line by line."""
        lines = manifest.split_lines(self.source.chunks(size))
        head = manifest.parse_head(next(lines, b""))
        self.lines.seek(0)
        found = (line[:-1] for line in self.lines)
        for listed in manifest.member_lines(lines):
            actual = next(found, b"")
            if actual != listed:
                self.name = ""
                raise Damage(_difference(actual, listed, found))
        if actual := next(found, b""):
            self.name = ""
            raise Damage(f"{manifest.name_of(actual)} is in the archive, but not in its manifest")
        self.skip_padding(size)
        return head

    def skip_padding(self, size: int) -> None:
        """Take the zeros that fill a member up to a record."""
        rest = tar.padding(size)
        if rest and self.source.exactly(rest) != tar.ZEROS[:rest]:
            raise Damage("the space between two members is not empty")


def _parse(block: bytes, extended: dict[bytes, bytes]) -> _Header:
    if block[257:265] != tar.MAGIC or block[148:156] != b"%06o\0 " % tar.checksum(block):
        raise Damage("a member's header is not readable")
    name, prefix = (field.split(b"\0", 1)[0] for field in (block[:100], block[345:500]))
    name = extended.get(b"path", prefix + b"/" + name if prefix else name)
    target = extended.get(b"linkpath", block[157:257].split(b"\0", 1)[0])
    try:
        size = int(extended[b"size"]) if b"size" in extended else int(block[124:135], 8)
        mtime = _whole_seconds(extended[b"mtime"]) if b"mtime" in extended else int(block[136:147], 8)
        mode = int(block[100:107], 8)
    except ValueError as error:
        raise Damage("a member's header is not readable") from error
    return _Header(tar.decode_name(name), block[156:157], size, mode, mtime, tar.decode_name(target))


def _whole_seconds(value: bytes) -> int:
    """Return a decimal time rounded down, as the manifest has it."""
    seconds, _, fraction = value.partition(b".")
    return int(seconds) - (seconds.startswith(b"-") and int(fraction or b"0") > 0)


def _difference(actual: bytes, listed: bytes, rest: Iterator[bytes]) -> str:
    """Say in which way the first member that differs does."""
    listed_name = manifest.name_of(listed)
    actual_name = manifest.name_of(actual) if actual else ""
    if actual_name == listed_name:
        return f"{actual_name} is not as its manifest says"
    if actual and any(manifest.name_of(line) == listed_name for line in rest):
        return f"{actual_name} is in the archive, but not in its manifest"
    return f"{listed_name} is in the manifest, but not in the archive"
