"""What goes into the namespaces: the order to rehearse, as values, and its way there and back as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Login:
    """An account to try; ``label`` says whose it is."""

    user: str
    password: str = field(repr=False)
    label: str


@dataclass(frozen=True)
class ScratchNode:
    """A node to start: its scratch home, its roles, on which of the hosts, and where it takes Sessions."""

    name: str
    home: str
    config_node: bool
    data_node: bool
    host: int
    rpc_host: str
    rpc_port: int


@dataclass(frozen=True)
class Plan:
    """One service to start. ``scratch`` is the directory that stays writable; all paths are real ones.

    ``hosts`` are given by their addresses, ``names`` are pairs of a host name and the address it stands for.
    ``hidden`` directories look empty inside, but for what of ``keep`` is in them. ``heap_mb`` is that of a DataNode, a
    ConfigNode gets a third. After ``seconds`` everything ends.
    """

    scratch: str
    lib: str
    java: str
    nodes: tuple[ScratchNode, ...]
    hosts: tuple[tuple[str, ...], ...]
    names: tuple[tuple[str, str], ...]
    hidden: tuple[str, ...]
    keep: tuple[str, ...]
    logins: tuple[Login, ...]
    heap_mb: int
    seconds: int

    def as_line(self) -> bytes:
        """Return the plan as one line; it holds passwords and goes through a pipe only."""
        return json.dumps(asdict(self)).encode("ascii") + b"\n"

    @classmethod
    def of(cls, line: bytes) -> Plan:
        """Return the plan of a line."""
        values: dict[str, Any] = json.loads(line)
        values["nodes"] = [ScratchNode(**node) for node in values["nodes"]]
        values["hosts"] = [tuple(host) for host in values["hosts"]]
        values["names"] = [tuple(pair) for pair in values["names"]]
        values["logins"] = [Login(**login) for login in values["logins"]]
        plain: dict[str, Any] = {name: tuple(it) if isinstance(it, list) else it for name, it in values.items()}
        return cls(**plain)


@dataclass(frozen=True)
class Answer:
    """What a rehearsed service said: ``health`` in words, its summary (None where nobody could ask), and by whom.

    ``started`` are seconds until it was healthy, ``peak`` the most memory that its processes held together, in bytes.
    """

    health: str
    series: int | None
    version: str
    cluster_id: str
    login: str
    summary: dict[str, Any] | None
    missing: str
    started: float
    peak: int

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Answer:
        """Return the answer of an event."""
        return cls(**{name: event[name] for name in cls.__dataclass_fields__})
