"""Inventories for the tests of the pages that show and compare them."""

from __future__ import annotations

from typing import Any

from tasks.iotdb.base import Summary
from tasks.iotdb.difference import difference


def counted(databases: int = 2, series: int = 40, **more: Any) -> dict[str, Any]:
    """Return the stored inventory of a service with that many databases of the tree model, and series in the first."""
    names = {"databases": [f"root.d{number}" for number in range(databases)], "users": ["anna", "root"]}
    counts = {"databases": databases, "series": series, "users": 2}
    values: dict[str, Any] = {
        "version": "2.0.1-beta",
        "counts": counts,
        "names": names,
        "series_of": {"root.d0": series},
    }
    for key, value in more.items():
        values[key] = values[key] | value if isinstance(values.get(key), dict) else value
    return Summary(**values).as_json()


def after(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a run that counted ``now`` when the run before had counted ``before``, by service."""
    both = [name for name in now if name in before]
    changes = {name: difference(Summary.of(before[name]), Summary.of(now[name])) for name in both}
    return {"inventory": now, "changes": changes, "healthy": True}
