"""The list of clusters as its template reads it: a search, pages, and what each cluster has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, IntegerField, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import QueryDict
from django.utils.http import urlencode

from tasks.models import BackupTask, Cluster, Node
from tasks.selectors import page_in, search_in

PAGE_SIZE = 25


@dataclass(frozen=True)
class ClusterState:
    """The state of the page, from its URL; what is unknown is passed over."""

    q: str = ""
    page: int = 1

    @classmethod
    def of(cls, query: QueryDict) -> ClusterState:
        """Read the state from a URL."""
        return cls(search_in(query), page_in(query))

    def query(self, page: int) -> str:
        """Return the query string of another page of the same search."""
        pairs = {"q": self.q, "page": page if page > 1 else ""}
        return urlencode({name: value for name, value in pairs.items() if value})


def whole(state: ClusterState, clusters: QuerySet[Cluster]) -> dict[str, Any]:
    """Return everything the page shows of ``clusters``, in four queries at most."""
    found = clusters.filter(Q(name__icontains=state.q) | Q(note__icontains=state.q)) if state.q else clusters
    page = Paginator(found.only("pk").order_by("name"), PAGE_SIZE).get_page(state.page)
    keys = [cluster.pk for cluster in page.object_list]
    rows = with_counts(clusters.filter(pk__in=keys)).order_by("name").prefetch_related("services") if keys else []
    total = page.paginator.count
    return {
        "state": state,
        "clusters": rows,
        "page": page,
        "everything": clusters.count() if state.q else total,
        "previous": state.query(page.number - 1),
        "following": state.query(page.number + 1),
    }


def with_counts(clusters: QuerySet[Cluster]) -> QuerySet[Cluster]:
    """Return ``clusters`` with how many tasks and nodes each has, and its last success.

    Each figure is asked for on its own: joined, every task would be counted once for every node.
    """
    tasks = BackupTask.objects.filter(cluster=OuterRef("pk")).order_by().values("cluster")
    nodes = Node.objects.filter(service__cluster=OuterRef("pk")).order_by().values("service__cluster")
    number = IntegerField()
    return clusters.annotate(
        task_count=Coalesce(Subquery(tasks.values(found=Count("*")), output_field=number), 0),
        node_count=Coalesce(Subquery(nodes.values(found=Count("pk")), output_field=number), 0),
        last_success=Subquery(tasks.values(found=Max("last_success_at"))),
    )
