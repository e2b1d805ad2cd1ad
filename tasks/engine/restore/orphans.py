"""Data regions on the disks of a cluster that its metadata does not know: time series that nobody can read any more.

They are what databases leave that are newer than the set (tried on 2.0.1-beta); their files stay. Created again, such
a database may get the same region numbers, and then its old points are back.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping

from tasks.engine.restore.target import Found
from tasks.hosts import Host

DATA_DIRS = "data/datanode/data"
LISTED = 100
_KINDS = ("sequence", "unsequence")


def data_directories(found: Found) -> list[str]:
    """Return where a DataNode keeps time series: ``dn_data_dirs``, tiers parted by semicolons, disks by commas."""
    text = found.layout.settings.get("dn_data_dirs", "").strip() or DATA_DIRS
    parts = (part.strip() for part in re.split(r"[,;]", text))
    return [os.path.normpath(os.path.join(found.layout.home, part)) for part in parts if part]


def regions_on_disk(host: Host, found: Found) -> dict[tuple[str, int], list[str]]:
    """Return the directories of each region by database and number. Raises OSError."""
    regions: dict[tuple[str, int], list[str]] = {}
    for root in data_directories(found):
        for kind in _KINDS:
            for database in _directories(host, os.path.join(root, kind)):
                for region in _directories(host, database):
                    number = os.path.basename(region)
                    if number.isdecimal():
                        regions.setdefault((os.path.basename(database), int(number)), []).append(region)
    return regions


def known_to_the_node(host: Host, found: Found) -> set[int]:
    """Return the numbers of the data regions that a DataNode serves, by its consensus directory. Raises OSError."""
    root = os.path.join(found.layout.directories["dn_consensus_dir"], "data_region")
    names = (os.path.basename(path) for path in _directories(host, root))
    return {int(match[1]) for name in names if (match := re.fullmatch(r"1_(\d+)", name))}


def orphans(on_disk: Mapping[tuple[str, int], list[str]], known: Collection[int]) -> list[str]:
    """Return the directories of regions that are not known, by name."""
    return sorted(path for (_, number), paths in on_disk.items() if number not in known for path in paths)


def _directories(host: Host, path: str) -> Iterator[str]:
    try:
        entries = host.scan(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name, seen in sorted(entries):
        if stat.S_ISDIR(seen.mode):
            yield os.path.join(path, name)
