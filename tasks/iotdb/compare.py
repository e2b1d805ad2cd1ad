"""Whether an IoTDB is what an inventory says: after a restoration, and in a rehearsal; pure."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.iotdb.base import COUNTS, NAMED, Summary

NAMES_SHOWN = 5
OF_DATABASE = "series of "
"""Begins the name of an unsteady count of one database, such as ``series of root.plant1``."""


def unsteady(before: Summary, after: Summary) -> dict[str, int]:
    """Return the counts of ``after`` that may differ in a copy made between the two (``Summary.unsteady``).

    A kind whose names or rights changed while its number did not is one of them.
    """
    found = {kind: number for kind, number in after.counts.items() if _moved(kind, before, after)}
    for database, number in after.series_of.items():
        if before.series_of.get(database, number) != number:
            found[OF_DATABASE + database] = number
    return found


def _moved(kind: str, before: Summary, after: Summary) -> bool:
    if kind in before.counts and before.counts[kind] != after.counts[kind]:
        return True
    if kind in before.names and kind in after.names and before.names[kind] != after.names[kind]:
        return True
    return kind in ("users", "roles") and _rights(kind, before) != _rights(kind, after)


def _rights(kind: str, summary: Summary) -> dict[str, str]:
    prefix = kind.removesuffix("s") + " "
    return {holder: digest for holder, digest in summary.rights.items() if holder.startswith(prefix)}


def unequal(expected: Summary, found: Summary) -> list[str]:
    """Return one sentence for each thing that is not as expected; none where all that both know is equal.

    A count that changed while the copy was made may be anything between both values, and its names are not compared.
    What only one of the two knows is passed over (``not_compared``).
    """
    sentences = []
    for kind, label in COUNTS.items():
        if kind in expected.counts and kind in found.counts:
            sentences += _unequal_kind(kind, label, expected, found)
    for database in sorted(expected.series_of.keys() & found.series_of.keys()):
        was, now = expected.series_of[database], found.series_of[database]
        if not _between(was, expected.unsteady.get(OF_DATABASE + database, was), now):
            sentences.append(f"Time series of {database}: {was:,} expected, {now:,} found.")
    for kind in ("users", "roles"):
        if kind in expected.unsteady:
            continue
        before, after = _rights(kind, expected), _rights(kind, found)
        differing = [holder for holder in before if after.get(holder, before[holder]) != before[holder]]
        sentences += [f"The rights of the {holder} are not as expected." for holder in differing]
    return sentences


def _unequal_kind(kind: str, label: str, expected: Summary, found: Summary) -> list[str]:
    was, now = expected.counts[kind], found.counts[kind]
    moved = kind in expected.unsteady
    parts = [] if _between(was, expected.unsteady.get(kind, was), now) else [f"{was:,} expected, {now:,} found"]
    if kind in NAMED and kind in expected.names and kind in found.names and (parts or not moved):
        before, after = set(expected.names[kind]), set(found.names[kind])
        if before - after:
            parts.append(f"missing {_some(before - after)}")
        if after - before:
            parts.append(f"new {_some(after - before)}")
    return [f"{label}: {'; '.join(parts)}."] if parts else []


def _between(one: int, other: int, number: int) -> bool:
    return min(one, other) <= number <= max(one, other)


def _some(names: Iterable[str]) -> str:
    found = sorted(names)
    more = f" and {len(found) - NAMES_SHOWN:,} more" if len(found) > NAMES_SHOWN else ""
    return ", ".join(found[:NAMES_SHOWN]) + more


def compared(expected: Summary, found: Summary) -> int:
    """Return how many counts both sides know."""
    return sum(kind in expected.counts and kind in found.counts for kind in COUNTS)


def not_compared(expected: Summary, found: Summary) -> list[str]:
    """Return the labels of the counts that not both sides know, in the order of the pages."""
    return [label for kind, label in COUNTS.items() if (kind in expected.counts) != (kind in found.counts)]
