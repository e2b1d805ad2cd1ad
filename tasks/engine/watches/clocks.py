"""The alarm of clocks that differ: of hosts, destinations and the database from this machine's, and its own set back.

Schedules, names of files and ages of proofs go by the console's clock, and restored sets by that of their host. Facts
are taken where they cost nothing: a run asks each host for its time and looks at the time that the destination gave to
a file just written; the tick asks the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from tasks import alarms
from tasks.alarms import Told
from tasks.models import BackupTask, Node, Pulse
from tasks.moments import stamp
from tasks.units import format_duration

CODE = "clock-drift"
CONSOLE, DATABASE = "console", "database"
_CURE = "Point both at the same NTP source."
_SET_BACK = "clock set back"
_DAY = timedelta(days=1)


def of_nodes(cluster_id: int, service: str, clocks: Mapping[str, float], now: datetime) -> None:
    """Judge by how many seconds the clocks of the nodes of a service are ahead; by node."""
    found = Node.objects.filter(service__cluster_id=cluster_id, service__name=service, name__in=clocks)
    for node in found.select_related("service__cluster"):
        cluster = node.service.cluster
        where = f"node {node.name} ({node.ssh_address})"
        told = Told("", place=node.name, cluster=cluster, link=reverse("cluster", args=[cluster.pk]))
        _judge(f"node {node.pk}", where, timedelta(seconds=clocks[node.name]), told, now)


def of_destination(task: BackupTask, server: str, ahead: timedelta, now: datetime) -> None:
    """Judge how far the clock of the server is ahead that a task sends its files to."""
    link = reverse("task-verify", args=[task.pk])
    told = Told("", place=task.name, cluster=task.cluster, link=link)
    _judge(f"task {task.pk}", server, ahead, told, now)


def ticked(before: datetime | None, now: datetime) -> bool:
    """Raise the alarm where the last tick lies in the future; return whether it does.

    It stays until that moment comes, and for a day at the most: until then records of the console lie in the future.
    """
    if before is None or before - now <= settings.CLOCK_DRIFT:
        return False
    until = min(before, now + _DAY)
    Pulse.beat(_SET_BACK, until)
    alarms.raise_alarm(
        CODE,
        CONSOLE,
        cause=f"At {stamp(now)} the clock of {settings.HOST_NAME} was {format_duration(before - now)} behind a moment "
        f"that the console had on record already: it was set back. What was to start in between is not started twice; "
        f"times of records are out of order until {stamp(until)}.",
        cure=f"Let {settings.HOST_NAME} keep its time by NTP, and the other management nodes as well.",
        place=settings.HOST_NAME,
        now=now,
    )
    return True


def watch(now: datetime) -> str:
    """Ask the database for its time, and clear the alarm of a clock that was set back when its time has come."""
    until = Pulse.last(_SET_BACK)
    if until is not None and until <= now:
        alarms.clear(CODE, CONSOLE, now=now)
        Pulse.objects.filter(name=_SET_BACK, at=until).delete()
    ahead = _database_ahead()
    if ahead is None:
        return "own"
    if abs(ahead) <= settings.CLOCK_DRIFT or not alarms.uncleared().filter(code=CODE, subject=DATABASE).exists():
        host = connection.settings_dict["HOST"]
        _judge(DATABASE, f"the database server {host}".strip(), ahead, Told("", place=host or "Database"), now)
    return "compared"


def _database_ahead() -> timedelta | None:
    """Return how far the clock of the database is ahead; None where it is a file of this machine."""
    if connection.vendor != "postgresql":
        return None
    began = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        told: datetime = cursor.fetchone()[0]
    return told.astimezone(UTC) - (began + (timezone.now() - began) / 2)


def _judge(subject: str, where: str, ahead: timedelta, told: Told, now: datetime) -> None:
    if abs(ahead) <= settings.CLOCK_DRIFT:
        alarms.clear(CODE, subject, now=now)
        return
    side = "ahead of" if ahead > timedelta(0) else "behind"
    limit = format_duration(settings.CLOCK_DRIFT)
    off = f"{format_duration(abs(ahead))} {side} that of {settings.HOST_NAME} (limit {limit})"
    about = vars(told) | {"cause": f"The clock of {where} is {off}.", "cure": _CURE}
    alarms.raise_alarm(CODE, subject, **about, now=now)
