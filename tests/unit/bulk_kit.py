"""Verbs in bulk as somebody does them who presses the button at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tasks import bulk, services
from tasks.audit import CONSOLE, Actor
from tasks.models import AuditEvent, BackupTask, Cluster, Run
from tasks.services.applying import Shown
from tasks.services.bulk import BulkResult
from tasks.states import Mode

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def shown(*tasks: BackupTask, run: Run | None = None) -> dict[int, Shown]:
    return {task.pk: Shown(task.version, run.pk if run else 0) for task in tasks}


def do(key: str, *tasks: BackupTask, actor: Actor = CONSOLE) -> BulkResult:
    """Do it as somebody does who presses the button at once."""
    plan = bulk.plan(key, list(BackupTask.objects.filter(pk__in=[task.pk for task in tasks]).order_by("pk")), NOW)
    return services.do_in_bulk(actor, key, bulk.shown_in(plan.token), NOW)


def reasons(result: BulkResult) -> dict[str, str]:
    return {refusal.task.name if refusal.task else "": str(refusal.why) for refusal in result.applied.refused}


def events(verb: str) -> list[tuple[str, str]]:
    return list(AuditEvent.objects.filter(verb=verb).order_by("pk").values_list("target", "result"))


def make_many(number: int) -> None:
    """Make so many periodic tasks of a hundred clusters."""
    clusters = Cluster.objects.bulk_create(Cluster(name=f"c{number}") for number in range(100))
    BackupTask.objects.bulk_create(
        BackupTask(
            name=f"t{number:05}", cluster=clusters[number % 100], path_type="LocalDir", copies=7, sets_kept=2,
            directory=f"t{number}", mode=Mode.PERIODIC, started=NOW + HOUR, next_run_at=NOW + HOUR,
        )
        for number in range(number)
    )  # fmt: skip
