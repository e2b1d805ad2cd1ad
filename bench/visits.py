"""The pages that the benchmark ``web`` asks for, and the people who ask, in a filled database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from django.contrib.auth.models import Group, User
from django.urls import reverse

from tasks import permissions
from tasks.models import BackupTask, Cluster, Person, Restoration, Run

ADMINISTRATOR, LIMITED = "administrator", "limited to one cluster"


class Visit(NamedTuple):
    """A page by what it is called in the table, and its address."""

    page: str
    url: str


def people(cluster: Cluster) -> dict[str, User]:
    """Return an administrator, and a Viewer who sees ``cluster`` only."""
    made = {}
    for title, role in ((ADMINISTRATOR, permissions.ADMINISTRATOR), (LIMITED, permissions.VIEWER)):
        user, _ = User.objects.get_or_create(username=f"bench-{role.lower()}")
        user.groups.set([Group.objects.get(name=role)])
        made[title] = user
    person, _ = Person.objects.update_or_create(user=made[LIMITED], defaults={"limited": True})
    person.clusters.set([cluster])
    return made


def smallest_cluster() -> Cluster:
    """Return the cluster with the fewest tasks: looking for its rows among all others is the hardest."""
    return Cluster.objects.order_by("-pk")[0]


def visits(cluster: Cluster) -> list[Visit]:
    """Return the pages; those of one thing are of one in ``cluster``, or of the one with most rows."""
    return [Visit(page, url) for page, url in _visits(cluster)]


def _visits(cluster: Cluster) -> Iterator[tuple[str, str]]:
    tasks = reverse("tasks")
    yield "homepage", reverse("home")
    yield "list", tasks
    yield "list, page 300, by name", f"{tasks}?sort=name&page=300"
    yield "list, page 300, by last success", f"{tasks}?sort=-success&page=300"
    yield "list, failed ones", f"{tasks}?status=failed"
    yield "list, one cluster", f"{tasks}?cluster={cluster.pk}"
    yield "list, search by name", f"{tasks}?q={cluster.name[-3:]}-0"
    yield "list, search by address", f"{tasks}?q=10.20.{cluster.pk}."
    yield "list, search without a find", f"{tasks}?q=nowhere"
    yield "list, its rows anew", _cells()
    for title, task in (("10,000 runs", BackupTask.objects.get(pk=1)), ("one cluster", _busiest(cluster))):
        history = reverse("task-history", args=[task.pk])
        runs = list(Run.objects.filter(task=task, kind="backup").order_by("pk").values_list("pk", flat=True))
        yield f"history, {title}", history
        yield f"history, {title}, deep", f"{history}?before={runs[len(runs) // 3]}"
        yield f"history, {title}, news", f"{reverse('task-history-head', args=[task.pk])}?newest={runs[-1]}"
        yield f"log of a run, {title}", reverse("run-log", args=[runs[-1]])
        yield f"two sets compared, {title}", reverse("task-compare", args=[task.pk])
    yield "restorations", reverse("restorations")
    yield "restorations, one cluster", f"{reverse('restorations')}?cluster={cluster.pk}"
    restoration = Restoration.objects.order_by("pk").first()
    if restoration:
        yield "restoration", reverse("restoration", args=[restoration.pk])
    yield "sets to restore", reverse("restoration-new")
    yield "sets to restore, one cluster", f"{reverse('restoration-new')}?cluster={cluster.pk}"
    yield "alarms", reverse("alarms")
    yield "alarms, cleared ones", reverse("alarms-cleared")
    yield "audit", reverse("audit")
    yield "audit of one person", f"{reverse('audit')}?person=anna"
    yield "clusters", reverse("clusters")
    yield "cluster", reverse("cluster", args=[cluster.pk])
    for name in ("auditevent", "run", "logline", "backupfile"):
        yield f"Django admin, {name}", reverse(f"admin:tasks_{name}_changelist")


def _cells() -> str:
    """Return where the first page of the list asks for its rows anew."""
    ids = BackupTask.objects.order_by("pk").values_list("pk", flat=True)[:25]
    return f"{reverse('task-cells')}?ids={','.join(map(str, ids))}&newest=1"


def _busiest(cluster: Cluster) -> BackupTask:
    """Return a task of the cluster that ran lately."""
    return BackupTask.objects.filter(cluster=cluster, last_run__isnull=False).order_by("-last_run_id")[0]
