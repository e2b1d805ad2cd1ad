"""Directories out of the way and back: each rename is on record before it is done, so that it can be undone by anybody.

What is really on the disk decides, not the record: a worker may have been killed between the two. Nothing is removed
here that is the only copy of anything.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from storage.errors import ConsoleError
from tasks.engine.restore.places import Place, safety_name, staging_name
from tasks.engine.restore.target import Target, exists
from tasks.engine.restore.unpacking import NodeFault, make_parents
from tasks.hosts import Host
from tasks.models import Run, SafetyCopy

_DU_SECONDS = 60.0


def set_aside(run: Run, target: Target, host: Host, place: Place, digits: str) -> SafetyCopy:
    """Rename what is at ``place`` to its safety copy; a row without a path where nothing is there. Raises OSError."""
    assert run.restoration_id is not None
    there = exists(host, place.path)
    row = SafetyCopy.objects.create(
        restoration_id=run.restoration_id,
        run=run,
        cluster_id=run.cluster_id,
        node_id=target.pk,
        node_name=target.name,
        original=place.path,
        path=safety_name(place.path, digits) if there else "",
        staging=staging_name(place.path, run.pk),
    )
    if there:
        host.rename(row.original, row.path)
        row.made_at = timezone.now()
        row.save(update_fields=("made_at",))
    else:
        make_parents(host, place.path)
    return row


def swap_in(row: SafetyCopy, host: Host) -> None:
    """Give the restored directory its place. Raises OSError.

    On record before it is done: that the staging directory is gone then tells that what has the place is ours.
    """
    row.swapped_at = timezone.now()
    row.save(update_fields=("swapped_at",))
    host.rename(row.staging, row.original)


def put_back(row: SafetyCopy, host: Host, digits: str) -> bool:
    """Bring back what was there before; return whether anything had to be done. May be called any number of times.

    A restored directory that is in the place goes back to where it was unpacked, anything else there is kept under a
    name that says so. Raises ``NodeFault`` where what was there before cannot be found, and OSError.
    """
    if row.put_back_at is not None:
        return False
    moved = _back(row, host, digits) if row.path else _out(row, host, digits)
    row.put_back_at = timezone.now()
    row.save(update_fields=("put_back_at",))
    return moved


def _back(row: SafetyCopy, host: Host, digits: str) -> bool:
    if exists(host, row.path):
        if exists(host, row.original):
            _take_out(row, host, digits)
        host.rename(row.path, row.original)
        return True
    # Never renamed, or renamed back by a worker that was killed before it could say so: then the restored directory,
    # had it been there, lies where it was unpacked.
    if exists(host, row.original) and (row.swapped_at is None or exists(host, row.staging)):
        return False
    raise NodeFault(
        f"{row.path} on node {row.node_name}, the safety copy of {row.original}, is not there any more.",
        cure="Find out who moved it; nothing else was removed.",
    )


def _out(row: SafetyCopy, host: Host, digits: str) -> bool:
    """Take out what came to a place where nothing was."""
    if not exists(host, row.original):
        return False
    _take_out(row, host, digits)
    return True


def _take_out(row: SafetyCopy, host: Host, digits: str) -> None:
    """Move away what has the place: the restored directory to where it was unpacked, to be removed in the end."""
    ours = row.swapped_at is not None and not exists(host, row.staging)
    host.rename(row.original, row.staging if ours else f"{row.original}.failed-restore-{digits}")


def host_of(row: SafetyCopy, hosts: Mapping[int, Host]) -> Host:
    """Return the machine of a row; raise ``NodeFault`` where its node was deleted."""
    host = hosts.get(row.node_id or 0)
    if host is None:
        raise NodeFault(
            f"Node {row.node_name} was deleted, and the console does not know how to reach {row.original} any more.",
            cure="Add the node again, or rename the directories by hand.",
        )
    return host


def clear_staging(rows: Iterable[SafetyCopy], hosts: Mapping[int, Host]) -> list[str]:
    """Remove what was unpacked and is not needed; return sentences on what resists.

    To be called when all is in its place again: a staging directory is never the only copy then.
    """
    sentences = []
    for row in rows:
        try:
            host_of(row, hosts).remove_tree(row.staging)
        except OSError as error:
            sentences.append(f"{row.staging} on node {row.node_name} could not be removed: {error.strerror}.")
    return sentences


def keep(rows: Iterable[SafetyCopy], hosts: Mapping[int, Host], now: datetime) -> None:
    """Record how big the copies are, where that is quickly known, and until when they are kept."""
    until = now + timedelta(days=settings.SAFETY_COPY_DAYS)
    for row in rows:
        if row.path:
            SafetyCopy.objects.filter(pk=row.pk).update(keep_until=until, size=_size(host_of(row, hosts), row.path))


def _size(host: Host, path: str) -> int | None:
    try:
        done = host.run(f"du -sk -- {shlex.quote(path)}", _DU_SECONDS)
    except (OSError, ConsoleError):
        return None
    figure = done.output.split(None, 1)[:1]
    return int(figure[0]) * 1024 if done.status == 0 and figure and figure[0].isdecimal() else None
