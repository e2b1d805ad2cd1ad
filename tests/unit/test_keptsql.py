"""Kept queries ask what the ORM would, with other values each time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F, QuerySet, Value
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tasks.keptsql import KeptQuery, numbered
from tasks.models import BackupTask, Cluster, TaskDay
from tests.conftest import MakeRun, MakeTask

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def tasks(make_task: MakeTask, make_run: MakeRun) -> list[BackupTask]:
    """Three tasks with a run each, their next starts a day apart."""
    now = timezone.now()
    made = [make_task(f"t{number}") for number in range(3)]
    for number, task in enumerate(made):
        make_run(task)
        BackupTask.objects.filter(pk=task.pk).update(next_run_at=now + number * DAY)
        task.refresh_from_db()
    return made


def test_the_sql_is_built_once_for_all_values(
    tasks: list[BackupTask], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    built = []

    def build(name: str) -> QuerySet[Any, Any]:
        built.append(name)
        return BackupTask.objects.filter(name=name).values_list("pk")

    kept = KeptQuery(build)
    with django_assert_num_queries(len(tasks)):
        assert [kept.rows(name=task.name) for task in tasks] == [[(task.pk,)] for task in tasks]
    assert kept.rows(name="nobody") == []
    # Twice: to see where the value goes.
    assert len(built) == 2


def test_values_of_several_kinds_are_told_apart(tasks: list[BackupTask]) -> None:
    kept = KeptQuery(
        lambda name, key, other, now, later: BackupTask.objects.filter(
            name=name, pk__in=[other, key], next_run_at__gt=now - DAY, next_run_at__lt=later + DAY
        ).values_list("pk")
    )
    one, two, three = tasks
    now = timezone.now()
    found: list[Any] = []
    for name, key, at, later in (
        ("t0", one, now, now),
        ("t0", two, now, now),
        ("t1", one, now, now),
        ("t2", three, now, now),
        ("t2", three, now, now + 2 * DAY),
        ("t0", one, now + 2 * DAY, now),
    ):
        found.append(kept.rows(name=name, key=key.pk, other=two.pk, now=at, later=later))
    assert found == [[(one.pk,)], [], [(two.pk,)], [], [(three.pk,)], []]


def test_days_are_given_as_moments_are(tasks: list[BackupTask]) -> None:
    today = timezone.now().date()
    TaskDay.objects.all().delete()
    for back in range(4):
        TaskDay.objects.create(task=tasks[0], day=today - back * DAY)
    kept = KeptQuery(
        lambda since, **keys: (
            TaskDay.objects.filter(day__gte=since - DAY, task__in=list(keys.values()))
            .order_by("day")
            .values_list("day")
        )
    )
    assert kept.rows(since=today, **numbered([tasks[0].pk])) == [(today - DAY,), (today,)]
    assert len(kept.rows(since=today - DAY, **numbered(task.pk for task in tasks))) == 3
    assert kept.rows(since=today, **numbered([tasks[1].pk])) == []
    assert kept.rows(since=today) == []


def test_objects_are_those_of_the_orm(tasks: list[BackupTask]) -> None:
    def build(**keys: int) -> QuerySet[BackupTask]:
        found = BackupTask.objects.filter(pk__in=list(keys.values())).order_by("name")
        return (
            found.select_related("cluster", "last_run")
            .only("name", "next_run_at", "destination", "cluster__name", "last_run__state")
            .annotate(twice=F("pk") + F("pk"))
        )

    kept = KeptQuery(build)
    given = numbered(task.pk for task in tasks)
    kept.objects(**given)
    for found, asked in zip(kept.objects(**given), build(**given), strict=True):
        assert found.__dict__.keys() == asked.__dict__.keys()
        assert found == asked
        assert found.get_deferred_fields() == asked.get_deferred_fields()
        assert (found.next_run_at, found.destination, found.twice) == (
            asked.next_run_at,
            asked.destination,
            2 * found.pk,
        )
        assert (found.cluster, found.cluster.name) == (asked.cluster, asked.cluster.name)
        assert found.last_run.get_deferred_fields() == asked.last_run.get_deferred_fields()
        assert found.last_run.state == asked.last_run.state


def test_an_object_that_was_found_is_saved_over_its_row(tasks: list[BackupTask]) -> None:
    kept = KeptQuery(lambda key: Cluster.objects.filter(pk=key))
    (cluster,) = kept.objects(key=tasks[0].cluster_id)
    cluster.name = "renamed"
    cluster.save()
    assert Cluster.objects.get(pk=tasks[0].cluster_id).name == "renamed"


def test_each_shape_is_a_query_of_its_own(tasks: list[BackupTask]) -> None:
    kept = KeptQuery(lambda most: BackupTask.objects.order_by("name").values_list("name")[:most])
    assert kept.rows(2) == [("t0",), ("t1",)]
    assert kept.rows(1) == [("t0",)]
    assert kept.rows(2) == [("t0",), ("t1",)]


def test_a_limit_is_no_value(tasks: list[BackupTask]) -> None:
    kept = KeptQuery(lambda most: BackupTask.objects.values_list("name")[:most])
    with pytest.raises(ValueError, match="changes the query itself"):
        kept.rows(most=2)


def test_what_is_made_of_a_value_is_refused(tasks: list[BackupTask]) -> None:
    half = KeptQuery(lambda key: BackupTask.objects.filter(pk=key // 2).values_list("name"))
    with pytest.raises(ValueError, match="neither what is given"):
        half.rows(key=2)
    hour = KeptQuery(lambda now: BackupTask.objects.filter(next_run_at__gt=now.replace(minute=0)).values_list("name"))
    with pytest.raises(ValueError, match="fixed distance"):
        hour.rows(now=timezone.now())


def test_hostile_text_is_only_text(tasks: list[BackupTask]) -> None:
    kept = KeptQuery(lambda name: BackupTask.objects.filter(name=name).values_list("pk"))
    for text in ("' OR 1=1 --", "%s", "t0'", "\\", "t%", '"'):
        assert kept.rows(name=text) == []
    assert kept.rows(name="t0") == [(tasks[0].pk,)]


def test_a_union_is_kept_as_well(tasks: list[BackupTask]) -> None:
    kept = KeptQuery(
        lambda key: (
            BackupTask.objects.filter(pk=key)
            .order_by()
            .values_list(Value("task"), "name")
            .union(Cluster.objects.filter(tasks=key).order_by().values_list(Value("cluster"), "name"), all=True)
        )
    )
    for task in tasks:
        assert sorted(kept.rows(key=task.pk)) == [("cluster", task.cluster.name), ("task", task.name)]


def test_values_are_those_of_the_orm_on_this_database(tasks: list[BackupTask]) -> None:
    names = ("name", "suspended", "next_run_at", "destination", "created_at")
    kept = KeptQuery(lambda key: BackupTask.objects.filter(pk=key).values_list(*names))
    for task in tasks:
        assert kept.rows(key=task.pk) == [tuple(getattr(task, name) for name in names)], connection.vendor
