"""The path types, in the order of the seed."""

from __future__ import annotations

from importlib import import_module

from storage.base import PathType

_MODULES = ("localdir", "nfs", "remotehdfs", "cifs", "sftp")
_TYPES: dict[str, PathType] = {}


def _load() -> dict[str, PathType]:
    if not _TYPES:
        for module in _MODULES:
            path_type: PathType = import_module(f"storage.{module}").PATH_TYPE
            _TYPES[path_type.name] = path_type
    return _TYPES


def all_path_types() -> list[PathType]:
    """Return every path type that the console knows."""
    return list(_load().values())


def available_path_types() -> list[PathType]:
    """Return the path types that can be run, which are those on offer."""
    return [path_type for path_type in all_path_types() if path_type.available]


def get_path_type(name: str) -> PathType:
    """Return a path type by its name; raise ``KeyError`` where there is none of that name."""
    return _load()[name]
