"""The figures of the homepage, whose SQL is kept: it asks what the ORM would, whoever looks and whenever."""

from __future__ import annotations

import gc
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.query import ModelIterable
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tasks import alarms
from tasks.alarms import Counts
from tasks.home import agenda, attention, days, rooms, tally, tiles, untold
from tasks.home.figures import Figures, counted
from tasks.home.sight import Sight
from tasks.models import BackupTask, Cluster, DestinationSpace, Person
from tasks.overdue import is_overdue
from tasks.scope import forget_limits
from tasks.states import RunState
from tasks.workers import WorkersState
from tests.conftest import MakeRun, MakeTask

HOUR = timedelta(hours=1)
LOOKS = (0, 2.6, 0, 20, -3)
# Of queries that have several, by the names of what builds them.
SHAPES: dict[str, list[tuple[Any, ...]]] = {
    "_of_state": [(RunState.FAILED, 0, 10), (None, 0, 10), (None, 0, 1)],
    "_raised": [(8,)],
    "_first": [(8,), (1,)],
}


def sight_of(user: User, hours: float = 0) -> Sight:
    """Return the sight of somebody who looks in ``hours``."""
    now = timezone.now() + hours * HOUR
    return Sight(user, now, {}, Counts({}, 0), WorkersState(True, "", now))


def values(thing: Any) -> dict[str, Any]:
    """Return what was fetched of an object."""
    return {name: value for name, value in vars(thing).items() if name != "_state"}


def late(sight: Sight) -> list[str]:
    """Return the names of tasks that are overdue, asked with all the means of the ORM."""
    return list(sight.tasks().filter(is_overdue(sight.now)).values_list("name", flat=True))


@pytest.fixture
def tasks(make_task: MakeTask, make_run: MakeRun) -> list[BackupTask]:
    """Three tasks that will be overdue one after the other."""
    now = timezone.now()
    made = [make_task(f"t{hours}", mode="periodic", started=now, period=1, period_unit="hours") for hours in (1, 2, 3)]
    for hours, task in enumerate(made, 1):
        make_run(task)
        BackupTask.objects.filter(pk=task.pk).update(expected_at=now + hours * HOUR)
    return made


def test_the_moment_is_always_that_of_the_sight(administrator: User, tasks: list[BackupTask]) -> None:
    figures = Figures(lambda sight: sight.tasks().filter(is_overdue(sight.now)).order_by("name").values_list("name"))
    found = [[name for (name,) in figures.rows(sight_of(administrator, hours))] for hours in LOOKS]
    assert found == [late(sight_of(administrator, hours)) for hours in LOOKS]
    assert len({len(names) for names in found}) == 3


def test_the_kept_query_is_one_query(
    administrator: User, tasks: list[BackupTask], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    figures = Figures(lambda sight: counted(sight.tasks()))
    assert figures.number(sight_of(administrator)) == 3
    BackupTask.objects.filter(pk=tasks[0].pk).update(deleted_at=timezone.now())
    with django_assert_num_queries(1):
        assert figures.number(sight_of(administrator)) == 2


def test_whoever_is_limited_sees_what_is_theirs(
    administrator: User, viewer: User, tasks: list[BackupTask], make_task: MakeTask
) -> None:
    other_cluster = Cluster.objects.create(name="harbour")
    make_task("elsewhere", cluster=other_cluster)
    figures = Figures(lambda sight: counted(sight.tasks()))
    assert figures.number(sight_of(administrator)) == 4
    person, _ = Person.objects.update_or_create(user=viewer, defaults={"limited": True})
    person.clusters.set([other_cluster])
    forget_limits(viewer)
    assert figures.number(sight_of(viewer)) == 1
    assert figures.number(sight_of(administrator)) == 4
    person.clusters.set([])
    forget_limits(viewer)
    assert figures.number(sight_of(viewer)) == 0


def test_a_setting_that_changes_is_heeded(administrator: User, tasks: list[BackupTask], settings: Any) -> None:
    figures = Figures(lambda sight: counted(sight.tasks().filter(is_overdue(sight.now))))
    before = figures.number(sight_of(administrator, 2.6))
    settings.OVERDUE_GRACE = timedelta(days=3)
    assert figures.number(sight_of(administrator, 2.6)) == 0 < before


def test_what_is_not_at_a_fixed_distance_from_now_is_refused(administrator: User, db: None) -> None:
    rounded = Figures(
        lambda sight: counted(
            sight.tasks().filter(next_run_at__gt=sight.now.replace(minute=0, second=0, microsecond=0))
        )
    )
    with pytest.raises(ValueError, match="fixed distance"):
        rounded.rows(sight_of(administrator))


@pytest.mark.parametrize("hours", [0, 30])
def test_all_figures_of_the_homepage_are_what_the_orm_finds(
    administrator: User, tasks: list[BackupTask], make_run: MakeRun, hours: int
) -> None:
    make_run(tasks[1], state="failed")
    make_run(tasks[2], state="postponed")
    BackupTask.objects.update(next_run_at=timezone.now() + 3 * HOUR)
    alarms.raise_alarm("backup-failed", f"task {tasks[1].pk}", cause="x", cluster=tasks[1].cluster)
    DestinationSpace.objects.create(key="a", label="a", path_type="NFS", read_at=timezone.now())
    kept = [one for one in gc.get_objects() if type(one) is Figures and one.build.__module__.startswith("tasks.")]
    modules = {one.build.__module__ for one in kept}
    assert {one.__name__ for one in (agenda, attention, days, rooms, tally, tiles, untold)} <= modules
    sight = sight_of(administrator, hours)
    for one in kept:
        for shape in SHAPES.get(one.build.__name__, [()]):
            asked = one.build(sight, *shape)
            if asked._iterable_class is not ModelIterable:
                one.rows(sight_of(administrator), *shape)
                assert one.rows(sight, *shape) == list(asked)
                continue
            one.objects(sight_of(administrator), *shape)
            found = one.objects(sight, *shape)
            assert list(map(values, found)) == list(map(values, asked))
            assert found or (hours and one.build.__name__ == "_upcoming"), one.build.__name__
