"""How far it is proven that a task's sets can be restored, in words for the head of View History."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tasks.models import BackupTask, Run
from tasks.moments import stamp
from tasks.units import format_duration


@dataclass(frozen=True)
class Standing:
    """``word`` and since when, what stands below it, and whether somebody should look into it."""

    word: str
    at: datetime | None = None
    details: tuple[str, ...] = ()
    warn: bool = False


def standing(task: BackupTask, kept: Sequence[Run], rehearsal: Run | None, now: datetime) -> Standing:
    """Return the strongest proof of a task's sets, of which ``kept`` (newest first) count.

    ``rehearsal`` is the last one that ended well. A damaged set, or a proof that failed, comes before every proof.
    """
    if not kept:
        return Standing("Nothing to restore", details=("No set is kept",), warn=bool(task.last_run_id))
    found = _proof(task, rehearsal, now)
    if task.proof_problem:
        earlier = (f"{found.word} {stamp(found.at)}",) if found.at else ()
        return Standing("In doubt", details=(task.proof_problem, *earlier), warn=True)
    if kept[0].healthy is False:
        sick = "IoTDB was not well when the newest set was taken"
        return Standing(found.word, found.at, (*found.details, sick), True)
    return found


def _proof(task: BackupTask, rehearsal: Run | None, now: datetime) -> Standing:
    if task.last_rehearsed_at:
        details = _rehearsed(rehearsal)
        return _aged("Proven", task.last_rehearsed_at, details, task.rehearse_after_days, now)
    if task.last_checked_at:
        details = ("Every hash was equal; no rehearsal yet",)
        return _aged("Checked", task.last_checked_at, details, task.check_after_days, now)
    if task.last_verified_at:
        details = ("Read back when it was written",)
        return _aged("Verified", task.last_verified_at, details, task.check_after_days, now)
    return Standing("Not proven yet", details=("Only the size was compared",), warn=True)


def _rehearsed(rehearsal: Run | None) -> tuple[str, ...]:
    if rehearsal is None or rehearsal.duration is None:
        return ("Rehearsed",)
    result = rehearsal.reason.rstrip(".")
    took = f"Rehearsed in {format_duration(rehearsal.duration)}"
    return (f"{took}, {result[0].lower()}{result[1:]}" if result else took,)


def _aged(word: str, at: datetime, details: tuple[str, ...], limit: int | None, now: datetime) -> Standing:
    if limit is None or now - at <= timedelta(days=limit):
        return Standing(word, at, details)
    wanted = "every day" if limit == 1 else f"every {limit} days"
    return Standing(word, at, (*details, f"The task wants it {wanted}"), True)
