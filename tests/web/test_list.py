"""The list of Backup Management: what a row says, filter, order, pages, and the cells that refresh."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tasks.models import BackupTask, Cluster
from tasks.permissions import BACKUP_ADMINISTRATOR, VIEWER
from tasks.states import Mode, RunState
from tests.conftest import Login, MakeRun, MakeTask
from tests.web.list_kit import names, page, squeezed


@pytest.fixture
def admin(login: Login) -> Client:
    """A Backup Administrator's browser."""
    return login(BACKUP_ADMINISTRATOR)


# --- Empty --------------------------------------------------------------------------------------------------
def test_without_clusters_the_first_step_is_a_cluster(admin: Client) -> None:
    text = page(admin)
    assert "No cluster is registered" in text
    assert reverse("cluster-new") in text
    assert reverse("task-new") not in text


def test_without_tasks_the_first_step_is_a_task(admin: Client, cluster: Cluster) -> None:
    text = page(admin)
    assert "plant is registered and nothing protects its IoTDB metadata" in text
    assert reverse("task-new") in text


def test_a_viewer_is_told_whom_to_ask(login: Login, cluster: Cluster) -> None:
    text = page(login(VIEWER))
    assert "A Backup Administrator can create one." in text
    assert reverse("task-new") not in text


def test_a_filter_without_a_hit_says_so_and_offers_to_clear_it(admin: Client, task: BackupTask) -> None:
    text = page(admin, "?q=nothing-like-this")
    assert "No task matches the filter" in text
    assert "1 task is hidden by it." in text
    assert "1 task matches the filter." in page(admin, f"?q={task.name}")
    assert "Clear filter" in text


# --- Filter, order, pages -----------------------------------------------------------------------------------
def test_search_by_name_and_by_address(admin: Client, make_task: MakeTask) -> None:
    make_task("east-daily", path_type="SFTP", destination={"server_ip": "10.20.4.18", "username": "svc-iotdb"})
    make_task("west-daily")
    assert names(page(admin, "?q=EAST")) == ["east-daily"]
    assert names(page(admin, "?q=10.20.4")) == ["east-daily"]
    assert names(page(admin, "?q=svc-iotdb")) == []
    assert names(page(admin, "?q=%25")) == []
    assert names(page(admin, "?q=_")) == []


def test_search_knows_no_case_in_any_language_and_follows_every_change(admin: Client, make_task: MakeTask) -> None:
    task = make_task("east", path_type="CIFS", destination={"server_ip": "fs1", "shared_path": 'Sicherung\\Müller "a"'})
    for text in ("müller", "MÜLLER", 'müller "a"', "sicherung\\m", "FS1"):
        assert names(page(admin, f"?{urlencode({'q': text})}")) == ["east"], text
    task.destination = {"server_ip": "fs2"}
    task.save(update_fields=["destination"])
    assert names(page(admin, "?q=fs1")) == [] and names(page(admin, "?q=fs2")) == ["east"]
    task.name = "west"
    task.save()
    assert names(page(admin, "?q=east")) == [] and names(page(admin, "?q=west")) == ["west"]


def test_filters_and_status_chips(admin: Client, make_task: MakeTask, make_run: MakeRun) -> None:
    other = Cluster.objects.create(name="other")
    make_run(make_task("a-failed"), RunState.FAILED)
    make_run(make_task("b-good", cluster=other), RunState.SUCCESSFUL)
    make_task("c-suspended", mode=Mode.PERIODIC, suspended=True, path_type="NFS")
    assert names(page(admin, f"?cluster={other.pk}")) == ["b-good"]
    assert names(page(admin, "?mode=periodic")) == ["c-suspended"]
    assert names(page(admin, "?path=NFS")) == ["c-suspended"]
    assert names(page(admin, "?status=failed")) == ["a-failed"]
    assert names(page(admin, "?status=suspended")) == ["c-suspended"]
    assert names(page(admin, "?status=none")) == ["c-suspended"]
    text = page(admin, "?status=failed")
    assert "All <b>3</b>" in text
    assert re.search(r'aria-current="true"[^>]*>(?:(?!</a>).)*Failed <b>1</b>', text)
    assert "Postponed <b>" not in text


def test_unknown_values_in_the_address_are_passed_over(admin: Client, task: BackupTask) -> None:
    text = page(admin, "?cluster=x&mode=y&path=z&status=w&sort=-v&page=-3&q=%00")
    assert names(text) == [task.name]
    assert names(page(admin, "?page=99999&cluster=")) == [task.name]


def test_what_needs_attention_comes_first(admin: Client, make_task: MakeTask, make_run: MakeRun) -> None:
    for name, state in (("good", RunState.SUCCESSFUL), ("bad", RunState.FAILED), ("busy", RunState.RUNNING)):
        make_run(make_task(name), state)
    make_task("new")
    text = page(admin)
    assert names(text) == ["busy", "bad", "good", "new"]
    assert 'aria-sort="ascending"><a class="sort" href="?sort=-status">Task Status' in text
    assert names(page(admin, "?sort=-status")) == ["new", "good", "bad", "busy"]


def test_order_by_columns_with_nothing_last(admin: Client, make_task: MakeTask) -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    make_task("b", mode=Mode.PERIODIC, next_run_at=at)
    make_task("c", mode=Mode.PERIODIC, next_run_at=at + timedelta(days=1))
    make_task("a")
    assert names(page(admin, "?sort=name")) == ["a", "b", "c"]
    assert names(page(admin, "?sort=-name")) == ["c", "b", "a"]
    assert names(page(admin, "?sort=next")) == ["b", "c", "a"]
    assert names(page(admin, "?sort=-next")) == ["c", "b", "a"]


def test_pages_of_25_keep_the_filter(admin: Client, make_task: MakeTask) -> None:
    for number in range(60):
        make_task(f"t-{number:02}")
    first = page(admin, "?q=t-&sort=name")
    assert len(names(first)) == 25
    assert "1 to 25 of 60" in first
    assert 'rel="next" href="?q=t-&amp;sort=name&amp;page=2"' in first
    last = page(admin, "?q=t-&sort=name&page=3")
    assert names(last)[-1] == "t-59"
    assert "51 to 60 of 60" in last
    assert 'rel="next"' not in last
    assert names(page(admin, "?q=t-&sort=name&page=9")) == names(last)


def test_the_number_of_queries_does_not_depend_on_the_length(
    admin: Client, make_task: MakeTask, make_run: MakeRun, django_assert_max_num_queries: Any
) -> None:
    def busy(number: int) -> None:
        for _ in range(number):
            cluster = Cluster.objects.create(name=f"c-{Cluster.objects.count()}")
            make_run(make_task(cluster=cluster), RunState.RUNNING)
            make_run(make_task(cluster=cluster), RunState.WAITING)

    busy(2)
    page(admin)
    # Only rows that wait need the line of their cluster, so the pages compared hold such rows.
    with django_assert_max_num_queries(14) as few:
        page(admin, "?status=waiting")
    busy(30)
    with django_assert_max_num_queries(14) as many:
        page(admin, "?status=waiting")
    assert len(few) == len(many)
    ids = ",".join(str(pk) for pk in BackupTask.objects.values_list("pk", flat=True)[:25])
    with django_assert_max_num_queries(13):
        admin.get(f"/backups/cells/?ids={ids}")


# --- Cells that refresh -------------------------------------------------------------------------------------
def test_the_page_looks_again_soon_while_something_is_active(
    admin: Client, task: BackupTask, make_run: MakeRun
) -> None:
    assert 'data-every="30"' in page(admin)
    make_run(task, RunState.WAITING)
    text = page(admin, "?q=task")
    assert 'data-every="3"' in text
    assert f'data-poll="/backups/cells/?ids={task.pk}&amp;newest={task.pk}&amp;q=task"' in text


def test_cells_are_swapped_by_id(admin: Client, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, RunState.FAILED, reason="The disk is full.")
    text = squeezed(admin.get(f"/backups/cells/?ids={task.pk}", headers={"HX-Request": "true"}).content.decode())
    for part in ("mode", "status", "progress", "success", "copies", "menu"):
        assert re.search(rf'id="t{task.pk}-{part}"[^>]*hx-swap-oob="true"', text), part
    assert f'data-say="{task.name}: Failed. The disk is full."' in text
    assert "<html" not in text


def test_a_task_that_was_deleted_meanwhile_goes_from_the_page(admin: Client, task: BackupTask) -> None:
    BackupTask.objects.filter(pk=task.pk).update(deleted_at=timezone.now())
    text = admin.get(f"/backups/cells/?ids={task.pk}").content.decode()
    assert f'<tr id="task-{task.pk}" hx-swap-oob="delete">' in text


@pytest.mark.parametrize("ids", ["", "x", "1,,2", "99999999999999999999999", "-1", "1" * 5000])
def test_nonsense_for_ids_is_answered(admin: Client, ids: str) -> None:
    assert admin.get("/backups/cells/", {"ids": ids}).status_code == 200


def test_cells_hold_no_verbs_for_a_viewer(login: Login, task: BackupTask) -> None:
    assert "<button" not in login(VIEWER).get(f"/backups/cells/?ids={task.pk}").content.decode()


def test_runs_that_wait_stand_in_the_order_of_their_line(admin: Client, make_task: MakeTask, make_run: MakeRun) -> None:
    tasks = {name: make_task(name=name) for name in ("third", "second", "fourth")}
    for minute, name in enumerate(("second", "third", "fourth")):
        make_run(tasks[name], RunState.WAITING, datetime(2026, 6, 1, 3, minute, tzinfo=UTC))
    assert names(page(admin)) == ["second", "third", "fourth"]
