"""The inventory of an IoTDB, taken over open Sessions in the child process: object by object, and in short.

Every statement is optional: what a server refuses, or an older one does not know, is recorded in ``errors`` and left
out. What is cheap is asked first, so that a limit of time costs the long lists. Memory grows with devices that are
aligned or use a template (a path each) and with names that are kept, not with series.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tasks.iotdb.base import Endpoint
from tasks.iotdb.gathering import Gathering
from tasks.iotdb.health import lacks_sight
from tasks.iotdb.link import Link, LoginRefused, NotAnswered, connect, in_turn
from tasks.iotdb.tables import take_tables
from tasks.iotdb.trees import (
    SHOW_SERIES,
    take_accounts,
    take_databases,
    take_jobs,
    take_series,
    take_templates,
    take_ttls,
)

Send = Callable[[dict[str, Any]], None]
OLD = ("0.", "1.")
"""Beginnings of versions without a table model: they would answer a table Session as a tree one."""


def take(request: dict[str, Any], send: Send) -> None:
    """Send every object of the inventory, then the summary; or one failure where nobody could be asked."""
    try:
        link, endpoint = _first_that_answers(request)
    except (NotAnswered, LoginRefused) as failure:
        send({"type": "failure", "words": f"{failure}."})
        return
    gathering = Gathering(send)
    try:
        _take(link, endpoint, gathering, request)
    except NotAnswered as failure:
        gathering.errors["the rest"] = str(failure)
    finally:
        link.close()
    send({"type": "summary", **gathering.summary().as_json()})


def _first_that_answers(request: dict[str, Any]) -> tuple[Link, Endpoint]:
    failures = []
    for endpoint, share in in_turn(request):
        try:
            # One that hangs shows at the opening, and must leave time for the others.
            connect(endpoint, request["user"], request["password"], share).close()
            return connect(endpoint, request["user"], request["password"], request["until"]), endpoint
        except NotAnswered as failure:
            failures.append(str(failure))
    raise NotAnswered("; ".join(failures) or "No DataNode is known to ask")


def _take(link: Link, endpoint: Endpoint, gathering: Gathering, request: dict[str, Any]) -> None:
    gathering.version = str(gathering.value(link, "SHOW VERSION") or "")
    blind = lacks_sight(link, request["user"])
    tables = _tables(endpoint, gathering, request)
    take_ttls(link, gathering, tables or [])
    take_accounts(link, gathering)
    take_jobs(link, gathering)
    databases = take_databases(link, gathering, tables, whole=not blind)
    used = take_templates(link, gathering)
    if blind:
        gathering.errors[SHOW_SERIES] = blind
    else:
        take_series(link, gathering, databases, used, request["series_limit"])


def _tables(endpoint: Endpoint, gathering: Gathering, request: dict[str, Any]) -> list[str] | None:
    """Return the databases of the table model, None where nobody tells."""
    if gathering.version.startswith(OLD):
        return []
    try:
        link = connect(endpoint, request["user"], request["password"], request["until"], "table")
    except (NotAnswered, LoginRefused) as failure:
        gathering.errors["tables"] = str(failure)
        return None
    try:
        return take_tables(link, gathering)
    finally:
        link.close()
