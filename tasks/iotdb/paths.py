"""Paths and names of IoTDB: apart, and quoted for SQL; nothing is asked here.

Rules: a node of a path that is not made of letters, digits, underscores and the like alone stands in backquotes, a
backquote in it is doubled; a string stands in apostrophes, an apostrophe in it is doubled (IoTDB's Syntax Rule).
"""

from __future__ import annotations

import re

_NODE = re.compile(r"`(?:[^`]|``)*`|[^.`]+")
_PLAIN = re.compile(r"[A-Za-z_\u2E80-\u9FFF][A-Za-z0-9_\u2E80-\u9FFF]*\Z")
RESERVED = ("root", "time", "timestamp")
"""Words that are a name in backquotes only, although the server shows them without."""
_PAIR = re.compile(r'"((?:(?!":").)*)":"(.*?)"(?=,"(?:(?!":").)*":"|\}\Z)', re.DOTALL)


def nodes_of(path: str) -> list[str]:
    """Return the nodes of a path as the server writes them, backquotes included."""
    return _NODE.findall(path)


def device_of(path: str) -> str:
    """Return the device of a series: its path without the last node."""
    return path[: -len(nodes_of(path)[-1]) - 1] if path else ""


def measurement_of(path: str) -> str:
    """Return the last node of a path as the server writes it."""
    return nodes_of(path)[-1]


def name(text: str) -> str:
    """Return an identifier for a statement: as it is where it is plain, else in backquotes."""
    return text if _PLAIN.match(text) and text.lower() not in RESERVED else f"`{text.replace('`', '``')}`"


def identifier(text: str) -> str:
    """Return an identifier for a statement of the table dialect: in double quotes, as words of SQL may be names."""
    return f'"{text.replace(chr(34), chr(34) * 2)}"'


def string(text: str) -> str:
    """Return a string literal."""
    return f"'{text.replace(chr(39), chr(39) * 2)}'"


def pairs(shown: str | None) -> tuple[dict[str, str], bool]:
    """Return tags or attributes as SHOW TIMESERIES prints them, and whether there is doubt about them.

    The server writes them as JSON without escaping anything (2.0.1-beta): where a quote or a backslash is inside, more
    than one reading is possible.
    """
    if not shown or shown == "{}":
        return {}, False
    found = dict(_PAIR.findall(shown))
    plain = "{" + ",".join(f'"{key}":"{value}"' for key, value in found.items()) + "}"
    inside = "".join(found) + "".join(found.values())
    return found, plain != shown or '"' in inside or "\\" in inside
