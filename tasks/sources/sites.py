"""The nodes of a service with their machines, reached for as long as a survey or a copy takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from tasks.hosts import connect
from tasks.hosts.base import Host
from tasks.sources.base import NodeSpec
from tasks.sources.iotdb_properties import Layout


class Site(NamedTuple):
    """A node whose machine is reached, and where its directories are."""

    host: Host
    node: NodeSpec
    layout: Layout


@contextmanager
def reached(nodes: Iterable[NodeSpec]) -> Iterator[list[tuple[Host, NodeSpec]]]:
    """Give the nodes with a connection each, closed at the end. Raises errors of ``storage.errors``."""
    with ExitStack() as stack:
        yield [(stack.enter_context(connect(node.host, node.name)), node) for node in nodes]
