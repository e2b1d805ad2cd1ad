"""Copy the metadata of an IoTDB service, hot or cold, so that what is restored fits together."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from tasks.errors import KeepsChanging
from tasks.hosts.base import Host
from tasks.sources.base import Archive, Log
from tasks.sources.iotdb_groups import Part, copy_order, groups_of, regions_of
from tasks.sources.listing import Vanished, printable, reading, unreadable
from tasks.sources.seqlock import Copied, amount, copy_group
from tasks.sources.sites import Site

STARTS = 5

Pause = Callable[[float], None]


def copy_metadata(sites: list[Site], archive: Archive, log: Log, pause: Pause = time.sleep) -> list[dict[str, Any]]:
    """Copy all parts of all nodes in the safe order, and return what each part holds, for the manifest.

    1. ConfigNodes before DataNodes, and the rest in the order of ``copy_order``.
    2. Each group is read until it did not change while it was read (``copy_group``).
    3. A region that was there at any time before has to be there at the end. A database that is dropped goes from
       the ConfigNode first; a copy taken across that would name a region that it does not hold, and counting series
       fails on a server restored from it (tried on 2.0.1-beta). Then everything is copied again, from the start.

    Raises KeepsChanging, Unreadable, and whatever the archive raises.
    """
    checkpoint = archive.checkpoint()
    hosts = {site.node.name: site.host for site in sites}
    for _ in range(STARTS):
        seen = _regions(sites)
        facts = []
        for part in copy_order((site.node, site.layout) for site in sites):
            copied = _copy_part(hosts[part.node], part, archive, log, pause)
            seen |= _regions(sites)
            if copied.files or not part.optional:
                log("INFO", f"{part.title}, {amount(copied.files, copied.bytes)}.")
                facts.append(_fact(part, copied))
        lost = seen - _regions(sites)
        if not lost:
            return facts
        log("WARN", _dropped(lost))
        archive.rollback(checkpoint)
    raise KeepsChanging(
        f"Databases or regions were dropped at each of {STARTS} attempts to copy the metadata.",
        cure="Run the task again when no databases are dropped and no regions moved.",
    )


def _copy_part(host: Host, part: Part, archive: Archive, log: Log, pause: Pause) -> Copied:
    try:
        with reading(host, part.node, part.path):
            groups = groups_of(host, part)
    except Vanished:
        groups = []
    copied = Copied()
    for group in groups:
        copied += copy_group(host, group, archive, log, pause)
    return copied


def _regions(sites: list[Site]) -> set[tuple[str, str]]:
    """Return node and directory of all regions; nodes on two machines may have the same directories."""
    found: set[tuple[str, str]] = set()
    for host, node, layout in sites:
        try:
            found |= {(node.name, path) for path in regions_of(host, node, layout)}
        except OSError as error:
            raise unreadable(host, node.name, error.filename or node.home, error) from error
    return found


def _fact(part: Part, copied: Copied) -> dict[str, Any]:
    return {
        "node": part.node,
        "role": part.role,
        "part": part.label,
        "files": copied.files,
        "bytes": copied.bytes,
        "rereads": copied.rereads,
    }


def _dropped(lost: set[tuple[str, str]]) -> str:
    names = ", ".join(printable(os.path.basename(path)) for _, path in sorted(lost)[:3])
    more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
    return f"Regions went away while the copy ran ({names}{more}): a database was dropped. Copying from the start."
