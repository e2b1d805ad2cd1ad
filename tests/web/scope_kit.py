"""What the tests of cluster scope share: a person who is limited to one cluster, and all that belongs to another."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from tasks import alarms
from tasks.models import AuditEvent, Cluster, Node, Person, Service
from tasks.states import Mode, RunState
from tests.conftest import MakeRun, MakeTask
from tests.web.restoration_kit import make_copy, make_restoration, steps_at
from tests.web.restoration_kit import make_run as make_restoration_run

# Part of every name of the other cluster; on no page of somebody who may not see it.
WORD = "elsewhere"


def limit(user: User, *clusters: Cluster) -> User:
    """Limit a person to ``clusters`` and return them as they come with the next request."""
    person, _ = Person.objects.update_or_create(user=user, defaults={"limited": True})
    person.clusters.set(clusters)
    return User.objects.get(pk=user.pk)


def make_world(cluster: Cluster, word: str, make_task: MakeTask, make_run: MakeRun) -> dict[str, int]:
    """Make one of each thing that belongs to a cluster, ``word`` in each name; their keys by what they are."""
    service = cluster.services.first() or Service.objects.create(cluster=cluster, name=f"IoTDB-{word}")
    node = Node.objects.create(service=service, name=f"{word}-node", home=f"/srv/{word}")
    task = make_task(f"{word}-daily", cluster=cluster, mode=Mode.PERIODIC)
    run = make_run(task, RunState.SUCCESSFUL, parameters={"path_type": "LocalDir", "destination": {}})
    make_run(task, RunState.FAILED, reason=f"{word} failed")
    restoration = make_restoration(cluster, f"{word}-restore", source_task=task.name)
    restored = make_restoration_run(restoration, RunState.RUNNING, steps=steps_at("confirm"))
    make_copy(restored, node.name)
    told: dict[str, Any] = {"cause": f"{word} failed.", "place": task.name, "cluster": cluster}
    alarms.raise_alarm("rehearsal-failed", f"task {task.pk}", **told)
    alarms.clear("rehearsal-failed", f"task {task.pk}", now=timezone.now())
    alarm = alarms.raise_alarm("backup-failed", f"task {task.pk}", **told)
    event = AuditEvent.objects.create(actor="anna", verb="x", target_kind="x", target=word, cluster_id=cluster.pk)
    found = {"task": task.pk, "run": run.pk, "cluster": cluster.pk, "service": service.pk, "node": node.pk}
    found |= {"alarm": alarm.pk, "restoration": restoration.pk, "restored": restored.pk, "event": event.pk}
    return found | {"file": run.files.get().pk, "line": run.log.create(level="INFO", text=f"{word} line").pk}
