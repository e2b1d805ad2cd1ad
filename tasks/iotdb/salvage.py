"""Salvage: an inventory as SQL, to create again by hand what is missing; pure, and in bounded memory.

A restoration brings everything back. This is for less: one database that somebody dropped, on a server that has gone
on since. Memory grows with tables, accounts and jobs, not with series.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator
from typing import Any

from tasks.iotdb import salvage_sql as sql
from tasks.iotdb.difference import phrase
from tasks.iotdb.document import Head, read

Object = dict[str, Any]
TOGETHER = 500
"""Measurements of an aligned device in one statement."""
_AT_ONCE = ("database", "template", "template_set", "template_used", "not_listed")


def statements(lines: Iterable[bytes]) -> Iterator[str]:
    """Yield SQL that creates what an inventory (``document.py``) lists: comments and statements, each with its end.

    First the table model, for a session of that dialect; then the tree model: databases, templates, series, lifetimes,
    roles. What cannot be created from an inventory alone stands there as comments: users, whose passwords nobody can
    read back, and functions, triggers, continuous queries and pipes. Raises BadInventory.
    """
    head, objects = read(lines)
    yield from _header(head)
    held: dict[str, list[Object]] = defaultdict(list)
    first = yield from _table_model(objects, held)
    yield from _title("Tree model (the default dialect of a session)")
    yield from _tree_model(first, objects, held)
    yield from _title("Lifetimes")
    yield from map(sql.ttl, held["ttl"])
    yield from _accounts(held)
    yield from _by_hand(held)


def _title(text: str) -> Iterator[str]:
    yield f"\n-- {'=' * 4} {text}\n"


def _header(head: Head) -> Iterator[str]:
    facts, summary = head.facts, head.summary
    where = " ".join(str(facts[name]) for name in ("cluster", "service") if facts.get(name))
    yield sql.comment(f"Metadata of {where or 'an IoTDB'}, version {summary.version or 'unknown'}, as SQL.")
    if facts.get("run"):
        yield sql.comment(f"From the set of run {facts['run']} of {facts.get('task', 'a task')}.")
    if facts.get("taken_at"):
        yield sql.comment(f"The inventory was taken at {facts['taken_at']}.")
    yield sql.comment(f"It counted {', '.join(phrase(number, kind) for kind, number in summary.counts.items())}.")
    yield sql.comment("Run what you miss by hand; what is there already is refused and stays as it is.")
    yield sql.comment("Not in an inventory: passwords of users and pipes, jars of functions, triggers and plugins,")
    yield sql.comment("attributes of triggers, and the devices of tables with their attributes. Set them by hand.")
    for statement, why in summary.errors.items():
        yield sql.comment(f"Not asked or refused: {statement}: {why}")


def _table_model(objects: Iterator[Object], held: dict[str, list[Object]]) -> Generator[str, None, Object | None]:
    """Yield databases and tables; columns of a table stand together. Return the first object that is of the tree."""
    tables: dict[tuple[str, str], Object] = {}
    columns: list[Object] = []
    begun = False
    for one in objects:
        kind = one["type"]
        if columns and (kind != "column" or _table_of(one) != _table_of(columns[0])):
            yield sql.table(tables.pop(_table_of(columns[0]), {}), columns)
            columns = []
        if kind in ("table_database", "table", "column") and not begun:
            begun = True
            yield from _title("Table model (open the session with the dialect table)")
        if kind == "table_database":
            yield sql.table_database(one)
        elif kind == "table":
            tables[(one["database"], one["name"])] = one
        elif kind == "column":
            columns.append(one)
        elif kind == "function" and one.get("model") == "table":
            held[kind].append(one)
        else:
            return one
    if columns:
        yield sql.table(tables.pop(_table_of(columns[0]), {}), columns)
    return None


def _table_of(column: Object) -> tuple[str, str]:
    return column["database"], column["table"]


def _tree_model(first: Object | None, objects: Iterator[Object], held: dict[str, list[Object]]) -> Iterator[str]:
    """Yield databases, templates and series as they come; hold the rest back."""
    aligned: list[Object] = []
    for one in _with(first, objects):
        kind = one["type"]
        if aligned and not _same_device(aligned, one):
            yield sql.aligned_series(aligned)
            aligned = []
        if kind == "series" and one.get("aligned") and not one.get("template"):
            aligned.append(one)
        elif kind == "series":
            yield from sql.series(one)
        elif kind in _AT_ONCE:
            yield sql.IMMEDIATE[kind](one)
        elif kind != "device":
            held[kind].append(one)
    if aligned:
        yield sql.aligned_series(aligned)


def _with(first: Object | None, objects: Iterator[Object]) -> Iterator[Object]:
    if first is not None:
        yield first
    yield from objects


def _same_device(group: list[Object], one: Object) -> bool:
    mine = one["type"] == "series" and one.get("aligned") and not one.get("template")
    return bool(mine) and len(group) < TOGETHER and sql.device_of(one["path"]) == sql.device_of(group[0]["path"])


def _accounts(held: dict[str, list[Object]]) -> Iterator[str]:
    yield from _title("Roles")
    grants: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in held["privilege"]:
        grants[(one["of"], one["holder"])].append(sql.grant(one))
    for one in held["role_of_user"]:
        grants[("user", one["user"])].append(sql.grant_role(one))
    for role in held["role"]:
        yield sql.role(role)
        yield from grants[("role", role["name"])]
    yield from _title("Users: give each a password of your own in place of the question mark")
    for user in held["user"]:
        if user["name"] != "root":
            yield sql.comment(sql.user(user))
            yield from map(sql.comment, grants[("user", user["name"])])


def _by_hand(held: dict[str, list[Object]]) -> Iterator[str]:
    yield from _title("Functions, triggers, continuous queries and pipes: they need jars or begin to work at once")
    for kind, text in sql.BY_HAND.items():
        for one in held[kind]:
            yield sql.comment(text(one))
