"""Installations of IoTDB on this machine: directories with ``lib/*.jar`` whose names carry the version."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

_TELLING = re.compile(r"(?:iotdb-server|iotdb-datanode|iotdb-confignode|node-commons)-(\d.*)\.jar")


class Installation(NamedTuple):
    """Jars of one version of IoTDB. ``lib`` is the directory that holds them."""

    lib: str
    version: str


def find(places: Iterable[str]) -> list[Installation]:
    """Return the installations at ``places`` and in directories directly below them, in that order, each once.

    Places that are missing or may not be read hold none.
    """
    found: dict[str, Installation] = {}
    for place in places:
        for home in (place, *_directories(place)):
            lib = os.path.realpath(os.path.join(home, "lib"))
            version = _version(lib)
            if version:
                found.setdefault(lib, Installation(lib, version))
    return list(found.values())


def of_version(installations: Iterable[Installation], version: str) -> Installation | None:
    """Return the first installation of exactly ``version``, or None."""
    return next((one for one in installations if one.version == version), None)


def _version(lib: str) -> str:
    """Return the version of the jars; empty where there are none, or of several versions."""
    versions = {match[1] for name in _names(lib) if (match := _TELLING.fullmatch(name))}
    return versions.pop() if len(versions) == 1 else ""


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _directories(path: str) -> list[str]:
    return [below for name in sorted(_names(path)) if os.path.isdir(below := os.path.join(path, name))]
