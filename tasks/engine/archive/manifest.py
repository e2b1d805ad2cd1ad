"""The manifest: facts about the run and one line for each member, inside the archive and beside it.

It is JSON, and at the same time lines: a head, then one member a line in the order of the archive, then an end. So it
is written and read in bounded memory whatever the number of members, and two manifests are compared line by line.

    {"format":"backup-console-manifest","version":1,"facts":{...},"totals":{...},"members":[
    {"type":"file","name":"...","size":1,"mode":"0600","mtime":1700000000,"sha256":"..."},
    {"type":"directory","name":".../","mode":"0700","mtime":1700000000},
    {"type":"symlink","name":"...","target":"...","mode":"0777","mtime":1700000000}
    ]}

Beside the archive the head has ``"archive":{"name":...,"size":...,"sha256":...}`` as well. Bytes of names that are not
UTF-8 stand as lone surrogates (PEP 383). Times are whole seconds, sizes are bytes.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring_ascii as quote
from pathlib import Path
from typing import Any, NamedTuple

from .blocks import Damage

MANIFEST_NAME = "MANIFEST.json"
FORMAT = "backup-console-manifest"
VERSION = 1
MAX_LINE = 16 << 20  # bytes; the head holds the facts, every other line is far shorter
CHUNK = 1 << 18  # bytes
END = b"\n]}\n"


class Member(NamedTuple):
    """A regular file of an archive. ``mode`` holds permission bits, ``mtime`` is in whole seconds."""

    name: str
    size: int
    sha256: str
    mode: int
    mtime: int


class Totals(NamedTuple):
    """What a manifest counts: all members but itself, the regular files among them, and the bytes of those."""

    members: int
    files: int
    source_bytes: int


class Head(NamedTuple):
    """The first line of a manifest; ``archive`` is None in the one that lies inside the archive."""

    facts: dict[str, Any]
    totals: Totals
    archive: dict[str, Any] | None


def file_line(name: str, size: int, mode: int, mtime: int, sha256: str) -> bytes:
    """Return the line of a regular file."""
    known = f'"name":{quote(name)},"size":{size},"mode":"{mode:04o}","mtime":{mtime}'
    return f'{{"type":"file",{known},"sha256":"{sha256}"}}'.encode("ascii")


def directory_line(name: str, mode: int, mtime: int) -> bytes:
    """Return the line of a directory; its name ends with a slash."""
    return f'{{"type":"directory","name":{quote(name)},"mode":"{mode:04o}","mtime":{mtime}}}'.encode("ascii")


def symlink_line(name: str, target: str, mode: int, mtime: int) -> bytes:
    """Return the line of a symbolic link."""
    text = f'{{"type":"symlink","name":{quote(name)},"target":{quote(target)},"mode":"{mode:04o}","mtime":{mtime}}}'
    return text.encode("ascii")


def head_line(facts: dict[str, Any], totals: Totals, archive: dict[str, Any] | None = None) -> bytes:
    """Return the head; raises TypeError where the facts cannot be written as JSON."""
    head: dict[str, Any] = {"format": FORMAT, "version": VERSION}
    if archive is not None:
        head["archive"] = archive
    head |= {"facts": facts, "totals": totals._asdict()}
    return json.dumps(head, separators=(",", ":")).encode("ascii")[:-1] + b',"members":['


class Lines:
    """The lines of the members, in a temporary file that has no name, in ``scratch`` or where the system puts it.

    ``size`` is the place after the last line; ``rewind(size)`` forgets all lines after such a place.
    """

    def __init__(self, scratch: str | os.PathLike[str] | None = None) -> None:
        self._file = tempfile.TemporaryFile(dir=scratch, buffering=CHUNK)  # noqa: SIM115 - close() ends it
        self.size = 0

    def add(self, line: bytes) -> None:
        """Append the line of one member."""
        self.size += self._file.write(b",\n" + line if self.size else b"\n" + line)

    def rewind(self, size: int) -> None:
        """Forget everything after ``size``."""
        self._file.seek(size)
        self._file.truncate()
        self.size = size

    def chunks(self) -> Iterator[bytes]:
        """Yield all that was added, as it stands in the manifest."""
        self._file.seek(0)
        while chunk := self._file.read(CHUNK):
            yield chunk
        self._file.seek(self.size)

    def close(self) -> None:
        """Give the temporary file back; once is enough, twice does no harm."""
        self._file.close()


def split_lines(chunks: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Yield lines without their end; raises Damage where one is longer than ``MAX_LINE``."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + bytes(chunk)).split(b"\n")
        if len(rest) > MAX_LINE:
            raise Damage("a line of the manifest is too long")
        yield from lines
    if rest:
        yield rest


def parse_head(line: bytes) -> Head:
    """Return the head; raises Damage where the line is none, or of a version that is not known."""
    try:
        head = json.loads(line + b"]}")
        if head["format"] != FORMAT or head["version"] != VERSION or head["members"] != []:
            raise Damage("the manifest has a format that this version of the console does not know")
        return Head(head["facts"], Totals(**head["totals"]), head.get("archive"))
    except Damage:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damage("the head of the manifest is not complete") from error


def member_lines(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines of the members as they were added, the head taken before; Damage without an end."""
    for line in lines:
        if line == b"]}":
            if any(lines):
                raise Damage("the manifest goes on after its end")
            return
        yield line.removesuffix(b",")
    raise Damage("the manifest ends early")


def read_manifest(path: Path) -> tuple[Head, Iterator[dict[str, Any]]]:
    """Open a manifest beside an archive: its head, and its members one by one. Raises Damage, OSError."""

    def chunks() -> Iterator[bytes]:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    lines = split_lines(chunks())
    head = parse_head(next(lines, b""))
    return head, (json.loads(line) for line in member_lines(lines))


def name_of(line: bytes) -> str:
    """Return the name in the line of a member; Damage where it is no such line."""
    try:
        return str(json.loads(line)["name"])
    except (ValueError, KeyError, TypeError) as error:
        raise Damage("a line of its manifest is not readable") from error
