"""Bringing the raised alarms of one type to those that should be."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from datetime import datetime
from itertools import islice

from tasks import alarms
from tasks.alarms import Told
from tasks.models import BackupTask

# Raised and cleared by one tick, each: after a long outage there may be thousands, and the tick must not take long.
AT_ONCE = 100

Describe = Callable[[list[str]], Mapping[str, Told]]


def reconcile(code: str, wanted: Iterable[str], describe: Describe, now: datetime, changed: Container[str] = ()) -> int:
    """Have the alarm ``code`` raised of the subjects ``wanted`` and of no others; return how many are to be raised yet.

    ``describe`` tells of subjects that are new, ``AT_ONCE`` at most; one that it leaves out is not raised. What is
    raised already stays as it was told, but for subjects that ``changed`` since.
    """
    wanted = dict.fromkeys(wanted)
    raised = _raised(code)
    _clear(code, raised.keys() - wanted.keys(), now)
    new = [subject for subject in wanted if subject not in raised or subject in changed]
    for subject, told in describe(new[:AT_ONCE]).items():
        alarms.raise_alarm(code, subject, **vars(told), now=now)
    return max(0, len(new) - AT_ONCE)


def reconcile_told(code: str, wanted: Mapping[str, Told], now: datetime) -> int:
    """Do as ``reconcile``, and renew what is raised with another cause than it has now."""
    raised = _raised(code)
    _clear(code, raised.keys() - wanted.keys(), now)
    stale = [subject for subject, told in wanted.items() if raised.get(subject) != told.cause]
    for subject in stale[:AT_ONCE]:
        alarms.raise_alarm(code, subject, **vars(wanted[subject]), now=now)
    return max(0, len(stale) - AT_ONCE)


def tasks_of(subjects: Iterable[str]) -> dict[str, BackupTask]:
    """Return the tasks of subjects (``task 7``) that still are, with their clusters; one query."""
    keys = [int(subject.split()[1]) for subject in subjects]
    found = BackupTask.objects.select_related("cluster").in_bulk(keys)
    return {f"task {pk}": task for pk, task in found.items()}


def _raised(code: str) -> dict[str, str]:
    """Return the causes of the raised alarms by their subjects."""
    return dict(alarms.uncleared().filter(code=code).values_list("subject", "cause"))


def _clear(code: str, gone: Iterable[str], now: datetime) -> None:
    for subject in islice(sorted(gone), AT_ONCE):
        alarms.clear(code, subject, now=now)
