"""Putting right what a clock that was ahead has left: a machine may start with a wrong time and be corrected later.

What was recorded while the clock was ahead lies in the future afterwards: a task would not be started, a lost run
would hold its cluster, an offer would stay open, for as long as the clock was ahead. Nothing is done twice by this: an
occurrence that was on record stays unique.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import F, Q

from tasks.engine.due import IS_DUE
from tasks.engine.lease import lease_end
from tasks.models import BackupTask, Run
from tasks.states import PeriodUnit, RunState

log = logging.getLogger(__name__)
# Clocks of several hosts may differ by this much without anybody having set one.
SKEW = timedelta(seconds=60)
# A day is shorter by so much at most where the clocks of a zone are put forward.
SHIFT = timedelta(hours=3)
# Where tasks have more different periods than this, each next start is looked at.
PERIODS = 200


def put_right(now: datetime) -> int:
    """Bring leases, offers and next starts that lie further ahead than they can back to ``now``; return how many."""
    return _leases(now) + _offers(now) + _next_starts(now) + _expectations()


def _leases(now: datetime) -> int:
    """Shorten leases to a whole one from now: a living worker renews it in time, and a lost one is given up."""
    longest = lease_end(now) + SKEW
    return Run.objects.filter(state=RunState.RUNNING, lease_until__gt=longest).update(lease_until=lease_end(now))


def _offers(now: datetime) -> int:
    return Run.objects.filter(state=RunState.WAITING, offered_at__gt=now + SKEW).update(offered_at=None)


def _next_starts(now: datetime) -> int:
    """Set the next start of each task that would miss an occurrence before it."""
    moved = 0
    later = BackupTask.objects.filter(IS_DUE, _far(now), next_run_at__gt=now + SKEW)
    for task in later.only("mode", "started", "period", "period_unit", "next_run_at"):
        schedule = task.schedule
        if schedule is None or task.next_run_at is None:
            continue
        wanted = schedule.first_after(now)
        if wanted >= task.next_run_at:
            continue
        same = BackupTask.objects.filter(IS_DUE, pk=task.pk, next_run_at=task.next_run_at)
        moved += same.update(next_run_at=wanted)
        log.warning("the next start of task %s lay at %s: the clock was set back", task.pk, task.next_run_at)
    return moved


def _far(now: datetime) -> Q:
    """Return the condition for starts so far ahead that there may be one before: of thousands of tasks few are."""
    periods = BackupTask.objects.filter(IS_DUE).order_by().values_list("period", "period_unit").distinct()
    far = Q(pk=None)
    for period, unit in periods[: PERIODS + 1]:
        length = timedelta(hours=period * (1 if unit == PeriodUnit.HOURS else 24))
        far |= Q(period=period, period_unit=unit, next_run_at__gt=now + length - SHIFT)
    return far if len(far) <= PERIODS + 1 else Q()


def _expectations() -> int:
    """Expect no success later than from the next start: the last one may have come while the clock was ahead."""
    return BackupTask.objects.filter(IS_DUE, expected_at__gt=F("next_run_at")).update(expected_at=F("next_run_at"))
