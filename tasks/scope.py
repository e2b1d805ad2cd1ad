"""Which clusters a person may see and touch; every list, page and verb asks here.

A person is limited to some clusters by ``tasks.models.Person``; a superuser never is. What a person may not see is not
found (404): it is not told that it is there. What belongs to no cluster is for everybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from django.db.models import Field, Model, Q, QuerySet

from tasks.models import Cluster, Person

Found = TypeVar("Found", bound=Model)
_KEPT = "_clusters_in_sight"


@dataclass(frozen=True)
class Limited:
    """Stands for all people who are limited to the same clusters, where a query is built for them (``KeptQuery``)."""

    clusters: frozenset[int] | None

    @classmethod
    def like(cls, user: Any) -> Limited:
        """Return what stands for ``user`` and all others who see the same clusters."""
        return cls(limits_of(user))


def limits_of(user: Any) -> frozenset[int] | None:
    """Return the keys of the clusters that ``user`` is limited to, None where to none; asked once per user object."""
    if isinstance(user, Limited):
        return user.clusters
    if not hasattr(user, _KEPT):
        setattr(user, _KEPT, _limits(user))
    kept: frozenset[int] | None = getattr(user, _KEPT)
    return kept


def _limits(user: Any) -> frozenset[int] | None:
    if not user.is_authenticated:
        return frozenset()
    if user.is_superuser:
        return None
    person = person_of(user)
    return frozenset(person.clusters.values_list("pk", flat=True)) if person and person.limited else None


def person_of(user: Any) -> Person | None:
    """Return what an administrator decided about ``user``, None where nothing was."""
    return getattr(user, "person", None)


def forget_limits(user: Any) -> None:
    """Have the limits of ``user`` asked anew, after they were changed."""
    if hasattr(user, _KEPT):
        delattr(user, _KEPT)


def include(user: Any, cluster: Cluster) -> None:
    """Let a limited person see a cluster that they registered; who is limited to none sees it anyway."""
    if user is not None and limits_of(user) is not None:
        Person.objects.get(user_id=user.pk).clusters.add(cluster)
        forget_limits(user)


def narrowed(found: QuerySet[Found], user: Any, path: str = "cluster") -> QuerySet[Found]:
    """Return those of ``found`` whose cluster, reached over ``path``, ``user`` may see; no query of its own.

    ``path`` is ``pk`` for clusters themselves. Rows that belong to no cluster stay.
    """
    limits = limits_of(user)
    if limits is None:
        return found
    inside = Q(**{f"{path}__in": limits})
    return found.filter(inside | Q(**{f"{path}__isnull": True}) if _optional(found.model, path) else inside)


@cache
def _optional(model: type[Model], path: str) -> bool:
    """Tell whether a row of ``model`` may belong to no cluster."""
    for part in path.split("__"):
        field = model._meta.pk if part == "pk" else model._meta.get_field(part)
        if isinstance(field, Field) and field.null:
            return True
        model = field.related_model or model
    return False


def covers(user: Any, cluster_id: int | None) -> bool:
    """Tell whether ``user`` may see the cluster; what belongs to no cluster is for everybody."""
    limits = limits_of(user)
    return limits is None or cluster_id is None or cluster_id in limits


def cluster_of(thing: Model) -> int | None:
    """Return the key of the cluster that ``thing`` is or belongs to, None where to none."""
    if isinstance(thing, Cluster):
        return thing.pk
    for name in ("cluster_id", "run", "service"):
        found = getattr(thing, name, None)
        if isinstance(found, int):
            return found
        if isinstance(found, Model):
            return cluster_of(found)
    return None
