"""Take the members out of an archive that was verified before, in its order, in bounded memory.

An archive's manifest is its last member, so that nothing can be compared with it on a first reading. Therefore twice:
``verify_archive(..., listing=listing)`` proves the whole and keeps the lines of its members; ``unpack`` reads the same
archive again and compares each member with its line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import BinaryIO, Literal, NamedTuple

from . import tar
from .blocks import Damage
from .inflate import Inflater
from .manifest import MANIFEST_NAME
from .members import Content, Header, Listing, Reading
from .reading import member_name

Kind = Literal["file", "directory", "symlink"]
_KINDS: dict[bytes, Kind] = {tar.FILE: "file", tar.DIRECTORY: "directory", tar.SYMLINK: "symlink"}


class Unpacked(NamedTuple):
    """A member: ``name`` relative and without a slash at the end, ``mode`` permission bits, ``mtime`` whole seconds.

    ``chunks`` are the bytes of a file, none of anything else; each counts only until the next one is asked for.
    """

    name: str
    kind: Kind
    size: int
    mode: int
    mtime: int
    uid: int
    gid: int
    target: str
    chunks: Iterator[memoryview]


def unpack(
    reader: BinaryIO, listing: Listing, *, sha256: str | None = None, check: Callable[[], None] | None = None
) -> Iterator[Unpacked]:
    """Yield the members, all but the manifest, as they stood in the archive when ``listing`` was made.

    Raises Corrupt at the end of the first member that is not as it was then, at a name that leads out of the
    directory it is unpacked to, also through a link of the archive itself, and at the end where the archive as a whole
    differs: what was written until then is not to be used. Chunks that are not taken are read over. Errors of the
    reader and of ``check`` pass.
    """
    with Inflater(reader, check or (lambda: None)) as source:
        reading = Reading(source)
        try:
            yield from _members(reading, listing)
            if sha256 is not None and source.sha256 != sha256:
                raise Damage("its SHA-256 is not the one that was recorded when it was written")
        except Damage as error:
            raise reading.corrupt(str(error)) from error


def _members(reading: Reading, listing: Listing) -> Iterator[Unpacked]:
    lines = listing.lines()
    links: set[str] = set()
    while (header := reading.next_header()) is not None and header.name != MANIFEST_NAME:
        content = Content(reading, header)
        yield _safe(header, links, iter(content))
        if content.finish() != next(lines, b""):
            raise Damage("it is not as it was when the archive was checked")
    if header is None:
        raise Damage(f"it has no {MANIFEST_NAME}")
    if next(lines, b""):
        raise Damage("members are missing that were there when the archive was checked")
    for _ in reading.source.chunks(header.size):
        pass
    reading.skip_padding(header.size)
    reading.name = ""
    if reading.source.exactly(len(tar.END)) != tar.END:
        raise Damage("something follows its manifest")
    reading.source.expect_end()


def _safe(header: Header, links: set[str], chunks: Iterator[memoryview]) -> Unpacked:
    """Return the member for the caller; Damage where writing it could reach another place than its own."""
    kind = _KINDS.get(header.kind)
    name = header.name.removesuffix("/") if kind == "directory" else header.name
    try:
        member_name(name)
    except ValueError as error:
        raise Damage("its name leads out of the directory that it belongs to") from error
    if kind is None:
        raise Damage(f"it has the unknown type {header.kind!r}")
    if links and not links.isdisjoint(map(str, PurePosixPath(name).parents)):
        raise Damage("it lies behind a symbolic link of the archive")
    if kind == "symlink":
        links.add(name)
    size = header.size if kind == "file" else 0
    return Unpacked(name, kind, size, header.mode, header.mtime, header.uid, header.gid, header.target, chunks)
