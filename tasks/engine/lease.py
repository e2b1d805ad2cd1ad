"""The lease of a run: who works on it, until when it counts, and what becomes of a run whose worker was lost.

The queue may deliver a run twice, late, or to two workers at once; the claim is one conditional update, and every
later write names the token that the claim handed out (design.md, decision 1).
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from tasks.engine.record import copy_to_task, give_up, lock_task_of, write_line
from tasks.models import Maintenance, Run
from tasks.moments import stamp
from tasks.states import Kind, RunState, Trigger

# What starts during maintenance all the same: the way back that the console itself orders for a restoration that was
# under way and lost its worker. Left half way IoTDB would stay down.
_GOES_ON = Q(kind=Kind.ROLLBACK, trigger=Trigger.CONSOLE)


@dataclass(frozen=True)
class Lease:
    """The right to work on one run, for as long as it is renewed."""

    run_id: int
    token: str


@dataclass(frozen=True)
class RenewResult:
    """``held``: the run is still ours. ``stop_requested_by``: who wants it stopped, or empty."""

    held: bool
    stop_requested_by: str = ""


def worker_name() -> str:
    """Return ``host/pid`` of this process, as it stands in the record of a run."""
    return f"{settings.HOST_NAME}/{os.getpid()}"


def lease_end(now: datetime) -> datetime:
    """Return until when a lease counts that is given or renewed at ``now``."""
    return now + timedelta(seconds=settings.LEASE_SECONDS)


def ahead_of() -> Q:
    """Return the condition for a run that stands in the line before the one that a query refers to (``OuterRef``)."""
    earlier = Q(queued_at__lt=OuterRef("queued_at")) | Q(queued_at=OuterRef("queued_at"), pk__lt=OuterRef("pk"))
    # Said once more without a choice, so that the database can go by the index of the line.
    return Q(queued_at__lte=OuterRef("queued_at")) & earlier


def first_in_line(switch: Maintenance, now: datetime) -> QuerySet[Run]:
    """Return the runs that may start as far as their clusters go: each is the first of one that has none running.

    While ``switch`` is on at ``now``, only what goes on during maintenance may start, and stands in the line.
    """
    may = _GOES_ON if switch.on(now) else Q()
    line = Run.objects.filter(cluster_id=OuterRef("cluster_id"))
    return Run.objects.filter(
        may,
        ~Exists(line.filter(ahead_of(), may, state=RunState.WAITING)),
        ~Exists(line.filter(state=RunState.RUNNING)),
        state=RunState.WAITING,
    )


def free_slots() -> int:
    """Return how many more runs may be worked on at the same time, over all clusters; never negative."""
    return max(0, settings.RUN_SLOTS - Run.objects.filter(state=RunState.RUNNING).count())


def claim(run_id: int, now: datetime) -> Lease | None:
    """Take a waiting run and return its lease; None when it is not to be had.

    Of any number of callers at the same time one gets it. A run is to be had when it waits, is the first in the line
    of its cluster, nothing runs there, and a slot is free. One that has to wait longer is offered again later. The
    maintenance switch is held meanwhile: once it was set, nothing is claimed any more.
    """
    token = secrets.token_hex(16)
    try:
        with transaction.atomic():
            ours = first_in_line(Maintenance.locked(), now).filter(pk=run_id)
            if not free_slots():
                Run.objects.filter(pk=run_id, state=RunState.WAITING).update(offered_at=None)
                return None
            lock_task_of(run_id)
            taken = ours.update(
                state=RunState.RUNNING,
                lease_token=token,
                lease_until=lease_end(now),
                started_at=now,
                worker=worker_name(),
            )
            if not taken:
                Run.objects.filter(pk=run_id, state=RunState.WAITING).update(offered_at=None)
                return None
            copy_to_task(Run.objects.get(pk=run_id))
    except IntegrityError:
        # Another run of the cluster was claimed between the look and the write: the constraint decides.
        return None
    return Lease(run_id, token)


def renew(lease: Lease, now: datetime, **progress: Any) -> RenewResult:
    """Make the lease count for another ``LEASE_SECONDS`` and write the progress fields of the run besides."""
    held = Run.objects.filter(pk=lease.run_id, lease_token=lease.token, state=RunState.RUNNING)
    if not held.update(lease_until=lease_end(now), **progress):
        return RenewResult(False)
    stop = held.filter(stop_requested_at__isnull=False).values_list("stop_requested_by", flat=True).first()
    return RenewResult(True, "" if stop is None else stop or "somebody")


def reap(now: datetime) -> list[int]:
    """End the runs whose lease ran out and return their ids; what they left at the destination is still there."""
    lost = Run.objects.filter(state=RunState.RUNNING, lease_until__lt=now)
    return [run.pk for run in lost if _give_up(run, now)]


@transaction.atomic
def _give_up(run: Run, now: datetime) -> bool:
    """End one run unless its worker renewed the lease since we looked; from here on its token is void."""
    lock_task_of(run.pk)
    fence = secrets.token_hex(16)
    same = Run.objects.filter(pk=run.pk, state=RunState.RUNNING, lease_token=run.lease_token)
    if not same.filter(lease_until__lt=now).update(lease_token=fence):
        return False
    run.refresh_from_db()
    reason = _reason(run)
    write_line(run.pk, "ERROR", reason)
    return give_up(run, reason, now)


def _reason(run: Run) -> str:
    assert run.lease_until is not None
    lost_at = stamp(run.lease_until, seconds=True)
    return (
        f"The worker {run.worker} was lost: nothing was heard of it by {lost_at}. The process was killed, the machine "
        "was restarted, it ran out of memory, or it could not reach the database. Look at the server's log of that "
        "time, then start it again."
    )
