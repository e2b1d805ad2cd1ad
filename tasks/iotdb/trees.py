"""The tree model and what both models share in an inventory, over a tree Session, in the child process."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tasks.iotdb.gathering import Gathering
from tasks.iotdb.health import COUNT_SERIES
from tasks.iotdb.link import Link
from tasks.iotdb.paths import device_of, name, pairs
from tasks.iotdb.tables import function_of

SHOW_SERIES, SHOW_DEVICES = "SHOW TIMESERIES root.**", "SHOW DEVICES root.**"
DATABASES_LIMIT = 1000
"""Databases whose series are counted one by one where series are not listed."""
_SECRET = re.compile(r"([\w.\-]*(?:password|passwd|secret|token)[\w.\-]*=)[^,}]*", re.IGNORECASE)
_NO_LIFETIME = (None, "", "null", "INF")


def take_ttls(link: Link, gathering: Gathering, tables: Iterable[str]) -> None:
    """Send lifetimes that are set; those of the table model stand with its databases."""
    rows = gathering.ask(link, "SHOW ALL TTL")
    if rows is None:
        return
    foreign, number = {f"root.{database}{rest}" for database in tables for rest in ("", ".**")}, 0
    for row in rows:
        path, ttl = list(row.values())[:2]
        if ttl not in _NO_LIFETIME and path not in foreign:
            gathering.line("ttl", path=path, ttl=str(ttl))
            number += 1
    gathering.counts["ttls"] = number


def take_accounts(link: Link, gathering: Gathering) -> None:
    """Send users and roles with what each may do; no password is ever shown by a server."""
    for kind in ("user", "role"):
        rows = gathering.ask(link, f"LIST {kind.upper()}")
        if rows is None:
            continue
        names = [str(row.get(kind, next(iter(row.values())))) for row in rows]
        gathering.count(f"{kind}s", names)
        for holder in sorted(names):
            gathering.line(kind, name=holder)
            _rights(link, gathering, kind, holder)


def _rights(link: Link, gathering: Gathering, kind: str, holder: str) -> None:
    rows = gathering.ask(link, f"LIST PRIVILEGES OF {kind.upper()} {name(holder)}")
    roles = gathering.ask(link, f"LIST ROLE OF USER {name(holder)}") if kind == "user" else []
    own = [row for row in rows or [] if kind == "role" or not row.get("role")]
    for row in own:
        gathering.line(
            "privilege",
            of=kind,
            holder=holder,
            path=row.get("path") or row.get("scope"),
            privilege=row.get("privileges"),
            grant_option=bool(row.get("grantoption")),
        )
    held = sorted(str(next(iter(row.values()))) for row in roles or [])
    for role in held:
        gathering.line("role_of_user", user=holder, role=role)
    if rows is not None and roles is not None:
        gathering.right(f"{kind} {holder}", [*own, *held])


def take_jobs(link: Link, gathering: Gathering) -> None:
    """Send functions, triggers, continuous queries, pipes and their plugins, without what is of the moment only."""
    if (rows := gathering.ask(link, "SHOW FUNCTIONS")) is not None:
        external = [row for row in rows if "external" in str(row.get("functiontype")).lower()]
        for row in external:
            gathering.line("function", model="tree", **function_of(row))
        gathering.count("functions", [str(row["functionname"]) for row in external])
    if (rows := gathering.ask(link, "SHOW TRIGGERS")) is not None:
        for row in rows:
            _trigger(gathering, row)
        gathering.count("triggers", [str(row["triggername"]) for row in rows])
    if (rows := gathering.ask(link, "SHOW CQS")) is not None:
        for row in rows:
            gathering.line("continuous_query", name=row["cqid"], query=row["query"], state=row.get("state"))
        gathering.count("continuous_queries", [str(row["cqid"]) for row in rows])
    if (rows := gathering.ask(link, "SHOW PIPES")) is not None:
        for row in rows:
            _pipe(gathering, row)
        gathering.count("pipes", [str(row["id"]) for row in rows])
    for row in gathering.ask(link, "SHOW PIPEPLUGINS") or []:
        if str(row.get("plugintype")).lower() != "builtin":
            gathering.line("pipe_plugin", name=row.get("pluginname"), class_name=row.get("classname"))


def _trigger(gathering: Gathering, row: dict[str, Any]) -> None:
    gathering.line(
        "trigger",
        name=row["triggername"],
        event=row.get("event"),
        kind=row.get("type"),
        path=row.get("pathpattern"),
        class_name=row.get("classname"),
        state=row.get("state"),
    )


def _pipe(gathering: Gathering, row: dict[str, Any]) -> None:
    parts = {part: _SECRET.sub(r"\1******", str(row.get(f"pipe{part}") or "")) for part in _PIPE_PARTS}
    gathering.line("pipe", name=row["id"], state=row.get("state"), **parts)


_PIPE_PARTS = ("source", "processor", "sink")


def take_templates(link: Link, gathering: Gathering) -> dict[str, str]:
    """Send templates with their nodes and where they are set; return the template of each device that uses one."""
    rows = gathering.ask(link, "SHOW DEVICE TEMPLATES")
    if rows is None:
        return {}
    names = sorted(str(next(iter(row.values()))) for row in rows)
    gathering.count("templates", names)
    used: dict[str, str] = {}
    for template in names:
        quoted = name(template)
        paths = [
            str(next(iter(row.values())))
            for row in gathering.stream(link, f"SHOW PATHS USING DEVICE TEMPLATE {quoted}")
        ]
        nodes = gathering.ask(link, f"SHOW NODES IN DEVICE TEMPLATE {quoted}") or []
        gathering.line("template", name=template, aligned=_aligned(link, gathering, paths), nodes=_nodes(nodes))
        for row in gathering.ask(link, f"SHOW PATHS SET DEVICE TEMPLATE {quoted}") or []:
            gathering.line("template_set", template=template, path=next(iter(row.values())))
        for path in paths:
            gathering.line("template_used", template=template, path=path)
            used[path] = template
    return used


def _nodes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    columns = {"childnodes": "name", "datatype": "datatype", "encoding": "encoding", "compression": "compression"}
    # The server shows them in no order.
    nodes = [{columns[column]: row[column] for column in columns if column in row} for row in rows]
    return sorted(nodes, key=lambda node: str(node.get("name")))


def _aligned(link: Link, gathering: Gathering, paths: list[str]) -> bool | None:
    """Whether a template is aligned shows in a device that uses it, and nowhere else (2.0.1-beta)."""
    for row in gathering.ask(link, f"SHOW DEVICES {paths[0]}") or [] if paths else []:
        return str(row.get("isaligned")).lower() == "true"
    return None


def take_databases(link: Link, gathering: Gathering, tables: list[str] | None, *, whole: bool) -> list[str]:
    """Send the databases of the tree and return them; those of both models are counted together.

    They are not counted where one model did not tell (``tables`` is None) or where not the ``whole`` tree is seen: a
    number of one part only would look like databases that vanished.
    """
    rows = gathering.ask(link, "SHOW DATABASES DETAILS")
    if rows is None:
        return []
    for row in rows:
        gathering.line(
            "database",
            name=row["database"],
            time_partition_interval=row.get("timepartitioninterval"),
            schema_replication_factor=row.get("schemareplicationfactor"),
            data_replication_factor=row.get("datareplicationfactor"),
            schema_regions=row.get("minschemaregiongroupnum"),
            data_regions=row.get("mindataregiongroupnum"),
        )
    names = [str(row["database"]) for row in rows]
    if whole and tables is not None:
        gathering.count("databases", [*names, *tables])
    return names


def take_series(link: Link, gathering: Gathering, databases: list[str], used: dict[str, str], limit: int) -> None:
    """Count series and devices of the tree, then send them; more than ``limit`` series are counted but not sent."""
    number = gathering.number(link, COUNT_SERIES)
    if number is None:
        return
    gathering.counts["series"] = number
    if (of_devices := gathering.number(link, "COUNT DEVICES root.**")) is not None:
        gathering.counts["devices"] = of_devices
    if number > limit:
        gathering.errors[SHOW_SERIES] = f"not listed: {number:,} series are more than the limit of {limit:,}"
        gathering.line("not_listed", what="series", number=number, limit=limit)
        for database in databases[:DATABASES_LIMIT]:
            if (of_it := gathering.number(link, f"COUNT TIMESERIES {database}.**")) is not None:
                gathering.series_of[database] = of_it
        return
    aligned = _devices(link, gathering)
    for row in gathering.stream(link, SHOW_SERIES):
        _series(gathering, row, aligned, used)
    if SHOW_SERIES in gathering.errors:
        gathering.series_of.clear()
    else:
        gathering.series_of = dict.fromkeys(databases, 0) | gathering.series_of


def _devices(link: Link, gathering: Gathering) -> set[str]:
    aligned = set()
    for row in gathering.stream(link, SHOW_DEVICES):
        is_aligned = str(row.get("isaligned")).lower() == "true"
        if is_aligned:
            aligned.add(str(row["device"]))
        gathering.line("device", path=row["device"], aligned=is_aligned, template=row.get("template"))
    return aligned


def _series(gathering: Gathering, row: dict[str, Any], aligned: set[str], used: dict[str, str]) -> None:
    path, database = str(row["timeseries"]), str(row.get("database"))
    device = device_of(path)
    (tags, unsure), (attributes, doubtful) = pairs(row.get("tags")), pairs(row.get("attributes"))
    gathering.series_of[database] = gathering.series_of.get(database, 0) + 1
    gathering.line(
        "series",
        path=path,
        alias=row.get("alias"),
        datatype=row.get("datatype"),
        encoding=row.get("encoding"),
        compression=row.get("compression"),
        tags=tags or None,
        attributes=attributes or None,
        doubtful=True if unsure or doubtful else None,
        deadband=row.get("deadband"),
        deadband_parameters=row.get("deadbandparameters"),
        aligned=True if device in aligned else None,
        template=used.get(device),
        view=True if row.get("viewtype") not in (None, "BASE") else None,
    )
