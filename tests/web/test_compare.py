"""Compare two sets: which ones, by what they differ, and what is said when there is nothing to compare."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.utils import timezone

from tasks.models import BackupTask
from tasks.permissions import BACKUP_ADMINISTRATOR, VIEWER
from tests.conftest import Login, MakeRun
from tests.web.history_kit import plain
from tests.web.inventory_sets import counted
from tests.web.test_history import read

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer_client(login: Login) -> Client:
    """A Viewer's browser."""
    return login(VIEWER)


def chosen(text: str) -> list[int]:
    """Return the keys of the two runs that are chosen."""
    return [int(pk) for pk in re.findall(r'<option value="(\d+)" selected>', text)]


def test_the_two_newest_sets_are_compared(viewer_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    runs = [make_run(task, inventory={"IoTDB": counted(number)}) for number in (1, 2, 5)]
    make_run(task)
    text = read(viewer_client, "task-compare", task.pk)
    assert chosen(text) == [runs[1].pk, runs[2].pk]
    assert "Databases 2 5 +3" in plain(text)
    assert text.count("<option") == 6


def test_any_two_sets_are_compared(viewer_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    runs = [make_run(task, inventory={"IoTDB": counted(number)}) for number in (1, 2, 5)]
    first, second, third = (run.pk for run in runs)
    for query, expected in (
        (f"?before={first}&now={third}", [first, third]),
        (f"?before={third}&now={first}", [third, first]),
        (f"?now={second}", [first, second]),
        (f"?now={first}", [second, first]),
        (f"?before={third}", [third, second]),
        ("?before=x&now=999999", [second, third]),
    ):
        assert chosen(read(viewer_client, "task-compare", task.pk, query)) == expected, query


def test_runs_of_other_tasks_cannot_be_chosen(
    viewer_client: Client, task: BackupTask, make_task: object, make_run: MakeRun
) -> None:
    assert callable(make_task)
    mine = [make_run(task, inventory={"IoTDB": counted()}).pk for _ in range(2)]
    other = make_run(make_task(), inventory={"IoTDB": counted(9)})
    assert chosen(read(viewer_client, "task-compare", task.pk, f"?before={other.pk}")) == mine


def test_everything_that_differs_is_shown(viewer_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    old = counted(2, 40, rights={"user anna": "1", "role reader": "2"}, series_of={"root.d1": 7})
    new = counted(3, 30, rights={"user anna": "9", "role reader": "2"}, series_of={"root.d1": 7, "root.d2": 2})
    make_run(task, inventory={"IoTDB": old, "IoTDB-1": counted()})
    make_run(task, inventory={"IoTDB": new | {"version": "2.0.2"}, "IoTDB-1": counted()})
    words = plain(read(viewer_client, "task-compare", task.pk))
    assert "root.d0 40 30 −10 root.d2 0 2 +2" in words, "the greatest difference first, equal ones left out"
    assert "Added: root.d2" in words and "Rights changed of: anna (rights changed)" in words
    assert "IoTDB 2.0.1-beta before, 2.0.2 now" in words
    assert "IoTDB-1 No change" in words and "The same in every database." in words


def test_a_service_of_one_set_only(viewer_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, inventory={"IoTDB": counted(2)})
    make_run(task, inventory={"IoTDB-1": counted(3)})
    words = plain(read(viewer_client, "task-compare", task.pk))
    assert "IoTDB Only in the set before" in words and "IoTDB-1 Only in the set now" in words


def test_a_sick_set_is_warned_of(viewer_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, inventory={"IoTDB": counted(2)}, healthy=True)
    sick = make_run(task, inventory={"IoTDB": counted(2)}, healthy=False)
    assert f"IoTDB was not well when the set of run {sick.pk} was taken" in read(viewer_client, "task-compare", task.pk)


def test_a_removed_set_can_be_compared(viewer_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, inventory={"IoTDB": counted(2)}, set_removed_at=timezone.now())
    make_run(task, inventory={"IoTDB": counted(2)})
    assert "(files removed)" in read(viewer_client, "task-compare", task.pk)


def test_without_counts_the_page_says_what_to_do(login: Login, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task)
    admin = login(BACKUP_ADMINISTRATOR)
    none = read(admin, "task-compare", task.pk)
    assert "No set was counted" in none and "Give the services of plant an account" in none
    assert f'href="/clusters/{task.cluster_id}/">Services of plant' in none
    make_run(task, inventory={"IoTDB": counted()})
    assert "Only one set was counted" in read(admin, "task-compare", task.pk)


def test_the_number_of_queries_is_constant(
    viewer_client: Client, task: BackupTask, make_run: MakeRun, django_assert_max_num_queries: object
) -> None:
    assert callable(django_assert_max_num_queries)
    for number in range(2):
        make_run(task, inventory={"IoTDB": counted(number)})
    with django_assert_max_num_queries(12) as few:
        read(viewer_client, "task-compare", task.pk)
    for number in range(30):
        make_run(task, inventory={"IoTDB": counted(number)})
    with django_assert_max_num_queries(12) as many:
        read(viewer_client, "task-compare", task.pk)
    assert len(few) == len(many)
