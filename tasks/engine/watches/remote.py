"""ALM-12057: metadata that no periodic task sends to another host.

What counts is a periodic task that is started, to a destination on another machine than this one and than those of the
cluster. One that never succeeded counts from its creation on until its first success is overdue. Looked for once an
hour, as FusionInsight does; that the cause of a raised alarm is gone is seen by the next tick.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.http import urlencode

from storage.addresses import is_own
from storage.registry import available_path_types, get_path_type
from tasks import alarms
from tasks.alarms import Told
from tasks.engine.watches.reconciling import reconcile_told
from tasks.models import BackupTask, Cluster, Node, Pulse, Service
from tasks.overdue import overdue
from tasks.states import Mode, Reach

CODE = "no-remote-task"
HOUR = timedelta(hours=1)
_PULSE = "remote tasks looked for"
_NAMED = 3
Own = Callable[[str], bool]


@dataclass
class Coverage:
    """Which services of a cluster lack such a task, and why the tasks that come near do not count."""

    cluster: Cluster
    services: dict[int, str] = field(default_factory=dict)
    hosts: set[str] = field(default_factory=set)
    doubts: list[str] = field(default_factory=list)


def watch(now: datetime) -> int:
    """Bring the alarms to what is so: once an hour those of all clusters, else those that are raised.

    A cluster that was registered within the last hour is left in peace. Returns how many clusters lack such a task.
    """
    last = Pulse.last(_PULSE)
    whole = last is None or not now - HOUR < last <= now
    raised = alarms.uncleared().filter(code=CODE).values_list("subject", flat=True)
    clusters = Cluster.objects.filter(created_at__lte=now - HOUR)
    if not whole:
        keys = [int(subject.split()[1]) for subject in raised]
        if not keys:
            return 0
        clusters = clusters.filter(pk__in=keys)
    lacking = [one for one in _look(clusters, now) if one.services]
    left = reconcile_told(CODE, {f"cluster {one.cluster.pk}": _told(one) for one in lacking}, now)
    if whole and not left:
        Pulse.beat(_PULSE, now)
    return len(lacking)


def _look(clusters: QuerySet[Cluster], now: datetime) -> Iterable[Coverage]:
    """Return how the clusters are covered; five queries. What was made since the first one is for the next look."""
    found = {cluster.pk: Coverage(cluster) for cluster in clusters}
    keys = clusters.order_by().values("pk")
    for key, pk, name in Service.objects.filter(cluster__in=keys).values_list("cluster_id", "pk", "name"):
        if key in found:
            found[key].services[pk] = name
    nodes = Node.objects.filter(service__cluster__in=keys, reach=Reach.SSH)
    for key, address in nodes.values_list("service__cluster_id", "ssh_address"):
        if key in found:
            found[key].hosts.add(address)
    tasks = BackupTask.objects.filter(cluster__in=keys, mode=Mode.PERIODIC).order_by("pk")
    assigned: dict[int, set[int]] = defaultdict(set)
    pairs = BackupTask.services.through.objects.filter(backuptask__in=tasks.filter(all_services=False).order_by())
    for task_id, service_id in pairs.values_list("backuptask_id", "service_id"):
        assigned[task_id].add(service_id)
    own = cache(is_own)
    for task in tasks.defer("sealed_secrets", "outcomes", "proof_problem").iterator(chunk_size=1000):
        coverage = found.get(task.cluster_id)
        # One that lacks nothing any more needs no further look.
        if coverage is not None and coverage.services:
            _count(coverage, task, assigned[task.pk], own, now)
    return found.values()


def _count(coverage: Coverage, task: BackupTask, assigned: set[int], own: Own, now: datetime) -> None:
    """Take the services of ``task`` off those that lack one, or note why it does not count."""
    servers = _servers(task)
    if not servers:
        return
    doubt = _doubt(coverage, task, servers, own, now)
    if doubt:
        coverage.doubts.append(doubt)
    elif task.all_services:
        coverage.services.clear()
    else:
        for service_id in assigned:
            coverage.services.pop(service_id, None)


def _servers(task: BackupTask) -> list[str]:
    try:
        return get_path_type(task.path_type).servers(task.destination)
    except KeyError:
        return []


def _doubt(coverage: Coverage, task: BackupTask, servers: list[str], own: Own, now: datetime) -> str:
    if all(own(server) for server in servers):
        return f"{task.name} sends to {servers[0]}, which is this machine."
    if all(server in coverage.hosts or own(server) for server in servers):
        return f"{task.name} sends to {servers[0]}, which is a host of the cluster itself."
    if task.suspended:
        return f"{task.name} is suspended."
    if task.last_success_at is None and overdue(task, now):
        return f"{task.name} has never succeeded."
    return ""


def _told(coverage: Coverage) -> Told:
    names = sorted(coverage.services.values())
    which = f"the service {names[0]}" if len(names) == 1 else f"the services {', '.join(names)}"
    more = len(coverage.doubts) - _NAMED
    doubts = coverage.doubts[:_NAMED] + ([f"{more} more tasks do not count either."] if more > 0 else [])
    ways = [path_type.name for path_type in available_path_types() if path_type.name != "LocalDir"]
    cluster = coverage.cluster
    return Told(
        cause=" ".join([f"No periodic task sends the IoTDB metadata of {which} to another host.", *doubts]),
        cure=f"Create a periodic task of {cluster.name} with path type {', '.join(ways[:-1])} or {ways[-1]}"
        + (", or put right what is said of those that are there." if doubts else "."),
        place=cluster.name,
        cluster=cluster,
        link=f"{reverse('tasks')}?{urlencode({'cluster': cluster.pk})}",
    )
