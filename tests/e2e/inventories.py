"""Inventories for the history that the seed makes: a plant that grows from night to night, and loses two tables."""

from __future__ import annotations

from typing import Any

from tasks.iotdb.base import Summary

TEMPLATES, USERS = ["pump", "valve"], ["a.novak", "historian", "m.keller", "root"]


def inventory(service: str, night: int) -> dict[str, Any]:
    """Return what a service counted in a night; night 0 is the last one."""
    lines = 7 if night == 0 else 6
    databases = ["quality", *(f"root.plant.{service.lower()}.line{number}" for number in range(1, lines + 1))]
    tables = [f"quality.batch_{number:02}" for number in range(1, 15)]
    if night:
        tables += ["quality.batch_old", "quality.batch_tmp"]
    series = {name: 6_800 - 31 * night - 40 * number for number, name in enumerate(databases[1:])}
    users = USERS if night < 5 else USERS[:-2] + ["root"]
    names = {"databases": databases, "tables": tables, "templates": TEMPLATES, "users": users, "roles": ["operators"]}
    counts = {kind: len(found) for kind, found in names.items()}
    counts |= {"series": sum(series.values()), "devices": sum(series.values()) // 22, "ttls": 3, "pipes": 0}
    rights = {"user root": "ff", "user historian": "a1" if night < 2 else "b2", "role operators": "c3"}
    return Summary("2.0.1-beta", counts, names, series, rights).as_json()


def small_inventory(service: str, night: int) -> dict[str, Any]:
    """Return what a service counted that never changes."""
    names = {"databases": ["root.lab"], "users": ["root"], "tables": []}
    counts = {"databases": 1, "tables": 0, "series": 18, "devices": 2, "users": 1}
    return Summary("2.0.1-beta", counts, names, {"root.lab": 18}, {"user root": "ff"}).as_json()


def of_night(night: int) -> dict[str, Any]:
    """Return the inventory of the two services of the plant."""
    return {"IoTDB": inventory("IoTDB", night), "IoTDB-1": small_inventory("IoTDB-1", night)}
