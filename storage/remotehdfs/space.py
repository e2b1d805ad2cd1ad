"""How much more of a backup fits into an HDFS."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from storage.base import Space

UNSET = 1 << 63
"""Quotas of this size and above, and negative ones, are none."""
USUAL_REPLICATION = 3


@dataclass(frozen=True)
class Quota:
    """A quota of space on a directory, in bytes of all replicas together."""

    limit: int
    consumed: int

    @property
    def left(self) -> int | None:
        """The bytes left, None where there is no quota."""
        return max(0, self.limit - self.consumed) if 0 <= self.limit < UNSET else None


def room(capacity: int, remaining: int, replication: int, quotas: Iterable[Quota]) -> Space | None:
    """Return the room for single copies: every byte of a file takes ``replication`` bytes of disk and of quota."""
    if capacity <= 0:
        return None
    copies = replication or USUAL_REPLICATION
    left = [quota.left for quota in quotas]
    free = min([remaining, *(figure for figure in left if figure is not None)])
    return Space(free=max(0, free) // copies, total=capacity // copies)


def with_parents(path: str) -> list[str]:
    """Return a directory and all above it: a quota on each of them counts."""
    return [path, *map(str, PurePosixPath(path).parents)]
