"""How the end of a run gets on record, also while the database is away, and in which words."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import replace

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from storage.errors import NoSpace, StoreFault
from tasks import audit
from tasks.dbaway import AWAY
from tasks.engine import record
from tasks.engine.keeper import clock
from tasks.engine.lease import Lease
from tasks.engine.record import Outcome
from tasks.errors import Unreadable
from tasks.models import BackupTask, Run
from tasks.moments import stamp
from tasks.states import GOOD, Kind, RunState
from tasks.units import format_duration
from tasks.vault import KeyLost

ASK_AGAIN = 1.0  # seconds between two tries to record an end while the database is away
PAUSED = "The task is suspended until then; resume it afterwards."


def end(lease: Lease, outcome: Outcome, clean_up: Callable[[], None] | None) -> None:
    """Record the end in log and database, and let a run that ended badly remove what it left behind.

    A destination that refused the password is not asked a second time for the sake of nothing: accounts get locked.
    """
    _patiently(lambda: _record_end(lease, outcome))
    if outcome.state not in GOOD and clean_up is not None:
        clean_up()


def _record_end(lease: Lease, outcome: Outcome) -> None:
    """Write the last lines of the log and the end, both or neither; nothing where the run is no longer ours."""
    with transaction.atomic():
        record.lock_task_of(lease.run_id)
        if outcome.code == KeyLost.code and _paused(lease.run_id):
            outcome = replace(outcome, reason=f"{outcome.reason} {PAUSED}")
        for level, text in _last_lines(lease.run_id, outcome):
            record.write_line(lease.run_id, level, text)
        if not record.finish(lease.run_id, outcome, timezone.now(), token=lease.token):
            transaction.set_rollback(True)


def _paused(run_id: int) -> bool:
    """Suspend the periodic task of a run whose password nobody can decrypt: every start would fail in the same way."""
    task = BackupTask.all_tasks.filter(runs=run_id, runs__kind=Kind.BACKUP).first()
    if task is None or not task.periodic or task.suspended:
        return False
    BackupTask.all_tasks.filter(pk=task.pk).update(
        suspended=True, next_run_at=None, expected_at=None, version=task.version + 1
    )
    audit.record(audit.CONSOLE, "suspend task", task, note="Its stored password cannot be decrypted.")
    return True


def _last_lines(run_id: int, outcome: Outcome) -> list[tuple[str, str]]:
    if outcome.state not in GOOD:
        return [("INFO" if outcome.state == RunState.STOPPED else "ERROR", outcome.reason)]
    run = Run.objects.select_related("task").get(pk=run_id)
    lines = []
    if run.stop_requested_by and run.kind == Kind.BACKUP:
        text = f"{run.stop_requested_by} pressed Stop when the set was published already. The set stays."
        lines.append(("INFO", text))
    text = f"{outcome.state.label} in {format_duration(timezone.now() - run.began)}."
    if run.kind == Kind.BACKUP and run.task and run.task.next_run_at:
        text += f" The next run is {stamp(run.task.next_run_at)}."
    return [*lines, ("INFO", text)]


def _patiently(work: Callable[[], None]) -> None:
    """Do ``work``, again and again while the database is away, for as long as the lease may last."""
    until = clock() + settings.LEASE_SECONDS
    while True:
        try:
            return work()
        except AWAY:
            connection.close()
            if clock() >= until:
                raise
            time.sleep(ASK_AGAIN)


def unforeseen(run_id: int, error: Exception) -> tuple[str, str]:
    """Return message and code for an error that nobody translated; its text may hold anything and is not shown."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk that holds {settings.DATA_DIR} is full. Free space there.", NoSpace.code
    if isinstance(error, (DatabaseError, InterfaceError)):
        return (
            "The console's own database could not be used in the middle of the run. Look at the database server, or, "
            f"with SQLite, at the disk that holds {settings.DATA_DIR}; then press Back Up Now.",
            "database",
        )
    if isinstance(error, PermissionError):
        return "The console may not read or write a file. The server's log names it.", Unreadable.code
    return (
        f"The run failed for a reason that the console did not foresee ({type(error).__name__}). "
        f"The server's log holds the details under run {run_id}.",
        StoreFault.code,
    )
