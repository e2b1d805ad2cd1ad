"""How far it is proven that a task's sets can be restored, in words for the head of View History."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tasks.badges import badge
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
    """Return what the badge of the list says, with what stands behind it."""
    found = badge(task, now)
    if found.at is None:
        return Standing("Not proven yet", details=("The archive was not read back",), warn=True)
    if found.at == task.last_rehearsed_at:
        word, details = "Proven", _rehearsed(rehearsal)
    elif found.at == task.last_checked_at:
        word, details = found.word, ["Every byte was as it was written", *_not_rehearsed(task)]
    else:
        word, details = found.word, ["Read back when it was written"]
    late = bool(found.why) and not task.proof_problem
    return Standing(word, found.at, (*details, *([found.why] if late else [])), late)


def _rehearsed(rehearsal: Run | None) -> list[str]:
    if rehearsal is None or rehearsal.duration is None:
        return ["Rehearsed"]
    took = f"Rehearsed in {format_duration(rehearsal.duration)}"
    return [took, *([rehearsal.reason.rstrip(".")] if rehearsal.reason else [])]


def _not_rehearsed(task: BackupTask) -> list[str]:
    return [f"Rehearsed {stamp(task.last_rehearsed_at)}" if task.last_rehearsed_at else "Not rehearsed yet"]
