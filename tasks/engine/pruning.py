"""Removing records that are older than ``RECORDS_DAYS``: runs with their logs and files, and alarms that were cleared.

What is needed stays, however old: whatever may still lie at a destination, proofs of it, what was restored from, all
restorations, and of each task the newest runs. Counts of what ran stay in ``RunTotal``, who did what in the audit.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from itertools import islice

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Mod

from tasks.models import Alarm, BackupFile, BackupTask, Restoration, Run
from tasks.models.run import PROOFS
from tasks.states import ACTIVE, Kind

log = logging.getLogger(__name__)
# Of each task so many runs stay, as many as its strip of outcomes tells of.
NEWEST_KEPT = 30
# Each task is looked at once in so many minutes, so that a tick looks at few of them.
ROUND = 60
# A transaction removes so many runs, and a tick so many in all: others wait for neither.
SLICE, AT_ONCE = 200, 2000


def prune(now: datetime) -> int:
    """Remove a part of what is too old and return how many runs that were; the next ticks remove the rest.

    Sessions whose time is over go as well. With ``RECORDS_DAYS`` 0 everything else stays for ever.
    """
    Session.objects.filter(expire_date__lt=now).delete()
    if not settings.RECORDS_DAYS:
        return 0
    limit = now - timedelta(days=settings.RECORDS_DAYS)
    old = Alarm.objects.filter(cleared_at__lt=limit).order_by("cleared_at").values_list("pk", flat=True)[:SLICE]
    Alarm.objects.filter(pk__in=list(old)).delete()
    removed = 0
    # Proofs first: a run stays for as long as there is a proof of its set.
    for found in (_proofs(limit, _turn(now)), _backups(limit, _turn(now))):
        removed += _removed(found, AT_ONCE - removed)
    if removed:
        log.info("removed the records of %s runs that ended before %s", removed, limit.date())
    return removed


def reached(moment: datetime, now: datetime) -> bool:
    """Tell whether records of ``moment`` may have been removed by ``now``."""
    return bool(settings.RECORDS_DAYS) and moment < now - timedelta(days=settings.RECORDS_DAYS)


def _turn(now: datetime) -> QuerySet[BackupTask]:
    """Return the tasks, deleted ones too, that are looked at in this minute."""
    minute = int(now.astimezone(UTC).timestamp()) // 60 % ROUND
    return BackupTask.all_tasks.order_by().annotate(turn=Mod("pk", ROUND)).filter(turn=minute)


def _proofs(limit: datetime, tasks: QuerySet[BackupTask]) -> QuerySet[Run]:
    """Return the old proofs of sets that were removed."""
    gone = Q(subject__set_removed_at__isnull=False)
    return Run.objects.filter(gone, task__in=tasks.values("pk"), kind__in=PROOFS, ended_at__lt=limit)


def _backups(limit: datetime, tasks: QuerySet[BackupTask]) -> QuerySet[Run]:
    """Return the old backup runs of which nothing is needed any more."""
    mine = Run.objects.filter(task_id=OuterRef("task_id"), kind=Kind.BACKUP).order_by("-pk")
    newest = Subquery(mine.values("pk")[NEWEST_KEPT - 1 : NEWEST_KEPT])
    files = BackupFile.objects.filter(run=OuterRef("pk"), removed_at__isnull=True)
    return Run.objects.filter(
        Q(verified_at__isnull=True) | Q(set_removed_at__isnull=False),
        ~Exists(files),
        ~Exists(Run.objects.filter(subject=OuterRef("pk"))),
        ~Exists(Restoration.all_restorations.filter(source_run=OuterRef("pk"))),
        task__in=tasks.values("pk"),
        kind=Kind.BACKUP,
        ended_at__lt=limit,
        pk__lt=newest,
    ).exclude(state__in=ACTIVE)


def _removed(found: QuerySet[Run], at_most: int) -> int:
    """Remove what was found, oldest first, slice by slice, and return how many runs that were."""
    keys = iter(list(found.order_by("pk").values_list("pk", flat=True)[:at_most]))
    removed = 0
    while part := list(islice(keys, SLICE)):
        with transaction.atomic():
            BackupFile.objects.filter(run__in=part).delete()
            removed += Run.objects.filter(pk__in=part).delete()[1].get("tasks.Run", 0)
    return removed
