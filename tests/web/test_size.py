"""Pages take the same number of queries however many rows there are, and the queries that grow go by their indexes.

The rows are those of ``python -m bench web``; its pages are asked for over a small installation and a larger one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Count, QuerySet
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bench import filling, visits
from bench.imagined import Size
from tasks import differences, history, restorations, rows, selectors
from tasks.engine import due, lease, proofage, pruning, record
from tasks.home import tally
from tasks.models import BackupTask, Cluster, Maintenance, Run
from tasks.states import Kind, RunState

SMALL = Size(tasks=20, runs=500, clusters=4, log_lines=100, restorations=4, alarms=8, events=30)
LARGE = Size(tasks=60, runs=1500, clusters=8, log_lines=300, restorations=40, alarms=150, events=150)
NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


class _Undo(Exception):
    """Ends a transaction whose rows are not to stay."""


@contextmanager
def installation(size: Size) -> Iterator[None]:
    """Let the database hold an installation of this size for a while."""
    try:
        with transaction.atomic():
            filling.everything(size, NOW)
            yield
            raise _Undo
    except _Undo:
        pass


def queries(person: str) -> dict[str, int]:
    """Return how many queries each page takes for a person; a page that leads elsewhere has none."""
    cluster = visits.smallest_cluster()
    client = Client()
    client.force_login(visits.people(cluster)[person])
    found = {}
    for page, url in visits.visits(cluster):
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(url)
        assert answer.status_code in (200, 302, 403, 404), page
        found[page] = len(captured) if answer.status_code == 200 else 0
    return found


@pytest.mark.parametrize("person", [visits.ADMINISTRATOR, visits.LIMITED])
def test_every_page_takes_as_many_queries_for_many_rows_as_for_few(db: None, person: str) -> None:
    with installation(SMALL):
        few = queries(person)
    with installation(LARGE):
        many = queries(person)
    # Each kind of trouble that is on the first page of the homepage is one query.
    homepages = few.pop("homepage"), many.pop("homepage")
    assert max(homepages) <= 45
    assert many == few
    assert max(many.values()) <= 30


def test_due_tasks_take_as_many_queries_however_many_there_are(db: None) -> None:
    counts = []
    for size in (SMALL, LARGE):
        with installation(size):
            BackupTask.objects.update(mode="periodic", suspended=False, started=NOW, next_run_at=NOW)
            with CaptureQueriesContext(connection) as captured:
                assert due.queue_due(NOW) == size.tasks
            counts.append(len(captured))
            assert Run.objects.filter(state=RunState.WAITING).count() == size.tasks
    assert counts[0] == counts[1]


# --- Plans ------------------------------------------------------------------------------------------------------------
def listed(query: str) -> Callable[[], QuerySet[Any]]:
    """Return how the list asks for the keys of its rows."""
    state = selectors.ListState.of(QueryDict(query))
    tasks = selectors.filtered(state, BackupTask.objects.all())
    return lambda: selectors.ordered(selectors.with_status(tasks, state.status), state.sort).values_list("pk")[:25]


def a_task() -> BackupTask:
    """Return a task as a page has it."""
    return BackupTask(pk=7)


PLANS: dict[str, tuple[Callable[[], QuerySet[Any]], str]] = {
    "the list": (listed(""), "task_urgency"),
    "the list by name": (listed("sort=name"), "task_name_in_use"),
    "runs of a task": (lambda: history.runs_of(a_task()).filter(pk__lt=9)[:26], "run_of_task"),
    "the count of runs": (lambda: a_task().backups.order_by().values("pk")[:10_001], "COVERING INDEX run_of_task"),
    "sets of a task": (lambda: record.kept_sets(7), "run_kept_of_task"),
    "sets to restore": (lambda: Run.objects.filter(record.KEPT).order_by("-pk")[:26], "run_kept"),
    "sets of a cluster": (
        lambda: Run.objects.filter(record.KEPT, cluster_id=3).order_by("-pk")[:26],
        "run_kept_of_cluster",
    ),
    "sets whose proof is old": (lambda: proofage.due_checks(NOW).order_by(), "run_set"),
    "sets to compare": (lambda: differences.counted(7)[:200], "run_of_task"),
    "the head of the line": (lambda: lease.first_in_line(Maintenance(), NOW), "run_line"),
    "due tasks": (
        lambda: BackupTask.objects.filter(due.IS_DUE, next_run_at__lte=NOW).order_by("next_run_at", "pk"),
        "task_due",
    ),
    "tasks that never ran": (lambda: BackupTask.objects.filter(tally.never()).order_by(), "task_never"),
    "tasks never proven": (lambda: BackupTask.objects.filter(tally.not_proven()).order_by(), "task_not_proven"),
    "tasks never rehearsed": (
        lambda: BackupTask.objects.filter(tally.not_rehearsed()).order_by(),
        "task_not_rehearsed",
    ),
    "what is kept": (
        lambda: BackupTask.objects.order_by().values("sets_kept", "bytes_kept", "last_rehearsed_at"),
        "COVERING INDEX task_kept",
    ),
    "protected clusters": (lambda: tally.judged(Cluster.objects.all(), NOW).order_by(), "alarm_of_cluster"),
    "ends of a day": (
        lambda: (
            Run.objects.filter(kind=Kind.BACKUP, state__in=tally.ENDS, ended_at__gt=NOW)
            .order_by()
            .values("state")
            .annotate(number=Count("*"))
        ),
        "COVERING INDEX run_ended (state=? AND kind=? AND ended_at>?)",
    ),
    "proofs of a set": (lambda: Run.objects.filter(subject=7).order_by(), "run_of_subject"),
    "runs of a restoration": (lambda: Run.objects.filter(restoration=7).order_by(), "run_of_restoration"),
    "the newest run of a task": (lambda: Run.objects.filter(task=7).order_by("-pk"), "tasks_run_task_id_ddba62_idx"),
    "restorations": (lambda: restorations.Restoration.objects.order_by("-pk")[:26], ""),
    "old runs of some tasks": (
        lambda: pruning._backups(NOW, BackupTask.all_tasks.filter(pk__in=[1, 2])),
        "run_of_task",
    ),
}


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL chooses by what the tables hold")
@pytest.mark.parametrize("name", PLANS)
def test_what_grows_is_read_by_its_index_and_not_sorted(db: None, name: str) -> None:
    query, index = PLANS[name]
    plan = query().explain()
    first = plan.splitlines()[0]
    assert index in plan, plan
    assert not first.startswith("SCAN") or "USING" in first or not index, plan


def test_the_counts_of_the_list_look_at_no_row(db: None) -> None:
    with CaptureQueriesContext(connection) as captured:
        selectors.totals(selectors.ListState(), BackupTask.objects.all())
    sql = captured.captured_queries[0]["sql"]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{sql}")
        plan = str(cursor.fetchall())
    assert connection.vendor != "sqlite" or "COVERING INDEX task_status" in plan, plan


def test_the_place_in_a_line_is_counted_for_the_rows_that_are_shown(db: None) -> None:
    with installation(SMALL):
        BackupTask.objects.update(mode="periodic", suspended=False, started=NOW, next_run_at=NOW)
        due.queue_due(NOW)
        waiting = list(Run.objects.filter(state=RunState.WAITING, kind=Kind.BACKUP).order_by("pk"))
        with CaptureQueriesContext(connection) as captured:
            lines = rows.lines_of({run.pk for run in waiting})
        assert len(captured) == 1
        for cluster in {run.cluster_id for run in waiting}:
            its = [run for run in waiting if run.cluster_id == cluster]
            assert [lines[run.pk].place for run in its] == list(range(1, len(its) + 1))
            names = BackupTask.objects.in_bulk([run.task_id for run in its])
            ahead = ["", *(names[run.task_id].name for run in its[:-1])]
            assert [lines[run.pk].ahead for run in its] == ahead
