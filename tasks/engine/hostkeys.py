"""The alarm of a host key that changed: raised of everything that a run uses and that pins the key of before.

Nothing was sent to the server, and nothing accepts the new key but a person. A good run clears the alarms of what it
reached, and so does whoever confirms the new key or changes the server (``tasks.services``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse

from storage.errors import ConsoleError, HostKeyChanged
from tasks import alarms
from tasks.alarms import Told
from tasks.models import BackupTask, ManagementNodes, Node, Run
from tasks.states import Kind, Reach

CODE = "host-key-changed"
STANDBY = "standby node"


@dataclass(frozen=True)
class Pinned:
    """Something that pins the host key of a server."""

    subject: str
    about: Told
    host: str
    port: int
    key: str

    def concerns(self, error: HostKeyChanged) -> bool:
        """Tell whether it pins another key for the server than that one has shown."""
        return bool(self.key) and (self.host, self.port) == (error.host, error.port) and self.key != error.host_key


def met(run: Run, error: ConsoleError | None, now: datetime) -> None:
    """Raise the alarm of what ``run`` uses where ``error`` is that a server shows another key."""
    if isinstance(error, HostKeyChanged):
        _raise(_of_run(run), error, now)


def met_at_standby(nodes: ManagementNodes, error: ConsoleError, now: datetime) -> None:
    """Raise the alarm of the standby management node where ``error`` is that it shows another key."""
    if isinstance(error, HostKeyChanged):
        link = reverse("management-nodes")
        told = Told("", place=f"Standby management node {nodes.standby.get('server_ip', '')}", link=link)
        _raise(_of_destination(STANDBY, told, nodes.standby), error, now)


def shown(task: BackupTask, cause: str, cure: str, now: datetime) -> None:
    """Raise the alarm of a task whose server was found to show another key without a run."""
    told = _told_of(task)
    about = vars(told) | {"cause": cause, "cure": cure}
    alarms.raise_alarm(CODE, f"task {task.pk}", **about, now=now)


def reached(run: Run, now: datetime) -> None:
    """Clear the alarms of what a good run has reached: the servers showed the confirmed keys."""
    subjects = [f"task {run.task_id}"] if run.task_id else [f"restoration {run.restoration_id}"]
    if run.kind == Kind.BACKUP:
        nodes = _nodes(run)
        if run.task is not None and not run.task.all_services:
            nodes = nodes.filter(service__tasks=run.task)
        subjects += [f"node {pk}" for pk in nodes.values_list("pk", flat=True)]
    alarms.clear_all_of(subjects, alarms.CONSOLE, now, CODE)


def place_of(destination: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what an alarm of a destination holds for: another server or key makes it pointless."""
    return tuple(destination.get(name) for name in ("server_ip", "port", "host_key"))


def _raise(pinned: Iterable[Pinned], error: HostKeyChanged, now: datetime) -> None:
    for one in pinned:
        if one.concerns(error):
            about = vars(one.about) | {"cause": error.message, "cure": error.cure}
            alarms.raise_alarm(CODE, one.subject, **about, now=now)


def _of_run(run: Run) -> Iterator[Pinned]:
    task, restoration = run.task, run.restoration
    if task is not None and task.deleted_at is None:
        yield from _of_destination(f"task {task.pk}", _told_of(task), task.destination)
    if restoration is not None and restoration.deleted_at is None:
        link = reverse("restoration", args=[restoration.pk])
        told = Told("", place=restoration.name, cluster=run.cluster, link=link)
        yield from _of_destination(f"restoration {restoration.pk}", told, restoration.destination)
    for node in _nodes(run):
        told = Told("", place=node.name, cluster=run.cluster, link=reverse("cluster", args=[run.cluster_id]))
        yield Pinned(f"node {node.pk}", told, node.ssh_address, node.ssh_port, node.host_key)


def _told_of(task: BackupTask) -> Told:
    return Told("", place=task.name, cluster=task.cluster, link=reverse("task-history", args=[task.pk]))


def _of_destination(subject: str, told: Told, destination: Mapping[str, Any]) -> Iterator[Pinned]:
    host, port, key = place_of(destination)
    if host and port and key:
        yield Pinned(subject, told, str(host), int(port), str(key))


def _nodes(run: Run) -> QuerySet[Node]:
    return Node.objects.filter(service__cluster_id=run.cluster_id, reach=Reach.SSH)
