"""The table model in an inventory, over a Session of that dialect, in the child process."""

from __future__ import annotations

from typing import Any

from tasks.iotdb.gathering import Gathering
from tasks.iotdb.link import Link
from tasks.iotdb.paths import identifier

SYSTEM_DATABASE = "information_schema"
DEVICES_LIMIT = 2000
"""Tables of which devices are counted: each costs a statement."""


def take_tables(link: Link, gathering: Gathering) -> list[str] | None:
    """Send databases, tables and columns of the table model; return its databases, None where they are not told."""
    databases = gathering.ask(link, "SHOW DATABASES DETAILS")
    if databases is None:
        gathering.errors["databases of the table model"] = gathering.errors.pop("SHOW DATABASES DETAILS")
        return None
    found = []
    for row in databases:
        if row["database"] != SYSTEM_DATABASE:
            found.append(str(row["database"]))
            gathering.line(
                "table_database",
                name=row["database"],
                ttl=_lifetime(row.get("ttl(ms)")),
                time_partition_interval=row.get("timepartitioninterval"),
            )
    _tables(link, gathering)
    _columns(link, gathering)
    for row in gathering.ask(link, "SHOW FUNCTIONS") or []:
        if "external" in str(row.get("functiontype")):
            gathering.line("function", model="table", **function_of(row))
    gathering.errors.pop("SHOW FUNCTIONS", None)  # asked again in the tree dialect
    return found


def function_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a line of SHOW FUNCTIONS."""
    return {
        "name": row.get("functionname"),
        "kind": row.get("functiontype"),
        "class_name": row.get("classname(udf)"),
        "state": row.get("state"),
    }


def _lifetime(shown: Any) -> str | None:
    return None if shown in (None, "", "INF") else str(shown)


def _tables(link: Link, gathering: Gathering) -> None:
    statement = "SELECT * FROM information_schema.tables"
    tables, devices, whole = [], 0, True
    silent: set[str] = set()
    rows = [row for row in gathering.stream(link, statement) if row["database"] != SYSTEM_DATABASE]
    for row in rows:
        table = f"{identifier(row['database'])}.{identifier(row['table_name'])}"
        number = None
        countable = len(rows) <= DEVICES_LIMIT and row.get("table_type") in (None, "BASE TABLE")
        if countable and row["database"] not in silent:
            number = gathering.number(link, f"COUNT DEVICES FROM {table}")
            if number is None:
                # A database that lost a region makes the server try for six seconds, for every one of its tables.
                silent.add(row["database"])
        whole, devices = whole and number is not None, devices + (number or 0)
        gathering.line(
            "table",
            database=row["database"],
            name=row["table_name"],
            ttl=_lifetime(row.get("ttl(ms)")),
            kind=row.get("table_type"),
            comment=row.get("comment") or None,
            devices=number,
        )
        tables.append(f"{row['database']}.{row['table_name']}")
    if statement not in gathering.errors:
        gathering.count("tables", tables)
        if whole:
            gathering.counts["table_devices"] = devices


def _columns(link: Link, gathering: Gathering) -> None:
    for row in gathering.stream(link, "SELECT * FROM information_schema.columns"):
        if row["database"] != SYSTEM_DATABASE:
            gathering.line(
                "column",
                database=row["database"],
                table=row["table_name"],
                name=row["column_name"],
                datatype=row["datatype"],
                category=row["category"],
                comment=row.get("comment") or None,
            )
