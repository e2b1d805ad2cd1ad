"""The registry of data sources: a new one is one new module that is registered here."""

from __future__ import annotations

from tasks.sources.base import Finding, NodeSpec, ServiceSpec, Source, Survey
from tasks.sources.iotdb_metadata import IoTDBMetadata

__all__ = ["Finding", "NodeSpec", "ServiceSpec", "Source", "Survey", "all", "get", "register"]

_sources: dict[str, Source] = {}


def register(source: Source) -> None:
    """Add a source; a key is registered once. Raises ValueError for a key that is taken by another source."""
    if source.key in _sources:
        raise ValueError(f"The data source {source.key} is already registered.")
    _sources[source.key] = source


def get(key: str) -> Source:
    """Return the source with this key. Raises KeyError for a key nobody registered."""
    return _sources[key]


def all() -> tuple[Source, ...]:
    """Return the sources in the order of their registration."""
    return tuple(_sources.values())


register(IoTDBMetadata())
