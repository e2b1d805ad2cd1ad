"""Making runs of what is due: on time to be worked on, too late or overtaken as *Postponed* (design.md, decision 3).

A start that is more than ``MISFIRE_SECONDS`` late is not made up for; the next period follows, and one record says
what was missed (FusionInsight, admin_guide_000399). No burst follows an outage. During maintenance nothing is started:
each occurrence is on record as *Postponed* with that reason.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Q

from tasks.engine import totals
from tasks.engine.days import count_runs
from tasks.engine.record import OF_LAST_RUN, show_on_task, state_before
from tasks.maintenance import about
from tasks.manyrows import insert_each, made_of, update_each
from tasks.models import BackupTask, Maintenance, Run
from tasks.moments import stamp
from tasks.notify import notices
from tasks.schedule import late_by
from tasks.states import ACTIVE, Kind, RunState, Trigger
from tasks.units import format_duration

BATCH = 1000
# Of a task that is due; what is not among them would be fetched task by task.
_LOOKED_AT = (
    "id", "cluster_id", "mode", "started", "period", "period_unit", "next_run_at", "expected_at", "outcomes",
)  # fmt: skip
IS_DUE = Q(suspended=False, next_run_at__isnull=False)


def queue_due(now: datetime) -> int:
    """Make runs of all that is due at ``now`` and set the next starts; return how many tasks were due.

    Safe while another machine does the same: each batch holds its tasks locked, and an occurrence is unique. Where two
    may hold batches at the same time, and there is more than one, two threads do: while the database writes that of
    one, the other decides on its own. Runs of one tick then wait in the order of their due moments by batches only.
    """
    count = _queue_batch(now, BATCH)
    if count < BATCH:
        return count
    if not connection.features.has_select_for_update_skip_locked or connection.in_atomic_block:
        return count + _queue_others(now)
    with ThreadPoolExecutor(max_workers=1) as pool:
        beside = pool.submit(_queue_beside, now)
        count += _queue_others(now)
    return count + beside.result()


def _queue_others(now: datetime) -> int:
    count = handled = _queue_batch(now, BATCH)
    while handled == BATCH:
        handled = _queue_batch(now, BATCH)
        count += handled
    return count


def _queue_beside(now: datetime) -> int:
    """Do it in a thread, whose connection to the database nobody else closes."""
    try:
        return _queue_others(now)
    finally:
        connection.close()


@dataclass
class _Batch:
    """What becomes of the due tasks of one batch."""

    now: datetime
    active: dict[int, str]
    switch: Maintenance
    runs: list[Run] = field(default_factory=list)

    def decide(self, task: BackupTask) -> list[Run]:
        """Return the runs to record for ``task`` and set its next start."""
        schedule, first = task.schedule, task.next_run_at
        if schedule is None or first is None:
            task.next_run_at = None
            return []
        task.next_run_at = schedule.first_after(self.now)
        limit = timedelta(seconds=settings.MISFIRE_SECONDS)
        if late_by(first, self.now) <= limit:
            return [self._start(task, first)]
        # After an outage the newest occurrence may be in time still, and is not lost with those before it.
        newest = schedule.first_after(self.now - limit - timedelta(microseconds=1))
        missed = max(1, schedule.count_between(first, self.now - limit - timedelta(microseconds=1)))
        in_time = newest if first < newest <= self.now else None
        late = _run(task, first, RunState.POSTPONED, self.now)
        late.reason = _late(late_by(first, self.now), missed, in_time or task.next_run_at, first)
        late.error_code = "late"
        return [late, self._start(task, in_time)] if in_time else [late]

    def _start(self, task: BackupTask, occurrence: datetime) -> Run:
        if self.switch.on(self.now):
            if task.expected_at == occurrence:
                # Nobody expects a success of what was not to start.
                task.expected_at = task.next_run_at
            run = _run(task, occurrence, RunState.POSTPONED, self.now)
            run.error_code = "maintenance"
            run.reason = f"Postponed: maintenance, {about(self.switch)}. {_next(task.next_run_at)}"
            return run
        state = self.active.get(task.pk)
        if state is None:
            return _run(task, occurrence, RunState.WAITING, self.now)
        run = _run(task, occurrence, RunState.POSTPONED, self.now)
        doing = "running" if state == RunState.RUNNING else "waiting"
        run.error_code = "still-active"
        run.reason = f"Postponed: the run before was still {doing}. {_next(task.next_run_at)}"
        return run


def _queue_batch(now: datetime, size: int) -> int:
    with transaction.atomic():
        tasks = list(_locked_due(now, size))
        try:
            with transaction.atomic():
                _record(tasks, now)
        except IntegrityError:
            # A click made a run of one of them in this moment: one by one, so that only that one is looked at anew.
            for task in tasks:
                task.refresh_from_db()
                _record_alone(task, now)
    return len(tasks)


def _locked_due(now: datetime, size: int) -> list[BackupTask]:
    due = BackupTask.objects.filter(IS_DUE, next_run_at__lte=now).order_by("next_run_at", "pk")
    if connection.features.has_select_for_update_skip_locked:
        due = due.select_for_update(skip_locked=True, no_key=True)
    rows = due.values_list(*_LOOKED_AT)[:size]
    return [made_of(BackupTask, dict(zip(_LOOKED_AT, row, strict=True)), stored=True) for row in rows]


def _record_alone(task: BackupTask, now: datetime) -> None:
    for _ in range(2):
        try:
            with transaction.atomic():
                return _record([task], now)
        except IntegrityError:
            task.refresh_from_db()
    # The occurrence is on record already; only the next start was not set.
    schedule = task.schedule
    BackupTask.objects.filter(pk=task.pk).update(next_run_at=schedule and schedule.first_after(now))
    return None


def _record(tasks: list[BackupTask], now: datetime) -> None:
    """Write runs and next starts of the tasks; raise ``IntegrityError`` where one has a run that we did not see."""
    ids = [task.pk for task in tasks]
    backups = Run.objects.filter(task_id__in=ids, state__in=ACTIVE, kind=Kind.BACKUP)
    active = dict(backups.values_list("task_id", "state"))
    batch = _Batch(now, active, Maintenance.current())
    decided = {task.pk: batch.decide(task) for task in tasks}
    made = [run for runs in decided.values() for run in runs]
    _insert(made, now)
    count_runs(made)
    totals.add(run for run in made if run.state == RunState.POSTPONED)
    postponed: list[tuple[Run, str]] = []
    for task in tasks:
        for run in decided[task.pk]:
            # A run that is still worked on stays what the list shows.
            show_on_task(task, run, newest=task.pk not in active)
            if run.state == RunState.POSTPONED:
                postponed.append((run, state_before(task)))
    _write(tasks, {task.pk for task in tasks if decided[task.pk] and task.pk not in active}, batch.switch.on(now))
    notices.runs_ended(postponed, now)


def _write(tasks: list[BackupTask], shown: set[int], maintenance: bool) -> None:
    """Write what may have changed, for each column is in indexes; ``shown``: tasks with another newest run."""
    every = ("next_run_at", "outcomes", *(("expected_at",) if maintenance else ()))
    update_each(
        [task for task in tasks if task.pk in shown], (*every, *(name for name in OF_LAST_RUN if name not in every))
    )
    update_each([task for task in tasks if task.pk not in shown], every)


def _insert(runs: list[Run], now: datetime) -> None:
    """Insert runs and give them their keys, which an occurrence of a task names as well."""
    if not runs:
        return
    # The keys of ours are above all that are there; to look for a thousand tasks and moments takes longer.
    highest = Run.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    insert_each(runs)
    occurrences = {(run.task_id, run.scheduled_for): run for run in runs}
    made = Run.objects.filter(pk__gt=highest, queued_at=now).order_by()
    for pk, task_id, scheduled_for in made.values_list("pk", "task_id", "scheduled_for"):
        if (run := occurrences.get((task_id, scheduled_for))) is not None:
            run.pk = pk


_DEFAULTS = {column.attname: column.get_default() for column in Run._meta.concrete_fields}
# What may be changed in place is made anew for each run.
_MADE = [(column.attname, column.default) for column in Run._meta.concrete_fields if column.default in (dict, list)]


def _run(task: BackupTask, occurrence: datetime, state: RunState, now: datetime) -> Run:
    values = _DEFAULTS | {name: make() for name, make in _MADE}
    values |= {
        "task_id": task.pk,
        "cluster_id": task.cluster_id,
        "trigger": Trigger.SCHEDULE,
        "scheduled_for": occurrence,
        "queued_at": now,
        "state": state,
        "ended_at": now if state == RunState.POSTPONED else None,
    }
    run = made_of(Run, values, stored=False)
    run._state.fields_cache["task"] = task
    return run


def _late(late: timedelta, missed: int, following: datetime | None, first: datetime) -> str:
    limit = format_duration(settings.MISFIRE_SECONDS)
    if missed == 1:
        what = f"the start was {format_duration(late)} late (limit {limit})"
    else:
        what = f"{missed:,} starts were missed, the first at {stamp(first)} (limit {limit})"
    return f"Postponed: {what}. {_next(following)}"


def _next(moment: datetime | None) -> str:
    return f"The next run is {stamp(moment)}." if moment else ""
