"""One statement of SQL for one object of an inventory; each ends with a semicolon and the end of a line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from tasks.iotdb.paths import RESERVED, device_of, identifier, measurement_of, name, nodes_of, string

__all__ = ["BY_HAND", "IMMEDIATE", "device_of"]
Object = dict[str, Any]
_OPTION = re.compile(r"([\w.\-]+)=(.*?)(?=, [\w.\-]+=|\Z)", re.DOTALL)
_DATABASE_OPTIONS = {
    "schema_regions": "SCHEMA_REGION_GROUP_NUM",
    "data_regions": "DATA_REGION_GROUP_NUM",
    "time_partition_interval": "TIME_PARTITION_INTERVAL",
}


def comment(text: str) -> str:
    """Return a text as comment lines."""
    return "".join(f"-- {line}\n" for line in text.splitlines())


def path(shown: str) -> str:
    """Return a path for a statement from one that the server shows."""
    first, *rest = nodes_of(shown)
    return ".".join([first, *map(_node, rest)])


def _node(shown: str) -> str:
    """Return a node of a path, or an alias, for a statement: the server shows backquotes, but not all that it needs."""
    return f"`{shown}`" if shown.lower() in RESERVED else shown


def options(shown: str | None) -> dict[str, str]:
    """Return the options that the server prints as ``{a=b, c=d}``."""
    return dict(_OPTION.findall((shown or "").strip("{}")))


# --- Table model ----------------------------------------------------------------------------------------------------
def table_database(one: Object) -> str:
    """Return CREATE DATABASE of the table model."""
    given = {"TTL": one.get("ttl"), "TIME_PARTITION_INTERVAL": one.get("time_partition_interval")}
    properties = ", ".join(f"{key}={value}" for key, value in given.items() if value is not None)
    return f"CREATE DATABASE {identifier(one['name'])}{f' WITH ({properties})' if properties else ''};\n"


def table(one: Object, columns: list[Object]) -> str:
    """Return CREATE TABLE with its columns; a view of the tree as a comment: its definition is not shown."""
    where = f"{identifier(columns[0]['database'])}.{identifier(columns[0]['table'])}"
    if one.get("kind") not in (None, "BASE TABLE"):
        return comment(f"{where} is a view of the tree; create it by hand.")
    listed = ",\n  ".join(
        f"{identifier(column['name'])} {column['datatype']} {column['category']}{_remark(column)}" for column in columns
    )
    ttl = one.get("ttl") or "'INF'"
    return f"CREATE TABLE {where} (\n  {listed}\n){_remark(one)} WITH (TTL={ttl});\n"


def _remark(one: Object) -> str:
    return f" COMMENT {string(one['comment'])}" if one.get("comment") else ""


# --- Tree model -----------------------------------------------------------------------------------------------------
def database(one: Object) -> str:
    """Return CREATE DATABASE of the tree model; replication is for the server that it is created on."""
    given = ", ".join(f"{key}={one[fact]}" for fact, key in _DATABASE_OPTIONS.items() if fact in one)
    return f"CREATE DATABASE {path(one['name'])}{f' WITH {given}' if given else ''};\n"


def template(one: Object) -> str:
    """Return CREATE DEVICE TEMPLATE; whether it is aligned is only known of one that a device uses."""
    nodes = ", ".join(
        f"{node['name']} {node['datatype']} encoding={node['encoding']} compression={node['compression']}"
        for node in one["nodes"]
    )
    doubt = "" if "aligned" in one else comment("No device uses the next template: it may have been ALIGNED.")
    kind = "ALIGNED " if one.get("aligned") else ""
    return f"{doubt}CREATE DEVICE TEMPLATE {name(one['name'])} {kind}({nodes});\n"


def template_set(one: Object) -> str:
    """Return SET DEVICE TEMPLATE."""
    return f"SET DEVICE TEMPLATE {name(one['template'])} TO {path(one['path'])};\n"


def template_used(one: Object) -> str:
    """Return the statement by which a device uses the template that is set above it."""
    return f"CREATE TIMESERIES USING DEVICE TEMPLATE ON {path(one['path'])};\n"


def not_listed(one: Object) -> str:
    """Return a comment on what was counted and not listed."""
    return comment(f"{one['number']:,} {one['what']} were counted but not listed: the limit is {one['limit']:,}.")


def series(one: Object) -> Iterator[str]:
    """Yield CREATE TIMESERIES with all attributes; nothing for one of a template, a comment for a view."""
    if one.get("template"):
        return
    if one.get("view"):
        yield comment(f"{one['path']} is a view; its definition is not shown.")
        return
    if one.get("doubtful"):
        yield _doubt(one)
    given = [("datatype", one["datatype"]), ("encoding", one["encoding"]), ("compression", one["compression"])]
    properties = ", ".join(f"{key}={value}" for key, value in [*given, *_deadband(one)])
    yield f"CREATE TIMESERIES {path(one['path'])}{_alias(one)} WITH {properties}{_labels(one)};\n"


def aligned_series(group: list[Object]) -> str:
    """Return one CREATE ALIGNED TIMESERIES for measurements of one device."""
    parts = []
    for one in group:
        properties = [("encoding", one["encoding"]), ("compressor", one["compression"]), *_deadband(one)]
        given = " ".join(f"{key}={value}" for key, value in properties)
        parts.append(f"{_node(measurement_of(one['path']))}{_alias(one)} {one['datatype']} {given}{_labels(one)}")
    doubts = "".join(_doubt(one) for one in group if one.get("doubtful"))
    device = path(device_of(group[0]["path"]))
    return f"{doubts}CREATE ALIGNED TIMESERIES {device}(\n  {f',{chr(10)}  '.join(parts)}\n);\n"


def _doubt(one: Object) -> str:
    return comment(f"Quotes in the tags or attributes of {one['path']} may be read wrongly.")


def _alias(one: Object) -> str:
    return f"({_node(one['alias'])})" if one.get("alias") else ""


def _deadband(one: Object) -> list[tuple[str, str]]:
    if not one.get("deadband"):
        return []
    return [("deadband", one["deadband"]), *options(one.get("deadband_parameters")).items()]


def _labels(one: Object) -> str:
    text = ""
    for word, fact in (("TAGS", "tags"), ("ATTRIBUTES", "attributes")):
        if one.get(fact):
            text += f" {word}({', '.join(f'{string(key)}={string(value)}' for key, value in one[fact].items())})"
    return text


def ttl(one: Object) -> str:
    """Return SET TTL."""
    return f"SET TTL TO {path(one['path'])} {one['ttl']};\n"


IMMEDIATE: dict[str, Callable[[Object], str]] = {
    "database": database,
    "template": template,
    "template_set": template_set,
    "template_used": template_used,
    "not_listed": not_listed,
}


# --- Accounts -------------------------------------------------------------------------------------------------------
def role(one: Object) -> str:
    """Return CREATE ROLE."""
    return f"CREATE ROLE {name(one['name'])};\n"


def user(one: Object) -> str:
    """Return CREATE USER without a password: nobody can read it back."""
    return f"CREATE USER {name(one['name'])} '?';\n"


def grant(one: Object) -> str:
    """Return GRANT of a privilege; as a comment where its scope is none of the tree."""
    scope = str(one.get("path") or "root.**")
    option = " WITH GRANT OPTION" if one.get("grant_option") else ""
    text = f"GRANT {one['privilege']} ON {scope} TO {one['of'].upper()} {name(one['holder'])}{option};\n"
    return text if scope.startswith("root") else comment(text)


def grant_role(one: Object) -> str:
    """Return GRANT ROLE."""
    return f"GRANT ROLE {name(one['role'])} TO {name(one['user'])};\n"


# --- What is created by hand ----------------------------------------------------------------------------------------
def function(one: Object) -> str:
    """Return CREATE FUNCTION; its jar has to be there first."""
    return f"CREATE FUNCTION {name(one['name'])} AS {string(one.get('class_name') or '?')};"


def trigger(one: Object) -> str:
    """Return CREATE TRIGGER; its jar has to be there first, and its attributes are not shown."""
    event = str(one.get("event") or "").replace("_", " ")
    on = f"{event} ON {one.get('path')} AS {string(one.get('class_name') or '?')}"
    return f"CREATE {one.get('kind', '')} TRIGGER {name(one['name'])} {on};"


def continuous_query(one: Object) -> str:
    """Return the statement that created a continuous query, as the server keeps it."""
    return f"{one['query']};"


def pipe(one: Object) -> str:
    """Return CREATE PIPE; it would begin to send at once."""
    parts = []
    for part in ("source", "processor", "sink"):
        given = {key: value for key, value in options(one.get(part)).items() if not key.startswith("__system")}
        if given:
            listed = ", ".join(f"{string(key)}={string(value)}" for key, value in given.items())
            parts.append(f"WITH {part.upper()} ({listed})")
    return f"CREATE PIPE {name(one['name'])} {' '.join(parts)};"


def pipe_plugin(one: Object) -> str:
    """Return CREATE PIPEPLUGIN; its jar has to be there first."""
    return f"CREATE PIPEPLUGIN {name(one['name'])} AS {string(one.get('class_name') or '?')} USING URI '?';"


BY_HAND: dict[str, Callable[[Object], str]] = {
    "function": function,
    "trigger": trigger,
    "continuous_query": continuous_query,
    "pipe_plugin": pipe_plugin,
    "pipe": pipe,
}
