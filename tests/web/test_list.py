"""The list of Backup Management: what a row says, filter, order, pages, and the cells that refresh."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tasks.models import BackupTask, Cluster, Run
from tasks.permissions import ADMINISTRATOR, BACKUP_ADMINISTRATOR, OPERATOR, VIEWER
from tasks.states import Mode, RunState
from tests.conftest import Login, MakeRun, MakeTask

LIST = "/backups/"


def page(client: Client, query: str = "") -> str:
    """Return the list as one line of text."""
    response = client.get(LIST + query)
    assert response.status_code == 200
    return squeezed(response.content.decode())


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def names(text: str) -> list[str]:
    return re.findall(r'<a class="name" [^>]*>([^<]+)</a>', text)


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


# --- Rows ---------------------------------------------------------------------------------------------------
def test_a_task_that_never_ran(admin: Client, make_task: MakeTask) -> None:
    make_task("fresh")
    text = page(admin)
    assert "No runs yet" in text
    assert "Start it with Back Up Now" in text
    assert "By hand" in text
    assert "0 / 7" in text
    assert ">Never<" in text


@pytest.mark.parametrize(
    ("period", "unit", "words"),
    [(1, "days", "every day"), (7, "days", "every 7 days"), (1, "hours", "every hour"), (4, "hours", "every 4 h")],
)
def test_the_period_in_words(admin: Client, make_task: MakeTask, period: int, unit: str, words: str) -> None:
    make_task(mode=Mode.PERIODIC, period=period, period_unit=unit)
    assert f"Periodic, {words}<" in page(admin)


def test_the_next_run_and_a_suspended_task(admin: Client, make_task: MakeTask) -> None:
    soon = timezone.now() + timedelta(minutes=30)
    planned = make_task(mode=Mode.PERIODIC, started=soon, next_run_at=soon)
    assert f"{timezone.localtime(soon):%H:%M}</time>" in page(admin)
    BackupTask.objects.filter(pk=planned.pk).update(suspended=True, next_run_at=None)
    text = page(admin)
    assert "Suspended</span>" in text
    assert ">Resume</button>" in text
    assert ">Suspend</button>" not in text


def test_a_failed_run_has_its_reason_in_the_cell_and_no_file(
    admin: Client, task: BackupTask, make_run: MakeRun
) -> None:
    make_run(task, RunState.FAILED, reason="10.30.4.9 refused the password of svc-iotdb.")
    text = page(admin)
    assert 'Failed</span></span><span class="cause">10.30.4.9 refused the password of svc-iotdb.</span>' in text
    assert "12 s, no file" in text


def test_a_reason_does_not_say_the_state_twice(admin: Client, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, RunState.POSTPONED, reason="Postponed: the start was 6 min late (limit 120 s).")
    text = page(admin)
    assert '<span class="cause">The start was 6 min late (limit 120 s).</span>' in text
    assert "Nothing was run" in text


def test_a_successful_run_shows_duration_size_proof_and_copies(
    admin: Client, task: BackupTask, make_run: MakeRun
) -> None:
    make_run(task, RunState.SUCCESSFUL, at=timezone.now() - timedelta(minutes=5))
    text = page(admin)
    assert "12 s, 1.23 MB" in text
    assert "Verified <time" in text
    assert "1 / 7" in text
    assert 'aria-label="Last run: 1 successful"' in text


def test_a_running_run_shows_its_figures(admin: Client, task: BackupTask, make_run: MakeRun) -> None:
    began = timezone.now() - timedelta(seconds=10)
    make_run(task, RunState.RUNNING, began, bytes_expected=1_000_000_000, bytes_read=500_000_000, step="Copying IoTDB")
    text = page(admin)
    assert "50 %" in text
    assert 'value="50"' in text
    assert "0.50 of 1.00 GB" in text or "500 MB of 1.00 GB" in text
    assert re.search(r"\d+ s left", text)
    assert "MB/s" in text
    assert "Copying IoTDB" in text


def test_a_stop_that_was_requested_is_said(admin: Client, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, RunState.RUNNING, timezone.now(), stop_requested_at=timezone.now(), stop_requested_by="bernd")
    text = page(admin)
    assert "Stop was requested by bernd" in text
    assert "<small>Stop was requested</small>" in text


def test_the_line_of_a_cluster(admin: Client, make_task: MakeTask, make_run: MakeRun) -> None:
    began = timezone.now()
    for place, (name, state) in enumerate(
        [("one", RunState.RUNNING), ("two", RunState.WAITING), ("three", RunState.WAITING)]
    ):
        make_run(make_task(name), state, began + timedelta(seconds=place))
    text = page(admin)
    assert "First in line" in text
    assert "Starts after one" in text
    assert "2nd in line" in text
    assert "Starts after two" in text


def test_another_clusters_line_is_its_own(admin: Client, make_task: MakeTask, make_run: MakeRun) -> None:
    make_run(make_task("busy"), RunState.RUNNING, timezone.now())
    other = Cluster.objects.create(name="other")
    make_run(make_task("free", cluster=other), RunState.WAITING, timezone.now())
    assert "Starts as soon as a worker is free" in page(admin)


def test_names_and_reasons_are_text(admin: Client, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, RunState.FAILED, reason="<script>alert(1)</script>")
    text = page(admin)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


# --- Roles --------------------------------------------------------------------------------------------------
def test_verbs_are_there_by_role(login: Login, task: BackupTask) -> None:
    viewer, operator, manager = (page(login(role)) for role in (VIEWER, OPERATOR, BACKUP_ADMINISTRATOR))
    run, configure, delete = (reverse(name, args=[task.pk]) for name in ("task-run", "task-configure", "task-delete"))
    assert run not in viewer and configure not in viewer and delete not in viewer
    assert run in operator and configure not in operator and delete not in operator
    assert run in manager and configure in manager and delete in manager
    assert ">Create</a>" not in viewer and ">Create</a>" not in operator and "Create</a>" in manager


def test_what_is_impossible_now_is_there_with_its_reason(admin: Client, task: BackupTask, make_run: MakeRun) -> None:
    text = page(admin)
    assert "<small>Not running</small>" in text
    assert "<small>Only periodic tasks</small>" in text
    make_run(task, RunState.RUNNING, timezone.now())
    assert "<small>Already running</small>" in page(admin)


# --- Filter, order, pages -----------------------------------------------------------------------------------
def test_search_by_name_and_by_address(admin: Client, make_task: MakeTask) -> None:
    make_task("east-daily", path_type="SFTP", destination={"server_ip": "10.20.4.18", "username": "svc-iotdb"})
    make_task("west-daily")
    assert names(page(admin, "?q=EAST")) == ["east-daily"]
    assert names(page(admin, "?q=10.20.4")) == ["east-daily"]
    assert names(page(admin, "?q=svc-iotdb")) == []
    assert names(page(admin, "?q=%25")) == []


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
    with django_assert_max_num_queries(12) as few:
        page(admin, "?status=waiting")
    busy(30)
    with django_assert_max_num_queries(12) as many:
        page(admin, "?status=waiting")
    assert len(few) == len(many)
    ids = ",".join(str(pk) for pk in BackupTask.objects.values_list("pk", flat=True)[:25])
    with django_assert_max_num_queries(12):
        admin.get(f"/backups/cells/?ids={ids}")


# --- Cells that refresh -------------------------------------------------------------------------------------
def test_the_page_looks_again_soon_while_something_is_active(
    admin: Client, task: BackupTask, make_run: MakeRun
) -> None:
    assert 'data-every="30"' in page(admin)
    make_run(task, RunState.WAITING)
    text = page(admin, "?q=task")
    assert 'data-every="3"' in text
    assert f'data-poll="/backups/cells/?ids={task.pk}&amp;q=task"' in text


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


# --- Verbs --------------------------------------------------------------------------------------------------
def test_back_up_now_goes_back_to_where_the_person_was(admin: Client, task: BackupTask) -> None:
    response = admin.post(reverse("task-run", args=[task.pk]), {"next": "/backups/?q=task&page=2"}, follow=True)
    assert response.redirect_chain[0] == ("/backups/?q=task&page=2", 302)
    assert f"{task.name} is waiting." in response.content.decode()
    assert Run.objects.get(task=task).started_by_name == "backup-administrator"


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""])
def test_next_never_leads_away(admin: Client, task: BackupTask, target: str) -> None:
    assert admin.post(reverse("task-run", args=[task.pk]), {"next": target}).headers["Location"] == LIST


def test_a_refusal_is_a_notice(admin: Client, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, RunState.RUNNING, timezone.now())
    text = admin.post(reverse("task-run", args=[task.pk]), follow=True).content.decode()
    assert 'class="notice notice-fail" role="alert"' in text
    assert f"{task.name} is already running." in text


def test_htmx_gets_the_message_and_the_order_to_refresh(admin: Client, task: BackupTask) -> None:
    response = admin.post(reverse("task-run", args=[task.pk]), headers={"HX-Request": "true"})
    assert response.status_code == 200
    assert response.headers["HX-Trigger"] == "refresh-now"
    text = response.content.decode()
    assert 'id="toasts" hx-swap-oob="beforeend"' in text
    assert f"{task.name} is waiting." in text
    refused = admin.post(reverse("task-run", args=[task.pk]), headers={"HX-Request": "true"}).content.decode()
    assert 'id="notices-new" hx-swap-oob="innerHTML"' in refused
    assert "is already waiting." in refused


def test_stop_of_a_waiting_and_of_a_running_run(admin: Client, make_task: MakeTask, make_run: MakeRun) -> None:
    waiting, running, idle = make_task("waits"), make_task(), make_task()
    make_run(waiting, RunState.WAITING)
    run = make_run(running, RunState.RUNNING, timezone.now())

    def stop(task: BackupTask) -> str:
        return admin.post(reverse("task-stop", args=[task.pk]), follow=True).content.decode()

    assert f"{waiting.name} was stopped." in stop(waiting)
    assert "Nothing was run" in page(admin, "?q=waits")
    assert f"Stop was requested for {running.name}." in stop(running)
    run.refresh_from_db()
    assert run.stop_requested_by == "backup-administrator"
    assert "There is nothing to stop." in stop(idle)


def test_suspend_and_resume(admin: Client, make_task: MakeTask) -> None:
    task = make_task(mode=Mode.PERIODIC)
    assert "is suspended." in admin.post(reverse("task-suspend", args=[task.pk]), follow=True).content.decode()
    text = admin.post(reverse("task-resume", args=[task.pk]), follow=True).content.decode()
    assert "Its next run is" in text
    manual = make_task()
    refused = admin.post(reverse("task-suspend", args=[manual.pk]), follow=True).content.decode()
    assert "Only periodic tasks can be suspended." in refused


def test_verbs_on_a_task_that_is_gone(admin: Client) -> None:
    assert admin.post(reverse("task-run", args=[987654])).status_code == 404


# --- Delete -------------------------------------------------------------------------------------------------
def test_delete_says_first_what_stays(admin: Client, make_task: MakeTask, make_run: MakeRun) -> None:
    task = make_task("old", mode=Mode.PERIODIC)
    make_run(task, RunState.SUCCESSFUL)
    text = squeezed(admin.get(reverse("task-delete", args=[task.pk]), {"next": "/backups/?q=o"}).content.decode())
    assert "Delete backup task old?" in text
    assert "All backup files stay where they are." in text
    assert "1 backup file set stays on" in text
    assert f"/srv/storage/LocalBackup/{task.directory}</code>" in text
    assert "will not take place" in text
    assert 'name="next" value="/backups/?q=o"' in text
    assert BackupTask.objects.filter(pk=task.pk).exists()


def test_delete_is_a_dialog_for_htmx(admin: Client, task: BackupTask) -> None:
    text = admin.get(reverse("task-delete", args=[task.pk]), headers={"HX-Request": "true"}).content.decode()
    assert "<dialog" in text and "<html" not in text


def test_delete_keeps_history_and_tells_of_the_files(admin: Client, task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task, RunState.SUCCESSFUL)
    response = admin.post(reverse("task-delete", args=[task.pk]), {"next": LIST}, follow=True)
    text = response.content.decode()
    assert f"Task {task.name} deleted." in text
    assert "1 backup file set stays on" in text
    assert not BackupTask.objects.filter(pk=task.pk).exists()
    assert Run.objects.filter(pk=run.pk).exists()


def test_delete_of_a_running_task_warns(login: Login, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, RunState.RUNNING, timezone.now())
    text = login(ADMINISTRATOR).get(reverse("task-delete", args=[task.pk])).content.decode()
    assert "The run that is running now is stopped" in text
