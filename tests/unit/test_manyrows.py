"""Many rows by one statement are the same rows that the ORM would have written."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.backends.postgresql.base import DatabaseWrapper
from pytest_django import DjangoAssertNumQueries

from tasks import manyrows
from tasks.manyrows import insert_each, made_of, update_each
from tasks.models import BackupTask, Cluster, LogLine, Run
from tasks.states import Mode, RunState, Trigger
from tests.conftest import MakeRun, MakeTask

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


def new_run(task: BackupTask, **fields: object) -> Run:
    return Run(task=task, cluster=task.cluster, trigger=Trigger.SCHEDULE, scheduled_for=NOW, queued_at=NOW, **fields)


def test_inserted_rows_are_those_of_bulk_create(
    make_task: MakeTask, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    tasks = [make_task() for _ in range(3)]
    runs = [new_run(tasks[0]), new_run(tasks[1], reason='"50 %s"'), new_run(tasks[2], parameters={"a": [1, None]})]
    with django_assert_num_queries(1):
        insert_each(runs)
    assert not any(run._state.adding for run in runs)
    stored = {run.task_id: run for run in Run.objects.all()}
    for run in runs:
        found = stored[run.task_id]
        names = [field.attname for field in Run._meta.concrete_fields if not field.primary_key]
        assert {name: getattr(found, name) for name in names} == {name: getattr(run, name) for name in names}


def test_updated_rows_are_those_of_save(make_task: MakeTask, make_run: MakeRun) -> None:
    tasks = [make_task() for _ in range(3)]
    for number, task in enumerate(tasks):
        task.last_run = make_run(task)
        task.last_state = RunState.FAILED if number else ""
        task.last_reason = f"reason {number}"
        task.next_run_at = None if number == 1 else NOW
        task.copies = 99
    update_each(tasks, ("last_run", "last_state", "last_reason", "next_run_at"))
    for number, task in enumerate(BackupTask.objects.order_by("pk")):
        assert (task.last_run, task.last_state) == (tasks[number].last_run, tasks[number].last_state)
        assert (task.last_reason, task.next_run_at) == (tasks[number].last_reason, tasks[number].next_run_at)
        assert task.copies == 7, "only the named fields are written"


def test_what_may_not_be_is_refused_whole(task: BackupTask, make_task: MakeTask) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_each([new_run(make_task()), new_run(task), new_run(task)])
    assert not Run.objects.exists()


def test_no_rows_are_no_statement(db: None, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        insert_each([])
        update_each([], ("name",))


def test_columns_that_the_database_works_out_are_left_to_it(cluster: Cluster) -> None:
    fresh = BackupTask(name="fresh", cluster=cluster, mode=Mode.MANUAL, path_type="LocalDir", copies=1)
    fresh.last_state = RunState.FAILED
    insert_each([fresh])
    assert BackupTask.objects.get().urgency == 2


class Cursor:
    """A cursor that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, list[object]]] = []

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def execute(self, statement: str, values: list[object]) -> None:
        """Keep the statement."""
        self.told.append((statement, values))


@pytest.fixture
def postgresql(monkeypatch: pytest.MonkeyPatch) -> Cursor:
    """The cursor of a PostgreSQL that nobody connects to."""
    wrapper, cursor = DatabaseWrapper({**connection.settings_dict, "OPTIONS": {}}), Cursor()
    monkeypatch.setattr(wrapper, "cursor", lambda: cursor)
    monkeypatch.setattr(manyrows, "connection", wrapper)
    return cursor


def test_postgresql_takes_columns_as_arrays_and_what_is_the_same_once(postgresql: Cursor) -> None:
    tasks = [BackupTask(pk=number, name=f"t{number}", copies=3, last_reason="x") for number in (7, 8)]
    update_each(tasks, ("name", "copies", "last_reason"))
    [(statement, values)] = postgresql.told
    assert statement == (
        'UPDATE "tasks_backuptask" SET ("name", "copies", "last_reason") = '
        "ROW (r.c1, %s::integer, %s::text) FROM unnest(%s::bigint[], %s::varchar[]) AS r(c0, c1) "
        'WHERE "tasks_backuptask"."id" = r.c0'
    )
    assert values == [3, "x", [7, 8], ["t7", "t8"]]


def test_postgresql_inserts_rows_that_are_all_the_same(postgresql: Cursor) -> None:
    insert_each([LogLine(run_id=1, at=NOW, level="info", text="50 %")] * 2)
    [(statement, values)] = postgresql.told
    assert statement.startswith('INSERT INTO "tasks_logline" ("run_id", ')
    assert "SELECT r.c0, %s::" in statement and statement.endswith("FROM unnest(%s::bigint[]) AS r(c0)")
    assert values[-1] == [1, 1] and "50 %" in values


def test_an_object_made_of_values_is_one_of_the_orm(
    make_task: MakeTask, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    task = make_task("nightly")
    made = made_of(BackupTask, {"id": task.pk, "name": "nightly"}, stored=True)
    assert made == task and made.get_deferred_fields() == {
        field.attname for field in BackupTask._meta.concrete_fields
    } - {"id", "name"}
    with django_assert_num_queries(1):
        assert (made.name, made.mode) == ("nightly", task.mode)
    made.name = "weekly"
    made.save(update_fields=["name"])
    assert BackupTask.objects.get(pk=task.pk).name == "weekly"
    new = made_of(
        Cluster, {"id": None, **{f.attname: f.get_default() for f in Cluster._meta.concrete_fields[1:]}}, stored=False
    )
    new.name = "harbour"
    new.save()
    assert Cluster.objects.get(name="harbour").pk == new.pk
