"""Which class carries out a run of which kind, and what is done for one whose worker was lost."""

from __future__ import annotations

from tasks.engine.checking import CheckSet
from tasks.engine.execution import Execution
from tasks.engine.lease import Lease
from tasks.engine.pipeline import Backup
from tasks.engine.sweep import sweep_run
from tasks.models import Run
from tasks.states import Kind

EXECUTIONS: dict[str, type[Execution]] = {
    Kind.BACKUP: Backup,
    Kind.CHECK: CheckSet,
}


def execute(lease: Lease) -> None:
    """Carry out the run of ``lease`` by its kind."""
    kind = Run.objects.values_list("kind", flat=True).get(pk=lease.run_id)
    EXECUTIONS[kind](lease).execute()


def after_loss(run_id: int) -> None:
    """Do for a run whose worker was lost what the worker cannot do any more."""
    sweep_run(run_id)
