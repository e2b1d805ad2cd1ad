"""What an archive is when it is finished, and what it was at a moment on the way."""

from __future__ import annotations

from typing import NamedTuple

from .blocks import Mark
from .manifest import Totals


class ArchiveResult(NamedTuple):
    """A finished archive: its size in bytes and SHA-256, what it holds, and how many bytes that was before."""

    size: int
    sha256: str
    members: int
    source_bytes: int
    files: int


class Checkpoint:
    """A state of an archive to which ``rollback`` can return, also more than once."""

    __slots__ = ("__weakref__", "lines", "mark", "serial", "totals")

    def __init__(self, mark: Mark, lines: int, totals: Totals, serial: int) -> None:
        self.mark = mark
        self.lines = lines
        self.totals = totals
        self.serial = serial
