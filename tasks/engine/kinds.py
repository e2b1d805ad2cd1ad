"""Which class carries out a run of which kind, and what is done for one whose worker was lost."""

from __future__ import annotations

from django.utils import timezone

from tasks.engine.checking import CheckSet
from tasks.engine.execution import Execution
from tasks.engine.lease import Lease
from tasks.engine.pipeline import Backup
from tasks.engine.rehearsing import Rehearsal
from tasks.engine.restore import settling
from tasks.engine.restore.restoring import RestoreSet
from tasks.engine.restore.rollback import RollBack
from tasks.engine.sweep import sweep_run
from tasks.models import Run
from tasks.states import Kind

EXECUTIONS: dict[str, type[Execution]] = {
    Kind.BACKUP: Backup,
    Kind.CHECK: CheckSet,
    Kind.REHEARSAL: Rehearsal,
    Kind.RESTORE: RestoreSet,
    Kind.ROLLBACK: RollBack,
}


def execute(lease: Lease) -> None:
    """Carry out the run of ``lease`` by its kind."""
    kind = Run.objects.values_list("kind", flat=True).get(pk=lease.run_id)
    EXECUTIONS[kind](lease).execute()


def after_loss(run_id: int) -> None:
    """Do for a run whose worker was lost what the worker cannot do any more."""
    sweep_run(run_id)
    now = timezone.now()
    settling.end_steps(run_id, now)
    settling.queue_rollbacks(now)
