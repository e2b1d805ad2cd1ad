"""Removing safety copies whose time is over, or that somebody wants removed."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.utils import timezone

from storage.errors import ConsoleError
from tasks.engine.restore.standing import expired, unsettled
from tasks.engine.restore.target import target_of
from tasks.hosts import connect
from tasks.models import LogLine, SafetyCopy

log = logging.getLogger(__name__)
AGAIN = timedelta(hours=1)


def remove_expired(now: datetime) -> int:
    """Remove the copies that are due and return how many; what resists is tried again in an hour.

    None is removed of a cluster whose state nobody knows: it may be the only good copy there is.
    """
    removed = 0
    for row in expired(now).select_related("node__service", "run"):
        if unsettled(row.cluster_id) is not None:
            continue
        try:
            _remove(row)
        except (OSError, ConsoleError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            SafetyCopy.objects.filter(pk=row.pk).update(keep_until=now + AGAIN)
            _write(row, "WARN", f"The safety copy {row.path} on node {row.node_name} could not be removed yet. {why}")
            continue
        SafetyCopy.objects.filter(pk=row.pk).update(removed_at=timezone.now())
        _write(row, "INFO", f"The safety copy {row.path} on node {row.node_name} was removed.")
        removed += 1
    return removed


def _remove(row: SafetyCopy) -> None:
    if row.node is None:
        raise ConsoleError("The node was deleted.", cure="Remove the directory by hand, or add the node again.")
    target = target_of(row.node)
    with connect(target.spec.host, target.name) as host:
        host.remove_tree(row.path)


def _write(row: SafetyCopy, level: str, text: str) -> None:
    log.info("%s", text, extra={"run": row.run_id})
    LogLine.objects.create(run=row.run, level=level, text=text)
