"""What is found on the machine of a node before anything is changed there."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from tasks.engine.restore.places import Place
from tasks.engine.restore.target import Found, Target, libraries_of
from tasks.engine.restore.unpacking import failure
from tasks.hosts import Host, LocalHost
from tasks.sources.iotdb_properties import read_layout
from tasks.units import format_size

_SECONDS = 60.0
CONF_NAMES = 10
SPARE = 64 << 20  # bytes that stay free beside what is unpacked
# For a directory: the free kilobytes of its disk, whether its parent may be written to, its device and its parent's.
_LOOK = """
look() {
  d=$1; p=$(dirname "$d"); while [ ! -d "$p" ]; do p=$(dirname "$p"); done
  if [ -w "$p" ]; then w=1; else w=0; fi
  own=-; if [ -d "$d" ]; then own=$(stat -c %d "$d"); fi
  echo "$(df -Pk "$p" | awk 'NR==2 {print $4}') $w $own $(stat -c %d "$p")"
}
"""


class Ground(NamedTuple):
    """The disk around a place: ``free`` bytes, the number of the file system, and what forbids to rename there."""

    free: int
    device: str
    writable: bool
    mount_point: bool


def read_found(host: Host, target: Target) -> Found:
    """Return what a node says of itself; nothing is an error that a wiped or damaged node may show.

    Raises ``NodeFault`` where files are there that may not be read.
    """
    home = target.spec.home
    try:
        layout = read_layout(host, home)
        config, data = layout.config_identity(host), layout.data_identity(host)
    except OSError as error:
        raise failure(target.name, error) from error
    return Found(target, layout, config, data, libraries_of(host, home))


def differing_conf(host: Host, found: Found, members: Iterable[Mapping[str, Any]], name: str) -> list[str]:
    """Return sentences on property files that are not as the set has them: they are not replaced where there are some.

    ``name`` is the node's in the set. Raises ``NodeFault``.
    """
    if not found.layout.configured:
        return []
    differing, prefix = [], f"{name}/conf/"
    for member in members:
        if member["type"] != "file" or not member["name"].startswith(prefix):
            continue
        rest = member["name"].removeprefix(prefix)
        try:
            if _digest(host, os.path.join(found.layout.conf, rest)) != member["sha256"]:
                differing.append(rest)
        except OSError as error:
            raise failure(found.target.name, error) from error
    if not differing:
        return []
    shown = ", ".join(differing[:CONF_NAMES]) + (", …" if len(differing) > CONF_NAMES else "")
    return [f"conf of node {found.target.name} is not replaced; it differs from the set in {shown}."]


def _digest(host: Host, path: str) -> str:
    try:
        file = host.open(path)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    digest = sha256(usedforsecurity=False)
    try:
        while chunk := file.read(65536):
            digest.update(chunk)
        return digest.hexdigest()
    finally:
        file.close()


def grounds(host: Host, target: Target, places: Iterable[Place]) -> dict[str, Ground]:
    """Return the disk around each place, by its path. Raises ``NodeFault``."""
    paths = [place.path for place in places]
    try:
        if isinstance(host, LocalHost):
            return {path: _local(path) for path in paths}
        calls = "\n".join(f"look {shlex.quote(path)}" for path in paths)
        done = host.run(_LOOK + calls, _SECONDS)
        if done.status:
            raise OSError(done.output)
        return dict(zip(paths, map(_parsed, done.output.split("\n")), strict=False))
    except (OSError, ValueError) as error:
        problem = error if isinstance(error, OSError) else OSError("its disks could not be looked at")
        raise failure(target.name, problem) from error


def _parsed(line: str) -> Ground:
    free, writable, own, parent = line.split()
    return Ground(int(free) * 1024, parent, writable == "1", own not in ("-", parent))


def _local(path: str) -> Ground:
    parent = os.path.dirname(path)
    while not os.path.isdir(parent):
        parent = os.path.dirname(parent)
    space, device = os.statvfs(parent), os.stat(parent).st_dev
    mounted = os.path.isdir(path) and os.stat(path).st_dev != device
    writable = os.access(parent, os.W_OK | os.X_OK, effective_ids=True)
    return Ground(space.f_bavail * space.f_frsize, str(device), writable, mounted)


def obstacles(node: str, places: Iterable[tuple[Place, int]], known: dict[str, Ground]) -> list[str]:
    """Return sentences on what stands in the way of replacing ``places``, each with the bytes that go there."""
    sentences, needs, rooms = [], {}, {}  # type: list[str], dict[str, int], dict[str, int]
    for place, size in places:
        ground = known.get(place.path)
        if ground is None:
            sentences.append(f"{place.path} on node {node} could not be looked at.")
            continue
        parent = os.path.dirname(place.path)
        if not ground.writable:
            sentences.append(
                f"The console may not rename {place.path} on node {node}: it may not write to {parent}. Give its "
                "account that right; for a node on another host an IoTDB account on the page of the node has it."
            )
        if ground.mount_point:
            sentences.append(
                f"{place.path} on node {node} is a mount point and cannot be renamed. Mount it one level higher."
            )
        needs[ground.device] = needs.get(ground.device, 0) + size
        rooms[ground.device] = ground.free
    for device, need in needs.items():
        if need + SPARE > rooms[device]:
            sentences.append(
                f"Node {node} has {format_size(rooms[device])} free where the set is unpacked, which needs "
                f"{format_size(need + SPARE)} beside what is there. Free space there."
            )
    return sentences
