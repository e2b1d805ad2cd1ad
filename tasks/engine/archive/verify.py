"""Prove an archive by reading it once, in bounded memory: hash, gzip, tar, every member, and the manifest inside.

One thread reads, hashes and inflates; the caller's thread checks the CRC, takes the tar apart and hashes the members.
Only archives of ``writer`` are accepted: header and end have exactly one form, so that every bit of them counts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, BinaryIO, NamedTuple

from . import manifest, tar
from .blocks import Damage
from .inflate import Inflater
from .manifest import MANIFEST_NAME, Totals
from .members import Content, Header, Listing, Reading, corrupt


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
    listing: Listing | None = None,
) -> Verified:
    """Read the archive from ``reader`` to its end and return what it holds.

    Raises Corrupt, naming the member where it is known, for any difference: a bit that changed, an archive cut short or
    with something after its end, a member that is missing, additional, renamed or not as the manifest inside says, a
    manifest that is missing. With ``sha256`` every bit of the archive counts; without it those that change nothing
    of what comes out (padding in the deflate stream, another way to say the same) cannot count, and all others do.
    ``check`` is called in this thread for every chunk and while waiting, and may raise. Errors of the reader pass.
    ``listing`` holds the lines of the members afterwards, for ``unpack``.
    """
    with ExitStack() as stack:
        source = stack.enter_context(Inflater(reader, check or (lambda: None)))
        proof = _Proof(source, listing or stack.enter_context(Listing(scratch)))
        try:
            totals, facts = proof.run()
        except Damage as error:
            raise proof.corrupt(str(error)) from error
        if sha256 is not None and source.sha256 != sha256:
            raise corrupt("its SHA-256 is not the one that was recorded when it was written")
        return Verified(source.size, source.sha256, totals.members, facts, totals.files, totals.source_bytes)


class _Proof(Reading):
    """One reading of one archive to its end, compared with the manifest inside."""

    def __init__(self, source: Inflater, listing: Listing) -> None:
        super().__init__(source)
        self.listing = listing
        self.members = self.files = self.source_bytes = 0

    def run(self) -> tuple[Totals, dict[str, Any]]:
        """Read everything."""
        while True:
            header = self.next_header()
            if header is None:
                raise Damage(f"it has no {MANIFEST_NAME}")
            if header.name == MANIFEST_NAME:
                break
            self.listing.add(self.member(header))
        head = self.compare(header.size)
        self.name = ""
        if self.source.exactly(len(tar.END)) != tar.END:
            raise Damage("something follows its manifest")
        self.source.expect_end()
        totals = Totals(self.members, self.files, self.source_bytes)
        if totals != head.totals:
            raise Damage("the counts in its manifest are not those of its members")
        return totals, head.facts

    def member(self, header: Header) -> bytes:
        """Read a member and return the line that the manifest has to have for it."""
        line = Content(self, header).finish()
        self.members += 1
        if header.kind == tar.FILE:
            self.files += 1
            self.source_bytes += header.size
        return line

    def compare(self, size: int) -> manifest.Head:
        """Compare what was read with the manifest, line by line."""
        lines = manifest.split_lines(self.source.chunks(size))
        head = manifest.parse_head(next(lines, b""))
        found = self.listing.lines()
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


def _difference(actual: bytes, listed: bytes, rest: Iterator[bytes]) -> str:
    """Say in which way the first member that differs does."""
    listed_name = manifest.name_of(listed)
    actual_name = manifest.name_of(actual) if actual else ""
    if actual_name == listed_name:
        return f"{actual_name} is not as its manifest says"
    if actual and any(manifest.name_of(line) == listed_name for line in rest):
        return f"{actual_name} is in the archive, but not in its manifest"
    return f"{listed_name} is in the manifest, but not in the archive"
