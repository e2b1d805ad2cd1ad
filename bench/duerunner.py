"""A process of the console for the benchmark ``due``: one step of it, in the database of the environment.

``prepare`` remembers the tasks, ``due`` makes all of them due now, ``ours`` and ``naive`` queue what is due once a line
comes on standard input, ``offer`` and ``tick`` do what a worker does once a minute, ``restore`` leaves all as it was.
Each prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import django


def main(step: str) -> dict[str, Any]:
    """Do one step and return what came of it."""
    django.setup()
    return STEPS[step]()


def prepare() -> dict[str, Any]:
    """Keep the tasks as they are beside themselves, unless an earlier run that was broken off has done so."""
    from django.db import connection

    if _BEFORE in connection.introspection.table_names():
        return restore() | prepare()
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {_BEFORE} AS SELECT * FROM tasks_backuptask")
        cursor.execute(f"CREATE UNIQUE INDEX {_BEFORE}_id ON {_BEFORE} (id)")
        cursor.execute(f"CREATE TABLE {_BEFORE}_run AS SELECT MAX(id) AS id FROM tasks_run")
    return {}


def restore() -> dict[str, Any]:
    """Remove the runs that were queued, and give the tasks back what they had."""
    from django.db import connection

    from tasks.models import BackupTask

    _forget_runs()
    columns = [one.column for one in BackupTask._meta.concrete_fields if not (one.primary_key or one.generated)]
    changes = ", ".join(f"{name} = b.{name}" for name in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE tasks_backuptask SET {changes} FROM {_BEFORE} b WHERE b.id = tasks_backuptask.id")
        cursor.execute(f"DROP TABLE {_BEFORE}")
        cursor.execute(f"DROP TABLE {_BEFORE}_run")
        if connection.vendor == "postgresql":
            # A server that always runs does it by itself; this one runs while it is measured.
            cursor.execute("VACUUM ANALYZE tasks_backuptask, tasks_run")
    return {}


def due() -> dict[str, Any]:
    """Let every task be due in this minute, and none wait."""
    from django.db.models.functions import Coalesce
    from django.utils import timezone

    from tasks.models import BackupTask

    _forget_runs()
    now = timezone.now()
    tasks = BackupTask.objects.update(
        mode="periodic", suspended=False, started=Coalesce("started", now), next_run_at=now, last_run=None
    )
    return {"tasks": tasks}


def ours() -> dict[str, Any]:
    """Queue what is due as the tick does."""
    from django.utils import timezone

    from tasks.engine.due import queue_due

    return _timed(lambda: queue_due(timezone.now()))


def naive() -> dict[str, Any]:
    """Queue what is due task by task, each in a transaction, with the means of the ORM."""
    from django.db import transaction
    from django.utils import timezone

    from tasks.engine.due import IS_DUE
    from tasks.engine.record import show_on_task
    from tasks.models import BackupTask, Run

    def queue() -> int:
        now = timezone.now()
        found = list(BackupTask.objects.filter(IS_DUE, next_run_at__lte=now))
        for task in found:
            with transaction.atomic():
                run = Run.objects.create(
                    task=task, cluster_id=task.cluster_id, trigger="schedule", scheduled_for=task.next_run_at,
                    queued_at=now,
                )  # fmt: skip
                show_on_task(task, run)
                task.next_run_at = task.schedule.first_after(now) if task.schedule else None
                task.save()
        return len(found)

    return _timed(queue)


def offer() -> dict[str, Any]:
    """Offer runs to the workers while all wait, and take the offers back."""
    from django.utils import timezone

    from tasks.engine import dispatch

    found = _timed(lambda: dispatch.offer(timezone.now()), at_once=True)
    dispatch.forget_offers()
    return found


def tick() -> dict[str, Any]:
    """Tick once when nothing is due, and once more: what the first one found is done then."""
    from django.utils import timezone

    from tasks.engine import dispatch

    dispatch.tick(timezone.now())
    found = _timed(lambda: dispatch.tick(timezone.now()), at_once=True)
    dispatch.forget_offers()
    return found


def count() -> dict[str, Any]:
    """Tell how many runs were queued, and how many tasks have more than one of them."""
    from django.db.models import Count

    queued = _queued()
    twice = queued.order_by().values("task").annotate(runs=Count("pk")).filter(runs__gt=1)
    return {"queued": queued.count(), "twice": twice.count()}


_BEFORE = "bench_before"
STEPS: dict[str, Callable[[], dict[str, Any]]] = {
    step.__name__: step for step in (prepare, restore, due, ours, naive, offer, tick, count)
}


def _queued() -> Any:
    from django.db import connection

    from tasks.models import Run

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM {_BEFORE}_run")
        return Run.objects.filter(pk__gt=cursor.fetchone()[0])


def _forget_runs() -> None:
    from tasks.models import BackupTask, LogLine
    from tasks.models.notification import Notice

    queued = _queued().order_by()
    BackupTask.all_tasks.filter(last_run__in=queued.values("pk")).update(last_run=None)
    # What a tick makes of runs besides.
    for rows in (LogLine.objects, Notice.objects):
        rows.filter(run__in=queued.values("pk")).order_by()._raw_delete("default")
    queued._raw_delete("default")


def _timed(work: Callable[[], Any], *, at_once: bool = False) -> dict[str, Any]:
    """Do ``work`` as soon as the word is given, and return seconds of the clock and of this processor."""
    if not at_once:
        print("ready", flush=True)
        sys.stdin.readline()
    wall, cpu = time.time(), time.process_time()
    result = work()
    return {"began": wall, "ended": time.time(), "cpu": time.process_time() - cpu, "result": result}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])), flush=True)
    # The database server's process for this one ends with it, and what it used would be lost.
    sys.stdin.readline()
