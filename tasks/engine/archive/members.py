"""Take a tar apart member by member; verification and unpacking read archives through this and nothing else."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from hashlib import sha256 as new_sha256
from typing import NamedTuple

from storage.errors import Corrupt

from . import manifest, tar
from .blocks import Damage
from .inflate import Inflater

_MAX_EXTENDED = 1 << 20  # bytes of an extended header; names are far shorter
_SPOOL = 1 << 20  # bytes of lines that are kept in memory before they go to a temporary file


class Header(NamedTuple):
    """What stands before the bytes of a member; ``kind`` is the type flag, ``mtime`` is in whole seconds."""

    name: str
    kind: bytes
    size: int
    mode: int
    mtime: int
    target: str
    uid: int
    gid: int

    def line(self, sha256: str) -> bytes:
        """Return the line that the manifest has to have for the member; Damage for a type that no archive has."""
        if self.kind == tar.DIRECTORY:
            return manifest.directory_line(self.name, self.mode, self.mtime)
        if self.kind == tar.SYMLINK:
            return manifest.symlink_line(self.name, self.target, self.mode, self.mtime)
        if self.kind == tar.FILE:
            return manifest.file_line(self.name, self.size, self.mode, self.mtime, sha256)
        raise Damage(f"a member has the unknown type {self.kind!r}")


class Listing:
    """The lines of the members that a verification found, in memory or in ``scratch``; use as a context."""

    def __init__(self, scratch: str | os.PathLike[str] | None = None) -> None:
        self._file = tempfile.SpooledTemporaryFile(_SPOOL, dir=None if scratch is None else os.fspath(scratch))  # noqa: SIM115 - close() ends it

    def __enter__(self) -> Listing:
        return self

    def __exit__(self, *details: object) -> None:
        self._file.close()

    def add(self, line: bytes) -> None:
        """Append the line of one member."""
        self._file.write(line + b"\n")

    def lines(self) -> Iterator[bytes]:
        """Yield all lines from the first on; one reading at a time."""
        self._file.seek(0)
        return (line[:-1] for line in self._file)


class Reading:
    """One reading of one archive. ``name`` is the member that is read, for errors; ``Damage`` says what is wrong."""

    def __init__(self, source: Inflater) -> None:
        self.source = source
        self.name = ""

    def corrupt(self, what: str) -> Corrupt:
        """Return the error, with the member that was read when it showed."""
        return corrupt(f"{what} (at {self.name})" if self.name else what)

    def next_header(self) -> Header | None:
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
        header = None if block == tar.ZEROS else _parse(block, extended)
        self.name = header.name if header else ""
        return header

    def skip_padding(self, size: int) -> None:
        """Take the zeros that fill a member up to a record."""
        rest = tar.padding(size)
        if rest and self.source.exactly(rest) != tar.ZEROS[:rest]:
            raise Damage("the space between two members is not empty")


class Content:
    """The bytes of one member, hashed as they are taken; ``finish`` takes what nobody wanted."""

    def __init__(self, reading: Reading, header: Header) -> None:
        self._reading = reading
        self._header = header
        self._digest = new_sha256(usedforsecurity=False)
        self._size = header.size if header.kind == tar.FILE else 0
        self._chunks = self._read()

    def __iter__(self) -> Iterator[memoryview]:
        return self._chunks

    def finish(self) -> bytes:
        """Read on to the next member and return the line that the manifest has to have for this one."""
        for _ in self._chunks:
            pass
        self._reading.skip_padding(self._size)
        return self._header.line(self._digest.hexdigest())

    def _read(self) -> Iterator[memoryview]:
        for chunk in self._reading.source.chunks(self._size):
            self._digest.update(chunk)
            yield chunk


def corrupt(what: str) -> Corrupt:
    """Return the error for an archive that is damaged; ``what`` is the middle of the sentence."""
    return Corrupt(
        f"The archive is damaged: {what}.",
        cure="Do not restore from it. Use another backup file set, and run the backup task again.",
    )


def _parse(block: bytes, extended: dict[bytes, bytes]) -> Header:
    if block[257:265] != tar.MAGIC or block[148:156] != b"%06o\0 " % tar.checksum(block):
        raise Damage("a member's header is not readable")
    name, prefix = (field.split(b"\0", 1)[0] for field in (block[:100], block[345:500]))
    name = extended.get(b"path", prefix + b"/" + name if prefix else name)
    target = extended.get(b"linkpath", block[157:257].split(b"\0", 1)[0])
    try:
        size = int(extended[b"size"]) if b"size" in extended else int(block[124:135], 8)
        mtime = _whole_seconds(extended[b"mtime"]) if b"mtime" in extended else int(block[136:147], 8)
        mode = int(block[100:107], 8)
        uid = int(extended[b"uid"]) if b"uid" in extended else int(block[108:115], 8)
        gid = int(extended[b"gid"]) if b"gid" in extended else int(block[116:123], 8)
    except ValueError as error:
        raise Damage("a member's header is not readable") from error
    return Header(tar.decode_name(name), block[156:157], size, mode, mtime, tar.decode_name(target), uid, gid)


def _whole_seconds(value: bytes) -> int:
    """Return a decimal time rounded down, as the manifest has it."""
    seconds, _, fraction = value.partition(b".")
    return int(seconds) - (seconds.startswith(b"-") and int(fraction or b"0") > 0)
