"""What became of an IoTDB between two inventories, in figures, in words, and what of it is alarming; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tasks.iotdb.base import COUNTS, NAMED, Summary

LIST_LIMIT = 1000
"""Names that one list of a difference holds; how many more there are stands in ``left_off``."""
SHARE, LEAST = 0.10, 10
"""What has to be gone to be alarming: more than this share, and at least this many."""
SENTENCES = 10
"""Sentences of one kind in the log of a run."""
_ONE = {
    "databases": ("database", "databases"),
    "tables": ("table", "tables"),
    "series": ("series", "series"),
    "devices": ("device", "devices"),
    "table_devices": ("device in tables", "devices in tables"),
    "templates": ("template", "templates"),
    "ttls": ("TTL", "TTLs"),
    "users": ("user", "users"),
    "roles": ("role", "roles"),
    "functions": ("function", "functions"),
    "triggers": ("trigger", "triggers"),
    "continuous_queries": ("continuous query", "continuous queries"),
    "pipes": ("pipe", "pipes"),
}
_HOLDERS = (("user ", "users"), ("role ", "roles"))


def difference(before: Summary, after: Summary) -> dict[str, Any]:
    """Return what is different, ready to be stored as JSON; empty where the two are equal.

    ``counts`` and ``series_of`` have pairs of figures; ``added`` and ``gone`` have lists of names by kind, ``changed``
    those of users and roles whose rights changed; ``version`` is a pair. What only one of the two knows is no
    difference. Lists are sorted and end at ``LIST_LIMIT``; ``left_off`` then has how many more there are.
    """
    changes: dict[str, Any] = {
        "counts": _pairs(before.counts, after.counts, COUNTS),
        "series_of": dict(list(_pairs(before.series_of, after.series_of).items())[:LIST_LIMIT]),
    }
    left_off: dict[str, dict[str, int]] = {}
    for what, one, other in (("added", before, after), ("gone", after, before)):
        names = {
            kind: set(other.names[kind]) - set(one.names[kind])
            for kind in NAMED
            if kind in one.names and kind in other.names
        }
        changes[what] = _capped(names, what, left_off)
    changes["changed"] = _capped(_changed_rights(before, after), "changed", left_off)
    if before.version and after.version and before.version != after.version:
        changes["version"] = [before.version, after.version]
    changes["left_off"] = left_off
    return {name: value for name, value in changes.items() if value}


def _pairs(
    before: Mapping[str, int], after: Mapping[str, int], order: Iterable[str] | None = None
) -> dict[str, list[int]]:
    known = [name for name in (order or sorted(before)) if name in before and name in after]
    return {name: [before[name], after[name]] for name in known if before[name] != after[name]}


def _capped(names: Mapping[str, set[str]], what: str, left_off: dict[str, dict[str, int]]) -> dict[str, list[str]]:
    for kind, found in names.items():
        if len(found) > LIST_LIMIT:
            left_off.setdefault(what, {})[kind] = len(found) - LIST_LIMIT
    return {kind: sorted(found)[:LIST_LIMIT] for kind, found in names.items() if found}


def _changed_rights(before: Summary, after: Summary) -> dict[str, set[str]]:
    changed: dict[str, set[str]] = {kind: set() for _, kind in _HOLDERS}
    for holder in before.rights.keys() & after.rights.keys():
        if before.rights[holder] != after.rights[holder]:
            for prefix, kind in _HOLDERS:
                if holder.startswith(prefix):
                    changed[kind].add(holder.removeprefix(prefix))
    return changed


def _number(changes: Mapping[str, Any], what: str, kind: str) -> int:
    left_off: int = changes.get("left_off", {}).get(what, {}).get(kind, 0)
    return len(changes.get(what, {}).get(kind, ())) + left_off


def phrase(number: int, kind: str) -> str:
    """Return a number of one kind in words, such as ``1 database`` or ``48,212 series``."""
    return f"{number:,} {_ONE[kind][0 if number == 1 else 1]}"


def difference_words(changes: Mapping[str, Any]) -> str:
    """Return a difference in short, such as ``+1 database, −2 tables, +406 series``; ``No change`` where there is none.

    The signs are those for people: a real minus.
    """
    parts = []
    for kind in COUNTS:
        added, gone = _number(changes, "added", kind), _number(changes, "gone", kind)
        if not added and not gone and kind in changes.get("counts", {}):
            before, after = changes["counts"][kind]
            added, gone = max(after - before, 0), max(before - after, 0)
        if added:
            parts.append(f"+{phrase(added, kind)}")
        if gone:
            parts.append(f"\N{MINUS SIGN}{phrase(gone, kind)}")
    for _, kind in _HOLDERS:
        if number := _number(changes, "changed", kind):
            parts.append(f"rights of {phrase(number, kind)} changed")
    if "version" in changes:
        parts.append(f"version {changes['version'][0]} → {changes['version'][1]}")
    return ", ".join(parts) or "No change"


def alarming(changes: Mapping[str, Any], before: Summary, after: Summary) -> list[str]:
    """Return a sentence for each loss that an administrator has to look at; growth is never one.

    Losses are: a database that held series or tables is gone; a user or a role is gone; more than 10 % and at least 10
    of the series, devices or tables are gone, in all or of the series of one database.
    """
    gone = changes.get("gone", {})
    sentences = _listed(_lost_databases(gone.get("databases", []), before))
    for kind in ("users", "roles"):
        sentences += _listed(f"The {_ONE[kind][0]} {name} is gone." for name in gone.get(kind, []))
    for kind in ("series", "devices", "tables", "table_devices"):
        was, now = changes.get("counts", {}).get(kind, (0, 0))
        if _many(was, now):
            sentences.append(f"{phrase(was - now, kind)} of {was:,} are gone ({_per_cent(was, now)}).")
    fallen = changes.get("series_of", {})
    sentences += _listed(
        f"{database} has {now:,} series; it had {was:,} ({_per_cent(was, now)} are gone)."
        for database, (was, now) in fallen.items()
        if _many(was, now)
    )
    return sentences


def _lost_databases(names: Iterable[str], before: Summary) -> Iterable[str]:
    tables = before.names.get("tables", [])
    for name in names:
        series = before.series_of.get(name, 0)
        held = sum(table.startswith(f"{name}.") for table in tables) if not name.startswith("root.") else 0
        if series:
            yield f"The database {name} is gone; it held {series:,} series."
        elif held:
            yield f"The database {name} is gone; it held {phrase(held, 'tables')}."


def _listed(sentences: Iterable[str]) -> list[str]:
    found = list(sentences)
    more = len(found) - SENTENCES
    return [*found[:SENTENCES], f"And {more:,} more of this kind."] if more > 0 else found


def _many(was: int, now: int) -> bool:
    return was - now >= LEAST and was - now > SHARE * was


def _per_cent(was: int, now: int) -> str:
    return f"{(was - now) * 100 // was} %"
