"""Whether an IoTDB is well, asked over an open Session in the child process."""

from __future__ import annotations

import time
from typing import Any

from tasks.iotdb.base import Health, NodeState
from tasks.iotdb.link import Link, LoginRefused, NotAnswered, StatementRefused, connect, in_turn

COUNT_SERIES = "COUNT TIMESERIES root.**"
RUNNING = "Running"


def ask(request: dict[str, Any]) -> Health:
    """Return the health of a service: of its endpoints, asked in turn, the first that answers."""
    failures = []
    for endpoint, until in in_turn(request):
        try:
            link = connect(endpoint, request["user"], request["password"], until)
        except LoginRefused as refusal:
            return Health(False, f"{refusal}.", refused=True)
        except NotAnswered as failure:
            failures.append(str(failure))
            continue
        try:
            return _health(link, request["user"], until)
        except NotAnswered as failure:
            failures.append(f"{endpoint.host}:{endpoint.port}: {failure}")
        finally:
            link.close()
    return Health(False, f"{'; '.join(failures) or 'No DataNode is known to ask'}.", answered=False)


def _health(link: Link, user: str, until: float) -> Health:
    version, cluster_id = _optional(link, "SHOW VERSION"), _optional(link, "SHOW CLUSTERID")
    troubles: list[str] = []
    nodes: tuple[NodeState, ...] = ()
    try:
        nodes = tuple(map(_node, link.rows("SHOW CLUSTER")))
        troubles += [
            f"{node.kind} {node.number} ({node.address}) is {node.status}" for node in nodes if node.status != RUNNING
        ]
        troubles += [f"No {kind} is registered" for kind in ("ConfigNode", "DataNode") if kind not in _kinds(nodes)]
    except StatementRefused as refusal:
        troubles.append(f"SHOW CLUSTER was refused to {user} ({refusal})")
    series: int | None = None
    took = time.monotonic()
    try:
        series = int(link.value(COUNT_SERIES))
    except (StatementRefused, TypeError) as refusal:
        troubles.append(f"{COUNT_SERIES} was not answered ({refusal})")
    took = time.monotonic() - took
    if series is not None and (lack := lacks_sight(link, user)):
        troubles.append(lack)
        series = None
    words = _words(nodes, series, took)
    if troubles:
        words = f"{'. '.join(troubles)}. {words}".strip()
    return Health(not troubles, words, nodes, series, version, cluster_id)


def _kinds(nodes: tuple[NodeState, ...]) -> set[str]:
    return {node.kind for node in nodes}


def _node(row: dict[str, Any]) -> NodeState:
    address = f"{row.get('internaladdress', '')}:{row.get('internalport', '')}"
    return NodeState(str(row["nodetype"]), str(row["status"]), address, int(row["nodeid"]))


def _words(nodes: tuple[NodeState, ...], series: int | None, took: float) -> str:
    parts = []
    if nodes:
        running = sum(node.status == RUNNING for node in nodes)
        parts.append(f"{running} of {len(nodes)} nodes {RUNNING}")
    if series is not None:
        parts.append(f"{COUNT_SERIES} answered in {took:.2f} s: {series:,}")
    return f"{'; '.join(parts)}." if parts else ""


def _optional(link: Link, statement: str) -> str:
    try:
        return str(link.value(statement) or "")
    except StatementRefused:
        return ""


def lacks_sight(link: Link, user: str) -> str:
    """Return what keeps ``user`` from seeing every series, in words; empty where nothing does.

    A server counts only what the account may see, and says 0 where that is nothing (2.0.1-beta).
    """
    if user == "root":
        return ""
    try:
        rows = list(link.rows(f"LIST PRIVILEGES OF USER `{user.replace('`', '``')}`"))
    except StatementRefused:
        return ""
    if any(row.get("privileges") == "READ_SCHEMA" and row.get("path") == "root.**" for row in rows):
        return ""
    if rows and "privileges" not in rows[0]:
        return ""
    return f"{user} does not see every series: READ_SCHEMA on root.** is missing"
