"""From proven archives to a set that counts: names that nobody has, the record, the final names, the proof on record.

The files are on record before they get their names, so that whatever a crash leaves in between is found and removed;
the set counts from the moment its proof is recorded under the lease.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from django.utils import timezone

from storage.base import Store
from storage.errors import AlreadyExists, StoreError
from tasks.engine import record
from tasks.engine.lease import Lease
from tasks.engine.oneservice import Sealed
from tasks.engine.snapshot import Snapshot
from tasks.errors import LeaseLost
from tasks.models import BackupFile
from tasks.naming import manifest_name
from tasks.sources.base import ServiceSpec, Survey

_SECOND = timedelta(seconds=1)


def with_free_names(snapshot: Snapshot, surveys: list[tuple[ServiceSpec, Survey]], store: Store) -> Snapshot:
    """Return ``snapshot`` with an execution time whose names are neither on record nor at the destination.

    The seed's names tell runs apart by the second of the console's clock, which repeats an hour in autumn, may be set
    back, and is longer than a short run. The next free second is taken. Capitals make no difference on some servers.
    """
    recorded = BackupFile.objects.filter(run__task_id=snapshot.task_id, directory=snapshot.directory)
    taken = {name.lower() for name in recorded.values_list("name", flat=True)}
    taken |= {entry.name.lower() for entry in store.list(snapshot.directory)}
    candidate = snapshot
    while any(name.lower() in taken for name in _names(candidate, surveys)):
        candidate = replace(candidate, started=candidate.started + _SECOND)
    return candidate


def _names(snapshot: Snapshot, surveys: list[tuple[ServiceSpec, Survey]]) -> list[str]:
    archives = [snapshot.archive_name(service, survey.version) for service, survey in surveys]
    return archives + [manifest_name(name) for name in archives]


def publish(lease: Lease, snapshot: Snapshot, sealed: list[Sealed], store: Store, info: Callable[[str], None]) -> None:
    """Give all archives their final names and record the set as proven.

    Raises ``LeaseLost`` where the run no longer belongs to this worker, and errors of the destination.
    """
    if not record.announce(lease.run_id, lease.token, [_file_of(one, snapshot, store) for one in sealed]):
        raise LeaseLost("The run no longer belonged to this worker when its files were to be published.")
    for position, one in enumerate(sealed):
        try:
            path = one.publish(lambda name: _take_back(store, snapshot.directory, name))
        except BaseException as error:
            _forget(lease.run_id, sealed, position, error)
            raise
        info(f"Published as {path}.")
    size = sum(one.result.size for one in sealed)
    if not record.prove(lease.run_id, lease.token, timezone.now(), size):
        raise LeaseLost("The run no longer belonged to this worker when its files were published.")


def _take_back(store: Store, directory: str, name: str) -> None:
    with suppress(StoreError):
        store.delete(directory, name)


def _forget(run_id: int, sealed: list[Sealed], position: int, error: BaseException) -> None:
    """Strike off the record what certainly never got its final name: it is not ours under that name.

    An error may come although the destination did rename; that file stays on record, for the sweeping to look.
    """
    never = sealed[position:] if isinstance(error, AlreadyExists) else sealed[position + 1 :]
    BackupFile.objects.filter(run_id=run_id, name__in=[one.name for one in never]).delete()


def _file_of(one: Sealed, snapshot: Snapshot, store: Store) -> BackupFile:
    """Return the record of an archive that is about to be published."""
    return BackupFile(
        run_id=snapshot.run_id,
        service=one.service.name,
        directory=snapshot.directory,
        name=one.name,
        path=store.full_path(snapshot.directory, one.name),
        size=one.result.size,
        sha256=one.result.sha256,
        members=one.result.members,
        source_bytes=one.result.source_bytes,
        # They come from files of the source, and columns have an end.
        version=one.survey.version[:64],
        cluster_id=one.survey.cluster_id[:64],
    )
