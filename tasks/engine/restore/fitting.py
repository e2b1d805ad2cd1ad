"""From the archives of a set and the nodes of a cluster to a plan: what goes where, or all that speaks against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from storage.errors import ConsoleError
from tasks.engine.restore import control
from tasks.engine.restore.archives import Archive
from tasks.engine.restore.control import Node
from tasks.engine.restore.looking import differing_conf, grounds, obstacles, read_found
from tasks.engine.restore.matching import Match, NodeOfSet, ServiceOfSet, completed, match
from tasks.engine.restore.places import Held, Pair, amounts, nested, places_of
from tasks.engine.restore.stepping import reach
from tasks.engine.restore.target import Found, targets_of
from tasks.engine.restore.wellness import Asked, asked_of
from tasks.errors import RunEnded
from tasks.hosts import Host
from tasks.iotdb.base import Summary
from tasks.iotdb.client import ask_health
from tasks.models import Cluster, Service

_ASK_SECONDS = 15.0


@dataclass
class ServicePlan:
    """One service: its archive, the inventory in it where there is one, and its nodes with what goes to each."""

    row: Service
    archive: Archive
    asked: Asked
    summary: Summary | None
    pairs: list[Pair] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)


@dataclass
class Plan:
    """What a restoration does. It is carried out only where nothing stands in ``problems``."""

    services: list[ServicePlan] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    words: str = ""

    @property
    def nodes(self) -> list[Node]:
        """All nodes, of all services."""
        return [node for one in self.services for node in one.nodes]

    @property
    def asked(self) -> list[Asked]:
        """Whom to ask how IoTDB is."""
        return [one.asked for one in self.services]


class Fitting:
    """Makes the plan; nothing on the cluster is changed by it."""

    def __init__(
        self, cluster: Cluster, archives: Sequence[Archive], check: Callable[[], None], stack: ExitStack
    ) -> None:
        self.cluster = cluster
        self.archives = archives
        self.check = check
        self.stack = stack
        self.result = Plan()

    def plan(self) -> Plan:
        """Return the plan with everything that speaks against it, not only the first thing."""
        plan, words = self.result, []
        for archive in self.archives:
            self.check()
            of_set = archive.of_set
            row = self._service(of_set)
            if row is not None:
                words.append(self._add(archive, of_set, row))
        versions = ", ".join(sorted({archive.of_set.version for archive in self.archives}))
        plan.words = f"Set of IoTDB {versions}: {' '.join(words)}"
        return plan

    def _service(self, of_set: ServiceOfSet) -> Service | None:
        """Return the cluster's service of an archive: by its name, or the only one where each has only one."""
        services = list(self.cluster.services.order_by("name"))
        named = next((one for one in services if one.name == of_set.name), None)
        if named is None and len(services) == len(self.archives) == 1:
            named = services[0]
            self.result.notes.append(f"The service {of_set.name} of the set is {named.name} here.")
        if named is None:
            self.result.problems.append(
                f"The set holds the service {of_set.name}, which {self.cluster} does not have. Add it on its page."
            )
        return named

    def _add(self, archive: Archive, of_set: ServiceOfSet, row: Service) -> str:
        """Add a service to the plan and return in words how its nodes match."""
        asked = asked_of(row)
        reached = {target.name: (target, reach(target, self.stack)) for target in targets_of(row)}
        found = [read_found(host, target) for target, host in reached.values()]
        matched = match(of_set, found, self.cluster.name, self._live_version(asked))
        self.result.problems += matched.problems
        self.result.notes += matched.notes
        plan = ServicePlan(row, archive, asked, archive.summary)
        held = amounts(archive.listed(), [node.name for node, _ in matched.pairs])
        for node, one in matched.pairs:
            self.check()
            self._add_node(plan, node, one, reached[one.target.name][1], held)
        self.result.services.append(plan)
        return self._words(of_set, matched)

    def _live_version(self, asked: Asked) -> str:
        """Return the version that a running server tells; empty where nobody can be asked."""
        if asked.account is None:
            return ""
        return ask_health(asked.account, asked.endpoints, seconds=_ASK_SECONDS, check=self.check).version

    def _add_node(self, plan: ServicePlan, node: NodeOfSet, there: Found, host: Host, held: dict[str, Held]) -> None:
        name, found = node.name, completed(there, node)
        try:
            places = places_of(name, found, held, host.realpath)
            known = grounds(host, found.target, places)
            self.result.notes += differing_conf(host, found, plan.archive.listed(), name)
        except RunEnded:
            raise
        except ConsoleError as error:
            self.result.problems.append(str(error))
            return
        sizes = [(place, held[place.prefix].bytes if place.prefix in held else 0) for place in places]
        self.result.problems += obstacles(found.target.name, sizes, known)
        self.result.problems += [f"{text} Put them beside each other." for text in nested(places)]
        self.result.problems += control.lacking(found.target)
        self.result.problems += _hollow(name, found, held)
        plan.pairs.append(replace(Pair(name, found), places=places))
        plan.nodes.append(Node.of(host, found))
        if not found.layout.configured:
            self.result.notes.append(f"Node {found.target.name} has no property files; those of the set are restored.")

    def _words(self, of_set: ServiceOfSet, matched: Match) -> str:
        ids = "the cluster id is equal, " if any(one.cluster_id for _, one in matched.pairs) else ""
        return f"{of_set.name}: {ids}{matched.words()}"


def _hollow(name: str, found: Found, held: dict[str, Held]) -> list[str]:
    """Return sentences on parts of which the set holds nothing, although IoTDB does not start without them."""
    wanted = {
        "ConfigNode": ("data/confignode/consensus",),
        "DataNode": ("data/datanode/consensus", "data/datanode/system"),
    }
    return [
        f"The set holds nothing of {member} of node {name}. Choose another set."
        for role in found.target.roles
        for member in wanted[role]
        if f"{name}/{member}" not in held
    ]
