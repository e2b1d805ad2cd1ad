"""Which directories of a node a restoration replaces, and which members of the archive belong to each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.engine.restore.target import CONFIG, DATA, Found

# Canonical place in the archive, below the node's name, and the property that names the real directory.
_OF_ROLE = {
    CONFIG: {"data/confignode/consensus": "cn_consensus_dir", "data/confignode/system": "cn_system_dir"},
    DATA: {"data/datanode/consensus": "dn_consensus_dir", "data/datanode/system": "dn_system_dir"},
}
_OF_NODE = {"ext/udf": "udf_lib_dir", "ext/trigger": "trigger_lib_dir", "ext/pipe": "pipe_lib_dir"}
CONF = "conf"


@dataclass(frozen=True)
class Place:
    """A directory of a node, without links in its path, and the members that are unpacked to it.

    ``prefix`` begins the names of its members, without a slash at the end.
    """

    node: str
    prefix: str
    path: str


@dataclass
class Held:
    """What a set holds of a place: files, and bytes to be written."""

    files: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Pair:
    """A node of the set, ``name`` there, and the node of the cluster that it is restored to."""

    name: str
    found: Found
    places: tuple[Place, ...] = field(default=())


def prefixes(roles: Iterable[str], conf_is_there: bool) -> dict[str, str]:
    """Return the canonical places that may be restored to a node, with the property of each; conf where it lacks."""
    wanted = {member: name for role in roles for member, name in _OF_ROLE[role].items()} | _OF_NODE
    return wanted if conf_is_there else wanted | {CONF: CONF}


def required(roles: Iterable[str]) -> set[str]:
    """Return the canonical places without which a node does not start; each was left out of a restore to see."""
    return {member for role in roles for member in _OF_ROLE[role]}


def places_of(name: str, found: Found, held: Mapping[str, Held], realpath: Callable[[str], str]) -> tuple[Place, ...]:
    """Return the places of one node: all of its roles, and of the others those of which the set holds something."""
    directories = {**found.layout.directories, CONF: found.layout.conf}
    wanted = prefixes(found.target.roles, found.layout.configured)
    musts = required(found.target.roles)
    return tuple(
        Place(found.target.name, f"{name}/{member}", realpath(directories[property_name]))
        for member, property_name in wanted.items()
        if member in musts or f"{name}/{member}" in held
    )


def amounts(members: Iterable[Mapping[str, object]], names: Sequence[str]) -> dict[str, Held]:
    """Return what the members of a set hold, by the prefixes of all places that the nodes ``names`` may have."""
    canonical = [member for role in (CONFIG, DATA) for member in prefixes((role,), False)]
    known = sorted({f"{name}/{member}" for name in names for member in canonical}, key=len, reverse=True)
    held: dict[str, Held] = {}
    for member in members:
        name = str(member["name"]).rstrip("/")
        prefix = next((one for one in known if name == one or name.startswith(one + "/")), None)
        if prefix is None:
            continue
        amount = held.setdefault(prefix, Held())
        if member["type"] == "file":
            amount.files += 1
            amount.bytes += int(str(member["size"]))
    return held


def nested(places: Sequence[Place]) -> list[str]:
    """Return sentences on directories that lie within one another: one cannot be renamed without the other."""
    return [
        f"On node {outer.node} {inner.path} lies within {outer.path}, so that they cannot be replaced one by one."
        for outer in places
        for inner in places
        if outer is not inner and (inner.path + "/").startswith(outer.path.rstrip("/") + "/")
    ]


def safety_name(path: str, digits: str) -> str:
    """Return where a directory is kept while its restored one has its place; ``digits`` are of the time."""
    return f"{path}.pre-restore-{digits}"


def staging_name(path: str, run_id: int) -> str:
    """Return where the restored directory is made, beside the one that it replaces."""
    return f"{path}.restoring-{run_id}"


def below(place: Place, member: str, root: str) -> str:
    """Return where a member of ``place`` lies below ``root``."""
    rest = member[len(place.prefix) :].strip("/")
    return os.path.join(root, rest) if rest else root
