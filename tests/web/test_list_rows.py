"""What a row of the list says, and which verbs it offers to whom."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tasks.models import BackupTask, Cluster
from tasks.permissions import BACKUP_ADMINISTRATOR, OPERATOR, VIEWER
from tasks.states import Mode, RunState
from tests.conftest import Login, MakeRun, MakeTask
from tests.web.list_kit import page


@pytest.fixture
def admin(login: Login) -> Client:
    """A Backup Administrator's browser."""
    return login(BACKUP_ADMINISTRATOR)


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
    assert f'>Periodic,</span> <span class="nowrap">{words}<' in page(admin)


def test_the_next_run_and_a_suspended_task(admin: Client, make_task: MakeTask) -> None:
    soon = timezone.now() + timedelta(minutes=30)
    planned = make_task(mode=Mode.PERIODIC, started=soon, next_run_at=soon)
    assert f"{timezone.localtime(soon):%H:%M}</time>" in page(admin)
    BackupTask.objects.filter(pk=planned.pk).update(suspended=True, next_run_at=None)
    text = page(admin)
    assert "Suspended</span>" in text
    assert f'/backups/{planned.pk}/resume/"' in text
    assert f"/backups/{planned.pk}/suspend/" not in text


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


# --- Proof --------------------------------------------------------------------------------------------------
def test_the_proof_of_the_last_good_set_stays_after_a_run_that_failed(
    admin: Client, make_task: MakeTask, make_run: MakeRun
) -> None:
    task = make_task()
    make_run(task, RunState.SUCCESSFUL)
    make_run(task, RunState.FAILED, reason="The disk is full.")
    text = page(admin)
    assert "The disk is full." in text
    assert re.search(r"Verified <time [^>]*>", text)


def test_a_good_set_without_proof_says_so(admin: Client, make_task: MakeTask, make_run: MakeRun) -> None:
    make_run(make_task(), RunState.WARNINGS, verified_at=None)
    assert "Not read back" in page(admin)


def test_restorable_is_said_with_how_it_was_proven_and_since_when(
    admin: Client, make_task: MakeTask, make_run: MakeRun
) -> None:
    now = timezone.now()
    task = make_task(last_rehearsed_at=now - timedelta(days=3, hours=1), last_checked_at=now - timedelta(days=2))
    make_run(task, RunState.SUCCESSFUL, at=now - timedelta(hours=1))
    text = page(admin)
    assert '<span class="proof proof-ok" title="Restorable, proven by rehearsal 3 days ago">' in text
    assert '<span class="visually-hidden">Restorable, proven by rehearsal 3 days ago</span>' in text
    assert re.search(r"Rehearsed <time [^>]*>[34] d ago</time>", text)


def test_what_is_wrong_with_a_proof_stands_below_it(admin: Client, make_task: MakeTask, make_run: MakeRun) -> None:
    problem = "The set of 2026-06-01 03:00 +00:00 is damaged. It has 0 of 12 bytes."
    make_run(make_task(proof_problem=problem), RunState.SUCCESSFUL, at=timezone.now())
    text = page(admin)
    assert 'class="proof proof-warn"' in text and "It has 0 of 12 bytes." in text
    assert re.search(r'<span class="cause">The set of <time [^>]*>2026-06-01 05:00</time> is damaged\.</span>', text)
