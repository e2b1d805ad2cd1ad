"""Where secrets are kept: every model that has some, which of its rows still need them, and what those belong to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from django.db.models import Manager, Q, QuerySet

from tasks import vault
from tasks.models import BackupTask, MailServer, ManagementNodes, Node, NotificationChannel, Restoration, Service
from tasks.states import GOOD


class Sealed(Protocol):
    """A row with secrets."""

    pk: Any
    sealed_secrets: str

    def secrets(self) -> dict[str, str]:
        """Return them in clear; raise ``vault.KeyLost`` where no key opens them."""


@dataclass(frozen=True)
class SealedRows:
    """One model with secrets: ``rows`` are all that may have some, ``needed`` tells which are still used.

    ``cluster`` is the path to the cluster they belong to; empty where they are the console's own. ``noun`` stands
    before the name of a row in a sentence.
    """

    rows: Manager[Any]
    noun: str
    cluster: str = ""
    needed: Q = Q()

    def used(self) -> QuerySet[Any]:
        """Return the rows whose secrets are still used."""
        found = self.rows.filter(self.needed).exclude(sealed_secrets="")
        way = self.cluster.rpartition("__")[0]
        return found.select_related(way) if way else found

    def cluster_of(self, row: Any) -> int | None:
        """Return the key of the cluster that a row of ``used`` belongs to; None for one of the console itself."""
        *way, last = self.cluster.split("__")
        for part in way:
            row = getattr(row, part)
        return getattr(row, f"{last}_id") if last else None


SEALED: tuple[SealedRows, ...] = (
    # Deleted ones too: their files can still be swept.
    SealedRows(BackupTask.all_tasks, "task", "cluster", Q(deleted_at__isnull=True)),
    SealedRows(
        Restoration.all_restorations,
        "restoration task",
        "cluster",
        Q(deleted_at__isnull=True) & ~Q(last_state__in=GOOD),
    ),
    SealedRows(Service.objects, "service", "cluster"),
    SealedRows(Node.objects, "node", "service__cluster"),
    SealedRows(ManagementNodes.objects, "standby management node"),
    SealedRows(MailServer.objects, "mail server"),
    SealedRows(NotificationChannel.objects, "notification channel", needed=Q(enabled=True)),
)


def lost(found: QuerySet[Any]) -> Iterator[Any]:
    """Yield those of the rows whose secrets no key opens."""
    for row in found:
        try:
            row.secrets()
        except vault.KeyLost:
            yield row
