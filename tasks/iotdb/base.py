"""The words in which the console speaks of an IoTDB that it asked; values only, nothing is asked here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

COUNTS: dict[str, str] = {
    "databases": "Databases",
    "tables": "Tables",
    "series": "Time series",
    "devices": "Devices",
    "table_devices": "Devices in tables",
    "templates": "Templates",
    "ttls": "TTLs",
    "users": "Users",
    "roles": "Roles",
    "functions": "Functions",
    "triggers": "Triggers",
    "continuous_queries": "Continuous queries",
    "pipes": "Pipes",
}
"""What is counted, in the order of the pages, with its label. ``databases`` are those of both models together."""

NAMED = ("databases", "tables", "templates", "users", "roles", "functions", "triggers", "continuous_queries", "pipes")
"""Of what the names are kept as well, sorted; a table is ``database.table``."""

FOR_HEALTH = ("READ_SCHEMA", "MAINTAIN")
FOR_LISTS = ("MANAGE_USER", "MANAGE_ROLE", "USE_UDF", "USE_TRIGGER", "USE_CQ", "USE_PIPE")
"""Privileges on root.** that an account needs to be told of health and counts, and of the other lists (2.0.1-beta)."""

NAMES_LIMIT = 10_000
"""Names of one kind that are kept with a run; where there are more, only their number is."""


class Endpoint(NamedTuple):
    """Where a DataNode takes Sessions."""

    host: str
    port: int


@dataclass(frozen=True)
class Account:
    """Who asks."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class NodeState:
    """A line of SHOW CLUSTER: ``kind`` is ConfigNode or DataNode, ``status`` Running where it is well."""

    kind: str
    status: str
    address: str
    number: int


@dataclass(frozen=True)
class Health:
    """Whether an IoTDB is well: every node Running, and series are counted (SHOW CLUSTER alone lies).

    ``words`` say it for the log; ``series`` is None where they could not be counted. ``answered`` is False where no
    IoTDB was met at all, and True where one ``refused`` the account.
    """

    well: bool
    words: str
    nodes: tuple[NodeState, ...] = ()
    series: int | None = None
    version: str = ""
    cluster_id: str = ""
    answered: bool = True
    refused: bool = False


@dataclass(frozen=True)
class Summary:
    """An inventory in short: what is kept with a run, and shown and compared on the pages.

    ``counts`` has the keys of ``COUNTS`` that are known, ``names`` those of ``NAMED``; ``series_of`` counts series by
    database of the tree model; ``rights`` has a digest of the privileges and roles of each user and role
    (``user anna``, ``role reader``), so that a change shows. What a server refused or does not know stands in
    ``errors`` by statement. ``unsteady`` are the counts that had changed at the end of the copy, as they were then.
    """

    version: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, list[str]] = field(default_factory=dict)
    series_of: Mapping[str, int] = field(default_factory=dict)
    rights: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    unsteady: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return what is stored with a run."""
        return dict(vars(self))

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Summary:
        """Return the summary that was stored; keys that a later version added are passed over."""
        known = cls.__dataclass_fields__
        return cls(**{name: value for name, value in stored.items() if name in known})
