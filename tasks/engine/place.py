"""Where a set lies, and opening that place as it was recorded; nothing is written there."""

from __future__ import annotations

from typing import Any

from storage.base import PathType, Store
from storage.registry import get_path_type
from tasks.errors import NothingRecorded
from tasks.models import BackupTask, Run


def open_set(run: Run) -> Store:
    """Open the destination at which the set of a backup ``run`` was published, for reading.

    The task may have been configured to another server since. Its password is for that one, and is not sent to the
    one before. Raises errors of ``storage.errors`` and ``vault.KeyLost``.
    """
    parameters, task = run.parameters, run.task
    if not parameters or task is None:
        raise NothingRecorded(f"Where the set of run {run.pk} lies was not recorded.")
    path_type = get_path_type(parameters["path_type"])
    if path_type.secret_fields and _moved(path_type, run, task):
        raise NothingRecorded(
            f"The set lies at {path_type.summary(parameters['destination'])}, where the task stored its sets before it "
            "was configured to another server or user. The password for it is no longer kept.",
            cure="Restore from it with a restoration task, which asks for the password.",
        )
    return path_type.connect_to_read(destination_of(run, task), task.secrets())


def destination_of(run: Run, task: BackupTask) -> dict[str, Any]:
    """Return the destination as it was recorded, with the host key that has been confirmed for the server since."""
    then: dict[str, Any] = dict(run.parameters["destination"])
    path_type = get_path_type(run.parameters["path_type"])
    if not _moved(path_type, run, task):
        then |= {name: task.destination[name] for name in path_type.trusted_fields if name in task.destination}
    return then


def lies_elsewhere(run: Run, task: BackupTask) -> bool:
    """Tell whether the set lies where the task's password does not lead any more."""
    path_type = get_path_type(run.parameters.get("path_type", task.path_type))
    return bool(path_type.secret_fields) and _moved(path_type, run, task)


def _moved(path_type: PathType, run: Run, task: BackupTask) -> bool:
    then = run.parameters.get("destination", {})
    bound = getattr(path_type.form_class, "bound_to", ())
    return path_type.name != task.path_type or any(then.get(name) != task.destination.get(name) for name in bound)
