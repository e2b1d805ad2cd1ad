"""Secrets that no key opens: one alarm for each cluster that has some, and one for those of the console itself.

Which key something was sealed with stands before it, so that the database finds what none of the keys opens. That a
text has the right beginning and still does not open is seen by the run that needs it (``found_lost``).
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from django.db.models import Q
from django.urls import reverse

from tasks import alarms, sealedrows, vault
from tasks.alarms import Told
from tasks.engine.watches.reconciling import reconcile_told
from tasks.models import Cluster
from tasks.sealedrows import SEALED

CODE = "key-lost"
_CONSOLE = "secrets of the console"
_NAMED = 5


def watch(now: datetime) -> int:
    """Bring the alarms to what is so, and return of how many clusters, or of the console, secrets are lost."""
    raised = set(alarms.uncleared().filter(code=CODE).values_list("subject", flat=True))
    lost = _lost({int(subject.split()[1]) for subject in raised - {_CONSOLE}})
    reconcile_told(CODE, lost, now)
    return len(lost)


def found_lost(cluster: Cluster, now: datetime) -> None:
    """Raise the alarm of a cluster of which a run has met secrets that do not open."""
    told = _lost({cluster.pk}).get(f"cluster {cluster.pk}")
    if told is not None:
        alarms.raise_alarm(CODE, f"cluster {cluster.pk}", **vars(told), now=now)


def _lost(looked_into: set[int]) -> dict[str, Told]:
    """Return what is lost by subject; the secrets of the clusters ``looked_into`` are opened one by one."""
    known = Q()
    for prefix in vault.prefixes():
        known |= Q(sealed_secrets__startswith=prefix)
    names: dict[int | None, list[str]] = defaultdict(list)
    for kind in SEALED:
        odd = ~known | Q(**{f"{kind.cluster}__in": looked_into}) if kind.cluster else ~known
        lost = list(sealedrows.lost(kind.used().filter(odd).order_by("pk")))
        if lost and not kind.cluster:
            # Everybody reads it, and channels are a person's own.
            names[None].append(kind.noun if len(lost) == 1 else f"{len(lost)} {kind.noun}s")
            continue
        for row in lost:
            names[kind.cluster_of(row)].append(f"{kind.noun} {row}")
    clusters = Cluster.objects.in_bulk([key for key in names if key is not None])
    return {
        f"cluster {key}" if key is not None else _CONSOLE: _told(clusters[key] if key is not None else None, found)
        for key, found in names.items()
        if key is None or key in clusters
    }


def _told(cluster: Cluster | None, names: list[str]) -> Told:
    more = len(names) - _NAMED
    shown = ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
    return Told(
        cause=f"None of the console's keys opens the stored passwords and keys of: {shown}.",
        cure="Bring back the key: the file secrets-key, or SECRETS_KEYS. Where it is lost for good, type the "
        "passwords again on these pages, and resume the tasks that were suspended.",
        place=cluster.name if cluster else "Console",
        cluster=cluster,
        link=reverse("cluster", args=[cluster.pk]) if cluster else reverse("management-nodes"),
    )
