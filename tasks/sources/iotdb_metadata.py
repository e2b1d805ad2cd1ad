"""The data source *IoTDB*: the metadata of an Apache IoTDB service, read from files on this host or by SFTP.

Tried on IoTDB 2.0.1-beta: copies of a running server under DDL were restored without loss. Copied are the ConfigNode,
the DataNode's consensus groups and system directory, installed jars, and the whole ``conf`` directory, so that a host
can be rebuilt. Time series (``data/datanode/data``, ``wal``) and logs are not metadata and are not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tasks.sources.base import Archive, Finding, Log, NodeSpec, ServiceSpec, Source, Survey, nothing
from tasks.sources.iotdb_check import check
from tasks.sources.iotdb_copy import copy_metadata
from tasks.sources.iotdb_running import is_running
from tasks.sources.iotdb_survey import NodeFacts, open_layout, read_facts, survey
from tasks.sources.iotdb_whole import lacking
from tasks.sources.sites import Site, reached


class IoTDBMetadata(Source):
    """Metadata of IoTDB: schema, partitions, accounts, functions, tables; hot where the server runs, cold else."""

    key = "iotdb-metadata"
    label = "IoTDB"
    group = "Metadata and other data"

    def check(self, node: NodeSpec) -> list[Finding]:
        """Return what is found at the home of a node."""
        return check(node)

    def survey(self, service: ServiceSpec, check: Callable[[], None] = nothing) -> Survey:
        """Return what a copy would hold. Raises HomeMissing, Unreadable, NothingToBackUp, KeepsChanging."""
        return survey(service, check)

    def copy(self, service: ServiceSpec, survey: Survey, archive: Archive, log: Log) -> dict[str, Any]:
        """Copy all nodes of a service and return the facts by which a restore finds its way.

        The caller logs the warnings of the survey. Raises HomeMissing, Unreadable, KeepsChanging, errors of
        ``storage.errors`` for a machine that cannot be reached, and whatever the archive raises.
        """
        with reached(service.nodes) as machines:
            facts = [read_facts(Site(host, node, open_layout(host, node))) for host, node in machines]
            running = {known.node.name: is_running(*known.site) for known in facts}
            for name, runs in running.items():
                if not runs:
                    log("INFO", f"IoTDB on {name} is stopped: cold copy.")
            parts = copy_metadata([known.site for known in facts], archive, log)
        return {
            "source": self.key,
            "cluster": service.cluster,
            "service": service.name,
            "version": survey.version,
            "cluster_id": survey.cluster_id,
            "nodes": [_node_fact(known, running[known.node.name]) for known in facts],
            "parts": parts,
        }

    def lacking(self, facts: Mapping[str, Any], members: Iterable[str]) -> list[str]:
        """Return what IoTDB would need to start from the archive and does not find there."""
        return lacking(facts, members)


def _node_fact(known: NodeFacts, running: bool) -> dict[str, Any]:
    """Real directories, and the ids, addresses and ports that IoTDB insists on when it starts again."""
    return {
        "name": known.node.name,
        "home": known.node.home,
        "config_node": known.node.config_node,
        "data_node": known.node.data_node,
        "running": running,
        "version": known.version,
        "cluster_id": known.cluster_id,
        "directories": {**known.layout.directories, "conf": known.layout.conf},
        "config_identity": known.config_identity,
        "data_identity": known.data_identity,
    }
