"""View History: facts, runs page by page, logs, backup paths, and what refreshes by itself."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tasks import history
from tasks.models import BackupFile, BackupTask, LogLine, Run
from tasks.permissions import OPERATOR, VIEWER
from tasks.states import Mode, RunState, Trigger
from tests.conftest import Login, MakeRun, MakeTask
from tests.web.list_kit import squeezed

HTMX = {"HX-Request": "true"}


def read(client: Client, name: str, pk: int, query: str = "", **options: Any) -> str:
    """Return a page or a part of one as one line of text."""
    response = client.get(reverse(name, args=[pk]) + query, **options)
    assert response.status_code == 200
    return squeezed(response.content.decode())


@pytest.fixture
def operator_client(login: Login) -> Client:
    """An Operator's browser."""
    return login(OPERATOR)


def test_a_task_without_runs(operator_client: Client, task: BackupTask) -> None:
    text = read(operator_client, "task-history", task.pk)
    assert "No runs yet" in text
    assert "Start the task with Back Up Now." in text
    assert "0 of 7" in text


def test_facts_of_a_task(operator_client: Client, make_task: MakeTask, make_run: MakeRun) -> None:
    soon = timezone.now() + timedelta(hours=18, minutes=20, seconds=30)
    task = make_task("daily", mode=Mode.PERIODIC, started=soon, next_run_at=soon)
    for day in range(3):
        make_run(task, RunState.SUCCESSFUL, at=timezone.now() - timedelta(days=5 - day))
    make_run(task, RunState.FAILED, at=timezone.now() - timedelta(days=1), reason="The disk is full.")
    text = read(operator_client, "task-history", task.pk)
    assert "3 of 4 gave a usable set" in text
    assert "in 18 h 20 min" in text
    assert "3 of 7" in text
    assert "3.70 MB" in text
    assert "plant, IoTDB metadata, every day to LocalDir" in text
    assert "4 runs, task created" in text


def test_many_runs_are_counted_so_far(
    operator_client: Client, task: BackupTask, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "COUNTED", 2)
    for _ in range(2):
        make_run(task)
    assert ">2 runs, task created" in read(operator_client, "task-history", task.pk)
    make_run(task)
    assert ">More than 2 runs, task created" in read(operator_client, "task-history", task.pk)


def test_of_a_task_older_than_records_are_kept_the_runs_on_record_are_counted(
    operator_client: Client, task: BackupTask, make_run: MakeRun, settings: Any
) -> None:
    make_run(task)
    BackupTask.objects.update(created_at=timezone.now() - timedelta(days=401))
    assert ">1 run on record, task created" in read(operator_client, "task-history", task.pk)
    settings.RECORDS_DAYS = 0
    assert ">1 run, task created" in read(operator_client, "task-history", task.pk)


def test_what_retention_will_remove_is_said_before(
    operator_client: Client, make_task: MakeTask, make_run: MakeRun
) -> None:
    task = make_task("daily", copies=2)
    make_run(task, RunState.SUCCESSFUL, at=datetime(2026, 6, 1, 1, 0, tzinfo=UTC))
    assert "The next success removes" not in read(operator_client, "task-history", task.pk)
    make_run(task, RunState.SUCCESSFUL, at=datetime(2026, 6, 2, 1, 0, tzinfo=UTC))
    assert "The next success removes the set of 2026-06-01 03:00" in words(operator_client, task)
    task.copies = 1
    task.save()
    assert "The next success removes 2 sets, those up to 2026-06-02 03:00" in words(operator_client, task)


def words(client: Client, task: BackupTask) -> str:
    """Return the page's text without markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", read(client, "task-history", task.pk)))


def test_who_or_what_started_a_run(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, RunState.SUCCESSFUL, trigger=Trigger.SCHEDULE, started_by_name="")
    make_run(task, RunState.SUCCESSFUL, started_by_name="a.novak")
    text = read(operator_client, "task-history", task.pk)
    assert 'data-label="Trigger">Schedule<' in text
    assert 'data-label="Trigger">a.novak<' in text


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.STOPPED, RunState.POSTPONED])
def test_a_run_without_a_set_says_no_file(
    operator_client: Client, task: BackupTask, make_run: MakeRun, state: str
) -> None:
    run = make_run(task, state, reason="Because of this.")
    text = read(operator_client, "task-history", task.pk)
    assert "Because of this." in text
    assert "No file" in text
    assert reverse("run-path", args=[run.pk]) not in text


def test_a_removed_set_says_when(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, RunState.SUCCESSFUL, set_removed_at=datetime(2026, 6, 9, 1, 0, tzinfo=UTC))
    text = read(operator_client, "task-history", task.pk)
    assert re.search(r'Removed <time datetime="2026-06-09T03:00:00\+02:00"[^>]*>\d+ d ago</time>', text)


def test_older_runs_by_key(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    runs = [make_run(task, RunState.FAILED) for _ in range(60)]

    def shown(query: str) -> list[int]:
        return [int(pk) for pk in re.findall(r'id="run-(\d+)"', read(operator_client, "task-history", task.pk, query))]

    newest_first = [run.pk for run in reversed(runs)]
    assert shown("") == newest_first[:25]
    assert f'href="?before={newest_first[24]}"' in read(operator_client, "task-history", task.pk)
    assert shown(f"?before={newest_first[24]}") == newest_first[25:50]
    assert shown(f"?before={newest_first[49]}") == newest_first[50:]
    last = read(operator_client, "task-history", task.pk, f"?before={newest_first[49]}")
    assert "Older" not in last and "Newest" in last and "data-poll" not in last
    assert shown("?before=x") == newest_first[:25]


def test_the_number_of_queries_is_constant(
    operator_client: Client, task: BackupTask, make_run: MakeRun, django_assert_max_num_queries: Any
) -> None:
    make_run(task, RunState.SUCCESSFUL)
    with django_assert_max_num_queries(17) as few:
        read(operator_client, "task-history", task.pk)
    for _ in range(24):
        make_run(task, RunState.SUCCESSFUL)
    with django_assert_max_num_queries(17) as many:
        read(operator_client, "task-history", task.pk)
    assert len(few) == len(many)


def test_verbs_by_role(login: Login, task: BackupTask) -> None:
    run, configure = reverse("task-run", args=[task.pk]), reverse("task-configure", args=[task.pk])
    viewer = read(login(VIEWER), "task-history", task.pk)
    assert run not in viewer and configure not in viewer
    operator = read(login(OPERATOR), "task-history", task.pk)
    assert run in operator and configure not in operator


def test_what_is_impossible_now_says_why(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    idle = read(operator_client, "task-history", task.pk)
    assert re.search(r'id="verb-stop"[^>]*aria-disabled="true" title="Not running"', idle)
    make_run(task, RunState.RUNNING, timezone.now())
    busy = read(operator_client, "task-history", task.pk)
    assert re.search(r'id="verb-run"[^>]*aria-disabled="true" title="Already running"', busy)


def test_history_of_a_deleted_task_stays(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task, RunState.SUCCESSFUL)
    BackupTask.objects.filter(pk=task.pk).update(deleted_at=timezone.now())
    text = read(operator_client, "task-history", task.pk)
    assert "This task was deleted" in text
    assert reverse("task-run", args=[task.pk]) not in text
    assert run.files.get().path in read(operator_client, "run-path", run.pk)


# --- Logs ---------------------------------------------------------------------------------------------------
@pytest.fixture
def logged(task: BackupTask, make_run: MakeRun) -> Run:
    """A failed run with a log of three lines."""
    run = make_run(task, RunState.FAILED)
    at = datetime(2026, 6, 1, 3, 0, 7, tzinfo=UTC)
    for level, text in (("INFO", "Looking"), ("WARN", "Group <3> changed"), ("ERROR", "The disk is full.")):
        LogLine.objects.create(run=run, at=at, level=level, text=text)
    return run


def test_a_log_unfolds_in_the_page(operator_client: Client, logged: Run) -> None:
    text = read(operator_client, "run-log", logged.pk, headers=HTMX)
    assert "<html" not in text
    assert "3 lines, 1 warning, 1 error" in text
    assert '<li data-line="' in text and 'class="warn"' in text and 'class="err"' in text
    assert "Group &lt;3&gt; changed" in text
    assert ">05:00:07</time>" in text


def test_a_log_is_a_page_without_script(operator_client: Client, logged: Run) -> None:
    text = read(operator_client, "run-log", logged.pk)
    assert f"<h1>Log of run {logged.pk}</h1>" in text
    assert "The disk is full." in text


def test_a_log_is_downloaded_as_text(operator_client: Client, logged: Run) -> None:
    response = operator_client.get(reverse("run-log-download", args=[logged.pk]))
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert f'filename="task-1-run-{logged.pk}.log.txt"' in response.headers["Content-Disposition"]
    assert response.content.decode().splitlines()[1] == "2026-06-01 05:00:07+0200 WARN  Group <3> changed"


def test_a_very_long_log_shows_its_end(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task, RunState.FAILED)
    LogLine.objects.bulk_create(LogLine(run=run, text=f"line {number}") for number in range(2100))
    text = read(operator_client, "run-log", run.pk, headers=HTMX)
    assert "100 earlier lines are in the download." in text
    assert "line 2099<" in text and "line 99<" not in text


# --- Backup Path --------------------------------------------------------------------------------------------
def test_backup_path_names_everything(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task, RunState.SUCCESSFUL)
    first = run.files.get()
    BackupFile.objects.create(
        run=run, service="IoTDB-1", directory="d", name="second.tar.gz", path="/srv/second.tar.gz", size=5,
        sha256="cd" * 32, members=1, source_bytes=9, version="2.0.1-beta",
    )  # fmt: skip
    text = read(operator_client, "run-path", run.pk)
    assert f"<h1>Backup Path of run {run.pk}</h1>" in text
    assert "plant, IoTDB and IoTDB-1" in text
    for part in (first.path, first.sha256, "120 files", "/srv/second.tar.gz", "1 file of", "cd" * 32):
        assert part in text
    dialog = read(operator_client, "run-path", run.pk, headers=HTMX)
    assert dialog.count("data-copy=") == 4
    assert "<dialog" in dialog and "<html" not in dialog


def test_backup_path_of_a_removed_set(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task, RunState.SUCCESSFUL, set_removed_at=timezone.now())
    assert "These files are no longer there." in read(operator_client, "run-path", run.pk)


def test_backup_path_of_a_run_without_files(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task, RunState.FAILED)
    assert "This run published no file" in read(operator_client, "run-path", run.pk)


# --- What refreshes -----------------------------------------------------------------------------------------
def test_a_calm_page_asks_for_the_head_now_and_then(
    operator_client: Client, task: BackupTask, make_run: MakeRun
) -> None:
    run = make_run(task, RunState.SUCCESSFUL)
    text = read(operator_client, "task-history", task.pk)
    assert f'data-poll="/backups/{task.pk}/head/?newest={run.pk}&amp;oldest={run.pk}&amp;known={run.pk}"' in text
    assert re.search(r'data-every="30" data-watch="" data-day="\d{4}-\d\d-\d\d"', text)


def test_a_new_run_appears_on_top(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    old = make_run(task, RunState.SUCCESSFUL)
    new = make_run(task, RunState.WAITING)
    text = read(operator_client, "task-history-head", task.pk, f"?newest={old.pk}", headers=HTMX)
    assert '<tbody hx-swap-oob="afterbegin:#runs">' in text
    assert f'id="run-{new.pk}"' in text and f'id="run-{old.pk}"' not in text
    assert f"/runs/{new.pk}/row/?newest={new.pk}&amp;known={new.pk}&amp;state=waiting" in text
    assert 'data-every="3"' in text


def test_a_running_run_moves_cell_by_cell(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    began = timezone.now() - timedelta(seconds=10)
    run = make_run(task, RunState.RUNNING, began, bytes_expected=1000, bytes_read=620, step="Copying IoTDB")
    text = read(operator_client, "run-row", run.pk, f"?newest={run.pk}&state=running", headers=HTMX)
    assert "62 %" in text and "Copying IoTDB" in text
    assert f'id="r{run.pk}-progress" hx-swap-oob="true"' in text
    assert f'id="run-{run.pk}"' not in text


def test_a_run_that_ended_gets_its_final_row(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task, RunState.SUCCESSFUL, at=timezone.now() - timedelta(minutes=1))
    text = read(operator_client, "run-row", run.pk, f"?newest={run.pk}&state=running", headers=HTMX)
    assert f'id="run-{run.pk}" hx-swap-oob="true" data-force' in text
    assert "1.23 MB" in text and "View</a>" in text
    assert f"/backups/{task.pk}/head/?newest={run.pk}" in text
    assert 'data-every="30"' in text


def test_an_unfolded_log_grows_by_what_is_new(operator_client: Client, logged: Run) -> None:
    second = logged.log.order_by("pk")[1]
    text = read(operator_client, "run-row", logged.pk, f"?newest=1&state=failed&after={second.pk}", headers=HTMX)
    assert f'hx-swap-oob="beforeend:#log-{logged.pk}-lines"' in text
    assert "The disk is full." in text and "Looking" not in text
    assert "3 lines, 1 warning, 1 error" in text
    folded = read(operator_client, "run-row", logged.pk, "?newest=1&state=failed", headers=HTMX)
    assert "beforeend" not in folded


@pytest.mark.parametrize("name", ["run-row", "run-log", "run-log-download", "run-path", "task-history"])
def test_what_is_not_there(operator_client: Client, name: str) -> None:
    assert operator_client.get(reverse(name, args=[987654])).status_code == 404
