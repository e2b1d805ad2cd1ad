"""What a run leaves behind in the database: its end, its log, and what the list shows of it.

Every write to a running run is guarded by its lease token, so that a worker that was given up for dead cannot change
the record of the run afterwards (design.md, decision 1).
"""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery, Sum

from tasks.engine import totals
from tasks.engine.days import CODES, count_runs
from tasks.engine.outcome import Outcome as Outcome
from tasks.engine.raising import tell
from tasks.engine.restore import settling
from tasks.models import BackupFile, BackupTask, LogLine, Restoration, Run
from tasks.models.run import RESTORES
from tasks.notify import notices
from tasks.overdue import expected_after
from tasks.states import ACTIVE, GOOD, MOVES, Kind, RunState

_run_log = logging.getLogger("tasks.run")
_LEVELS = {"INFO": logging.INFO, "WARN": logging.WARNING, "ERROR": logging.ERROR}
OUTCOMES_KEPT = 30
OUTCOME_STATES = {code: state for state, code in CODES.items()}
# Runs whose set is at its destination, and those of them whose set counts. A run whose set was proven ends as a good
# one and as nothing else (``finish``), so no state is named: by one the database would go through all good runs that
# ever were, and not by the indexes of the sets that are kept.
STORED = Q(kind=Kind.BACKUP, verified_at__isnull=False, ended_at__isnull=False, set_removed_at__isnull=True)
KEPT = STORED & Q(damaged_at__isnull=True)


def write_line(run_id: int, level: str, text: str) -> None:
    """Add one line to the log of a run, and to the server's log for those who collect it."""
    LogLine.objects.create(run_id=run_id, level=level, text=text)
    _run_log.log(_LEVELS[level], "%s", text, extra={"run": run_id})


def lock_task_of(run_id: int) -> None:
    """Lock the task or restoration task of a run, in a transaction, before the run itself is changed.

    Whoever changes runs locks their task first: the tick, the claim, the verbs and the end of a run. With two orders
    PostgreSQL met deadlocks between a click and the tick.
    """
    run = Run.objects.filter(pk=run_id)
    list(BackupTask.all_tasks.select_for_update().filter(pk__in=run.values("task_id")).values_list("pk"))
    mine = Restoration.all_restorations.filter(pk__in=run.values("restoration_id"))
    list(mine.select_for_update().values_list("pk"))


@transaction.atomic
def finish(run_id: int, outcome: Outcome, now: datetime, *, token: str | None = None) -> bool:
    """End a run and copy its result onto its task; return False when the run was not ours to end.

    ``token`` is the lease of the worker that ends it; None ends a run that waits, or one whose lease is given up by
    the caller. Nothing changes unless the move is allowed by the table of states. A run whose set is published and
    proven never ends as failed or stopped, whatever came after: the set would be there and count for nothing. Nor does
    a restoration that had begun to change its target (``settling``).
    """
    lock_task_of(run_id)
    if outcome.state not in GOOD and Run.objects.filter(pk=run_id, verified_at__isnull=False).exists():
        reason = f"{outcome.reason} The set had been published and proven before."
        outcome = Outcome(RunState.WARNINGS, reason, outcome.code)
    for run in Run.objects.filter(pk=run_id, kind__in=RESTORES):
        outcome = settling.honest(run, outcome)
    befores = [before for before, afters in MOVES.items() if outcome.state in afters]
    rows = Run.objects.filter(pk=run_id, state__in=befores)
    if token is not None:
        rows = rows.filter(lease_token=token, state=RunState.RUNNING)
    changed = rows.update(
        state=outcome.state,
        reason=outcome.reason,
        error_code=outcome.code,
        ended_at=now,
        step="",
        lease_until=None,
    )
    if not changed:
        return False
    run = Run.objects.select_related("task__cluster", "restoration", "cluster").get(pk=run_id)
    copy_to_task(run)
    tell(run, now, outcome.error)
    notices.run_ended(run, now)
    if outcome.state in GOOD and run.kind == Kind.BACKUP:
        count_sets(run.task_id)
    totals.add([run])
    return True


# The first ones are all that a run changes which did not end well.
OF_LAST_RUN = (
    "last_run", "last_state", "last_started_at", "last_ended_at", "last_bytes", "last_reason", "outcomes",
)  # fmt: skip
SHOWN = (
    *OF_LAST_RUN, "last_success_at", "last_success_bytes", "last_success_seconds", "last_verified_at", "expected_at",
)  # fmt: skip


@transaction.atomic
def copy_to_task(run: Run) -> None:
    """Copy onto the task what the list shows of ``run``, its newest run; a proof changes nothing of that.

    Called in the transaction that changed the run, with the task's row locked where the database can.
    """
    if run.kind in RESTORES:
        _copy_to_restoration(run)
    if run.kind != Kind.BACKUP:
        return
    task = BackupTask.all_tasks.select_for_update().get(pk=run.task_id or 0)
    show_on_task(task, run)
    task.save(update_fields=SHOWN)
    count_runs([run])


def _copy_to_restoration(run: Run) -> None:
    Restoration.all_restorations.filter(pk=run.restoration_id or 0).update(
        last_run=run,
        last_state=run.state,
        last_started_at=run.began,
        last_ended_at=run.ended_at,
        last_reason=run.reason,
    )


def show_on_task(task: BackupTask, run: Run, *, newest: bool = True) -> None:
    """Set the fields ``SHOWN`` of ``task`` from ``run``; one that is not its newest counts in the outcomes only."""
    if run.state not in ACTIVE:
        task.outcomes = (task.outcomes + CODES[RunState(run.state)])[-OUTCOMES_KEPT:]
    if not newest:
        return
    task.last_run = run
    task.last_state = run.state
    task.last_started_at = run.started_at or run.scheduled_for or run.queued_at
    task.last_ended_at = run.ended_at
    task.last_bytes = run.size
    task.last_reason = run.reason
    if run.state in GOOD:
        task.last_success_at = run.ended_at
        task.last_success_bytes = run.size
        task.last_success_seconds = run.duration.total_seconds() if run.duration is not None else None
        task.last_verified_at = run.verified_at if run.read_back else None
        task.expected_at = run.ended_at and expected_after(task, run.ended_at)


def state_before(task: BackupTask) -> str:
    """Return how the run before the last one that ended was, as it stands in the outcomes; empty where none was."""
    return OUTCOME_STATES.get(task.outcomes[-2:-1], "")


@transaction.atomic
def announce(run_id: int, token: str, files: list[BackupFile]) -> bool:
    """Put files on record that are about to get their final names; return False when the lease is gone."""
    # Locked, so that nobody gives the run up and sweeps between the look and the record.
    held = Run.objects.select_for_update().filter(pk=run_id, state=RunState.RUNNING, lease_token=token)
    if not held.values_list("pk").first():
        return False
    BackupFile.objects.bulk_create(files)
    return True


@transaction.atomic
def prove(run_id: int, token: str, now: datetime, size: int) -> bool:
    """Record that the files of a run are published and proven; return False when the lease is gone.

    From here on the set counts, whatever becomes of the worker. ``size`` in bytes is that of all its files.
    """
    held = Run.objects.filter(pk=run_id, state=RunState.RUNNING, lease_token=token)
    if not held.update(verified_at=now, size=size):
        return False
    BackupFile.objects.filter(run_id=run_id).update(verified_at=now)
    return True


def give_up(run: Run, reason: str, now: datetime) -> bool:
    """End a run whose worker was lost: failed, or, where its set was proven already, good with a warning."""
    return finish(run.pk, Outcome(RunState.FAILED, reason, "worker-lost"), now, token=run.lease_token)


def count_sets(task_id: int | None) -> int:
    """Recount the sets that a task keeps where its newest one lies, store count and bytes on it, return the count."""
    kept = sets_beside_newest(task_id).order_by().aggregate(count=Count("pk"), bytes=Sum("size"))
    BackupTask.all_tasks.filter(pk=task_id or 0).update(sets_kept=kept["count"], bytes_kept=kept["bytes"] or 0)
    return int(kept["count"])


def sets_beside_newest(task_id: int | None) -> QuerySet[Run]:
    """Return the kept sets of a task that lie where its newest one does, newest first."""
    kept = kept_sets(task_id)
    newest = BackupFile.objects.filter(run=Subquery(kept.values("pk")[:1])).order_by("pk").first()
    if newest is None:
        return kept
    beside = BackupFile.objects.filter(run=OuterRef("pk"), path__startswith=newest.path.removesuffix(newest.name))
    return kept.filter(Exists(beside))


def kept_sets(task_id: int | None) -> QuerySet[Run]:
    """Return the runs of a task whose set counts: verified, still at its destination, not found damaged; newest first.

    The number of a run tells which one is newer; its time does not, where the clock was set back.
    """
    return Run.objects.filter(KEPT, task_id=task_id).order_by("-id")


def stored_sets(task_id: int | None) -> QuerySet[Run]:
    """Return the runs of a task whose set is at its destination, those included that a check found damaged."""
    return Run.objects.filter(STORED, task_id=task_id).order_by("-id")
