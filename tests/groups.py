"""Which slow tests go to one process where two processes share them (``scripts/run-tests``).

What is expensive to start, or exists once on a machine, lives in one process: the browser with its console, worker
processes, each file server. Groups are handed out in this order, the longest first, so that both processes end at
about the same time.
"""

from __future__ import annotations

import pytest

# Tests that see the rows of the migrations, such as the roles, come before those that empty the database.
UNTOUCHED = "untouched"
ORDER = (UNTOUCHED, "iotdb", "browser", "workers", "hdfs", "openssh", "nfs", "samba")
_SERVERS = {
    "openssh": "openssh",
    "samba": "samba",
    "portmapper": "nfs",
    "nfs_server_v6": "nfs",
    "hdfs_server": "hdfs",
    "hdfs_pair": "hdfs",
}
_SLOW = ("server", "browser", "process")


def mark(items: list[pytest.Item]) -> None:
    """Give each slow test the mark of its group."""
    for item in filter(is_slow, items):
        item.add_marker(pytest.mark.xdist_group(group_of(item)), append=False)


def put_in_order(items: list[pytest.Item]) -> None:
    """Put the groups into their order where there are slow tests only."""
    if all(map(is_slow, items)):
        items.sort(key=lambda item: ORDER.index(group_of(item)))


def is_slow(item: pytest.Item) -> bool:
    """Whether a test needs a server, a browser or processes of its own."""
    return any(map(item.get_closest_marker, _SLOW))


def group_of(item: pytest.Item) -> str:
    """Return the group of a slow test: as marked, else by what it starts."""
    fixtures: tuple[str, ...] = tuple(getattr(item, "fixturenames", ()))
    if _keeps_rows(item, fixtures):
        return UNTOUCHED
    if item.get_closest_marker("browser"):
        return "browser"
    marked = item.get_closest_marker("xdist_group")
    if marked is not None:
        return str(marked.args[0])
    if item.get_closest_marker("process"):
        return "workers"
    return next((_SERVERS[name] for name in fixtures if name in _SERVERS), "iotdb")


def _keeps_rows(item: pytest.Item, fixtures: tuple[str, ...]) -> bool:
    marked = item.get_closest_marker("django_db")
    empties = bool(marked and marked.kwargs.get("transaction")) or "transactional_db" in fixtures
    return not empties and (marked is not None or "db" in fixtures)
