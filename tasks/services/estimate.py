"""How much room a task will need at its destination."""

from __future__ import annotations

from collections.abc import Callable

from storage.checks import Estimate
from storage.errors import StoreError
from tasks import sources
from tasks.engine import record
from tasks.engine.snapshot import service_spec
from tasks.errors import SourceError
from tasks.models import BackupTask, Service


def room_needed(task: BackupTask, services: list[Service], copies: int) -> Callable[[], Estimate | None]:
    """Return a function that tells the room for the sets still to come; it does not use the database.

    After the first run a set is taken to be as large as the last one; before it as large as its source, which is too
    much rather than too little. None where the source cannot be read.
    """
    kept = record.kept_sets(task.pk).values_list("size", flat=True) if task.pk else []
    sizes = [size for size in kept if size]
    # A new set is stored before the oldest one goes.
    sets = max(1, copies - len(sizes))
    if sizes:
        known = Estimate(sizes[0], sets)
        return lambda: known
    source = sources.get(task.data_source)
    specs = [service_spec(service) for service in services if service.nodes.all()]

    def survey() -> Estimate | None:
        try:
            size = sum(source.survey(spec).bytes for spec in specs)
        except (SourceError, StoreError):
            return None
        return Estimate(size, sets) if size else None

    return survey
