"""Putting the room at destinations on record, and telling where it runs out."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils.http import urlencode

from storage.base import Space
from storage.localdir import data_storage_path, room
from storage.registry import get_path_type
from tasks import alarms
from tasks.engine.days import DAYS_KEPT, day_of
from tasks.models import BackupTask, Cluster, DestinationSpace, SpaceDay
from tasks.moments import stamp
from tasks.space import WINDOW, Limits, Outlook, Reading, Trend, days_left, in_words, outlook, why_low
from tasks.units import format_size

log = logging.getLogger(__name__)
LOW = "space-low"
LOCAL = "LocalDir"
# Disks of the console itself are looked at so often; a file system that hangs is left alone after so many seconds.
EVERY = timedelta(minutes=10)
PATIENCE = 5.0
_asked: dict[Path, threading.Thread] = {}


@dataclass(frozen=True)
class Place:
    """What tells a destination from others, and what people call it."""

    key: str
    path_type: str
    label: str
    own: bool = False

    @classmethod
    def of(cls, path_type: str, parameters: Mapping[str, Any]) -> Place:
        """Return the place of a task's destination; raises KeyError for a path type that is gone."""
        found = get_path_type(path_type)
        return cls(_key(path_type, *found.location(parameters)), path_type, found.title(parameters), path_type == LOCAL)


def limits() -> Limits:
    """Return the limits of the settings."""
    return Limits(settings.FREE_SPACE_FLOOR, settings.SPACE_LOW_PERCENT, settings.SPACE_LOW_DAYS)


# --- Recording ------------------------------------------------------------------------------------------------------
@transaction.atomic
def record(place: Place, space: Space | None, now: datetime, task_id: int | None = None) -> DestinationSpace:
    """Put on record how much room ``place`` has, None where it does not tell; raise or clear its alarm.

    ``task_id`` is the task whose run read it, which stores there.
    """
    fresh = {"path_type": place.path_type, "label": place.label[:300], "own": place.own, "read_at": now}
    row, _ = DestinationSpace.objects.select_for_update().get_or_create(key=place.key, defaults=fresh)
    for name, value in fresh.items():
        setattr(row, name, value)
    row.free_bytes, row.total_bytes = (space.free, space.total) if space else (None, None)
    row.read_by_id = task_id
    _foresee(row, space, now)
    row.save()
    if task_id is not None:
        BackupTask.all_tasks.filter(pk=task_id).exclude(space=row).update(space=row)
    _tell(row, now)
    return row


def _foresee(row: DestinationSpace, space: Space | None, now: datetime) -> None:
    """Set trend and verdict of ``row`` from its days, of which today's becomes this reading."""
    found, row.low = Outlook(Trend.UNKNOWN), row.low and space is not None
    if space is not None:
        _enter(row, space, now)
        days = SpaceDay.objects.filter(space=row, day__gte=day_of(now - WINDOW))
        readings = [Reading(one.read_at, one.total_bytes - one.free_bytes) for one in days]
        found = outlook(readings, space.free, now)
        row.low = bool(why_low(space.free, space.total, found.full_at, limits(), now, before=row.low))
    row.trend, row.pace, row.full_at = found.trend, found.pace, found.full_at


def _enter(row: DestinationSpace, space: Space, now: datetime) -> None:
    figures = {"read_at": now, "free_bytes": space.free, "total_bytes": space.total}
    _, new = SpaceDay.objects.update_or_create(space=row, day=day_of(now), defaults=figures)
    if new:
        SpaceDay.objects.filter(space=row, day__lt=day_of(now) - timedelta(days=DAYS_KEPT)).delete()


# --- The alarm ------------------------------------------------------------------------------------------------------
def _tell(row: DestinationSpace, now: datetime) -> None:
    if not row.low:
        alarms.clear(LOW, subject_of(row), now=now)
        return
    alarms.raise_alarm(
        LOW,
        subject_of(row),
        cause=cause_of(row, now),
        cure=_cure(row),
        place=row.label,
        cluster=_only_cluster(row),
        link=link_of(row),
        now=now,
    )


def subject_of(row: DestinationSpace) -> str:
    """Return the subject of alarms about a destination."""
    return f"space {row.pk}"


def cause_of(row: DestinationSpace, now: datetime) -> str:
    """Return in figures how much room is left, and when it ends."""
    free, total = row.free_bytes or 0, row.total_bytes or 0
    words = f"{format_size(free)} of {format_size(total)} are free."
    if free <= 0:
        return f"All of its {format_size(total)} are used. Backups do not start before there is room again."
    if free < settings.FREE_SPACE_FLOOR:
        words += f" Backups need at least {format_size(settings.FREE_SPACE_FLOOR)} to stay free, and do not start."
    if row.full_at is not None and row.pace is not None:
        left = in_words(days_left(row.full_at, now))
        words += f" It grows by {format_size(row.pace)} a day and is full in {left}, at {stamp(row.full_at)}."
    return words


def _cure(row: DestinationSpace) -> str:
    if not row.path_type:
        return f"Free space on the disk that holds {settings.DATA_DIR}, where the console keeps its database."
    return "Free space there, or lower Maximum Number of Backup Copies of the tasks that store there."


def link_of(row: DestinationSpace) -> str:
    """Return the list of the tasks that store there; of a disk of the console, its place on the homepage."""
    if not row.path_type:
        return f"{reverse('home')}#space"
    # The list is searched by name and address; the address stands first in the label.
    query = {"path": row.path_type} | ({} if row.path_type == LOCAL else {"q": row.label.split(" ")[0].split("/")[0]})
    return f"{reverse('tasks')}?{urlencode(query)}"


def _only_cluster(row: DestinationSpace) -> Cluster | None:
    """Return the cluster whose tasks alone store there; what several share, or the console owns, belongs to none."""
    found = list(Cluster.objects.filter(tasks__space=row, tasks__deleted_at__isnull=True).distinct()[:2])
    return found[0] if len(found) == 1 and not row.own else None


# --- What the tick does -----------------------------------------------------------------------------------------------
def watch(now: datetime) -> int:
    """Read the disks of the console itself where that is due, and forget places where nothing is stored any more.

    Return how many were read.
    """
    since = DestinationSpace.objects.filter(own=True, read_at__gt=now - EVERY, read_at__lte=now)
    if since.exists():
        return 0
    disks = own_disks()
    kept = [record(place, space, now).pk for place, space in disks]
    local = DestinationSpace.objects.filter(own=True, path_type=LOCAL, pk__in=kept).first()
    if local is not None:
        BackupTask.objects.filter(path_type=LOCAL).exclude(space=local).update(space=local)
    _forget(kept, now)
    return len(kept)


def own_disks() -> list[tuple[Place, Space | None]]:
    """Return the disk of LocalDir, and that of the console's data where it is another one; each with its room."""
    local, data = _in_time(data_storage_path() / "LocalBackup"), _in_time(Path(settings.DATA_DIR))
    found = [(Place.of(LOCAL, {}), local.space)]
    if local.device is None or local.device != data.device:
        name = f"Console data on {settings.HOST_NAME}"
        found.append((Place(_key("", settings.HOST_NAME, str(settings.DATA_DIR)), "", name, own=True), data.space))
    return found


@dataclass(frozen=True)
class _Disk:
    """What holds a path, as far as it answers."""

    device: int | None = None
    space: Space | None = None


def _in_time(path: Path) -> _Disk:
    """Look at the disk of ``path``, and give up where it does not answer; it is not asked twice at a time."""
    waiting = _asked.get(path)
    if waiting is not None and waiting.is_alive():
        return _Disk()
    found: list[_Disk] = []
    thread = threading.Thread(target=lambda: found.append(_Disk(_device(path), room(path))), name="room", daemon=True)
    _asked[path] = thread
    thread.start()
    thread.join(PATIENCE)
    if thread.is_alive():
        log.warning("the file system of %s does not answer", path)
    return found[0] if found else _Disk()


def _device(path: Path) -> int | None:
    """Return the device that holds ``path`` or would hold it."""
    for candidate in (path, *path.parents):
        try:
            return candidate.stat().st_dev
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


def _forget(kept: list[int], now: datetime) -> None:
    """Remove the places where no task stores any more, with what was said of them."""
    used = BackupTask.objects.filter(space=OuterRef("pk"))
    rows = list(DestinationSpace.objects.filter(~Exists(used)).exclude(pk__in=kept)[:100])
    if rows:
        alarms.clear_all_of([subject_of(row) for row in rows], now=now)
        DestinationSpace.objects.filter(pk__in=[row.pk for row in rows]).delete()


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
