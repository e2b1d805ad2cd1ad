"""How it stands with the restorations of a cluster: which one is active, and which one nobody knows the outcome of."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from tasks.models import Restoration, Run, SafetyCopy
from tasks.models.run import RESTORES
from tasks.states import ACTIVE, RunState

TOUCHED = "touched_at"
"""The parameter of a run that tells since when its target is no longer as it was; set before IoTDB is stopped."""
RESTORED = "restored_at"
"""The parameter of a run that tells since when what was restored serves: from then on nothing takes it back."""


def active(cluster_id: int) -> Run | None:
    """Return the restoration or rollback of a cluster that waits or runs."""
    runs = Run.objects.filter(cluster_id=cluster_id, kind__in=RESTORES, state__in=ACTIVE)
    return runs.select_related("restoration").first()


def unsettled(cluster_id: int) -> Restoration | None:
    """Return the restoration task of a cluster whose outcome is *Unknown*, deleted ones included."""
    return Restoration.all_restorations.filter(cluster_id=cluster_id, last_state=RunState.UNKNOWN).first()


def touched(run: Run) -> bool:
    """Tell whether a restoration has begun to change its target."""
    return bool(run.parameters.get(TOUCHED))


def kept_copies(run: Run) -> QuerySet[SafetyCopy]:
    """Return the safety copies of a restoration that are there."""
    return SafetyCopy.objects.filter(
        run=run, made_at__isnull=False, put_back_at__isnull=True, removed_at__isnull=True
    ).exclude(path="")


def expired(now: datetime) -> QuerySet[SafetyCopy]:
    """Return the safety copies that are to be removed, by their age or because somebody said so."""
    return SafetyCopy.objects.filter(
        keep_until__lte=now, made_at__isnull=False, put_back_at__isnull=True, removed_at__isnull=True
    )
