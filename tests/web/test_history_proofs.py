"""View History: the page of a run, the proofs of its set, and what refreshes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tasks.models import BackupTask, Cluster, Restoration, Run
from tasks.permissions import VIEWER
from tasks.states import Kind, RunState, Trigger
from tests.conftest import Login, MakeRun
from tests.web.history_kit import (
    browser_of_an_operator,  # noqa: F401
    plain,
    prove,
)
from tests.web.inventory_sets import after, counted
from tests.web.test_history import HTMX, read

pytestmark = pytest.mark.django_db


# --- Proofs of a run --------------------------------------------------------------------------------------------------
def test_proofs_stand_beside_the_log(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task)
    check = prove(run, Kind.CHECK, reason="Every hash is equal.")
    text = read(operator_client, "run-log", run.pk, headers=HTMX)
    words = plain(text)
    assert "Check set Successful" in words and "by the schedule, 9 s. Log Every hash is equal." in words
    assert reverse("run-log", args=[check.pk]) in text


STEPS = [
    {"key": "fetch", "title": "Fetch the set", "state": "done", "text": "282 members.",
     "began": "2026-06-01T01:00:00+00:00", "ended": "2026-06-01T01:01:12+00:00"},
    {"key": "start", "title": "Start IoTDB", "state": "failed", "text": "It did not answer.", "began": "", "ended": ""},
    {"key": "compare", "title": "Compare", "state": "skipped", "text": "", "began": "", "ended": ""},
]  # fmt: skip


def test_the_page_of_a_rehearsal_says_of_which_set_and_shows_its_steps(
    operator_client: Client, task: BackupTask, make_run: MakeRun
) -> None:
    run = make_run(task)
    rehearsal = prove(run, Kind.REHEARSAL, RunState.FAILED, reason="IoTDB did not start.", steps=STEPS)
    text = read(operator_client, "run-log", rehearsal.pk)
    assert f"<h1>Rehearsal of the set of run {run.pk}</h1>" in text
    assert f"<title>Rehearsal of the set of run {run.pk} of {task.name}" in text
    words = plain(text)
    assert "Done Fetch the set 1 min 12 s 282 members." in words and "Failed Start IoTDB" in words
    assert f'<a href="{reverse("task-history", args=[task.pk])}">{task.name}</a>' in text
    assert "data-poll" not in text and "Difference" not in text


def test_the_page_of_a_restoration_run_leads_to_its_task(login: Login, cluster: Cluster) -> None:
    now = timezone.now()
    restoration = Restoration.objects.create(name="restore-1", cluster=cluster, path_type="LocalDir", taken_at=now)
    run = Run.objects.create(
        kind=Kind.RESTORE, restoration=restoration, cluster=cluster, trigger=Trigger.PERSON, started_by_name="anna",
        state=RunState.ROLLED_BACK, started_at=now, ended_at=now, reason="It did not start.", steps=STEPS,
    )  # fmt: skip
    text = read(login(VIEWER), "run-log", run.pk)
    assert f"<h1>Restoration, run {run.pk}</h1>" in text and "by anna" in text and "Rolled back" in text
    assert f'<a href="{reverse("restoration", args=[restoration.pk])}">restore-1</a>' in text
    assert re.search(r'<a href="/restorations/" aria-current="true">', text)
    assert 'href="/backups/" aria-current' not in text


def test_the_page_of_a_run_that_goes_on_looks_again_by_itself(
    operator_client: Client, task: BackupTask, make_run: MakeRun
) -> None:
    steps = [STEPS[0], STEPS[1] | {"state": "now", "done": 30, "of": 60, "began": timezone.now().isoformat()}]
    check = prove(make_run(task), Kind.CHECK, RunState.RUNNING, steps=steps)
    text = read(operator_client, "run-log", check.pk)
    assert f'data-poll="{reverse("run-news", args=[check.pk])}" data-every="3" data-watch="{check.pk}"' in text
    news = read(operator_client, "run-news", check.pk, "?after=0", headers=HTMX)
    assert 'aria-current="step"' in news and 'value="50"' in news and 'id="run-facts" hx-swap-oob="true"' in news


def test_the_run_of_a_backup_gets_its_differences_when_it_ends(
    operator_client: Client, task: BackupTask, make_run: MakeRun
) -> None:
    run = make_run(task, inventory={"IoTDB": counted()})
    assert f'id="diff-{run.pk}" hx-swap-oob="true"' in read(operator_client, "run-news", run.pk, headers=HTMX)


# --- What refreshes ---------------------------------------------------------------------------------------------------
def test_a_set_that_is_being_proven_is_watched(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    old, new = make_run(task), make_run(task)
    proof = prove(old, Kind.CHECK, RunState.WAITING)
    text = read(operator_client, "task-history", task.pk)
    assert "Check is waiting" in text
    query = f"newest={new.pk}&oldest={old.pk}&known={proof.pk}&proving={old.pk}".replace("&", "&amp;")
    assert f'data-poll="/backups/{task.pk}/head/?{query}" data-every="3"' in text
    Run.objects.filter(pk=proof.pk).update(state=RunState.SUCCESSFUL, ended_at=timezone.now())
    Run.objects.filter(pk=old.pk).update(checked_at=timezone.now())
    news = read(operator_client, "task-history-head", task.pk, "?" + query.replace("&amp;", "&"), headers=HTMX)
    assert f'id="r{old.pk}-proof" data-label="Proof" hx-swap-oob="true"' in news and "Checked" in news
    assert 'data-every="30"' in news and "proving" not in news


def test_a_proof_that_begins_elsewhere_shows(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task)
    prove(run, Kind.REHEARSAL, RunState.RUNNING)
    news = read(operator_client, "task-history-head", task.pk, f"?newest={run.pk}&oldest={run.pk}", headers=HTMX)
    assert "Rehearsal is running" in news and f"proving={run.pk}" in news and 'data-every="3"' in news


def test_a_proof_that_began_and_ended_between_two_looks_shows(
    operator_client: Client, task: BackupTask, make_run: MakeRun
) -> None:
    run, other = make_run(task), make_run(task)
    before = prove(other, Kind.CHECK)
    shown = f"?newest={other.pk}&oldest={run.pk}&known={before.pk}"
    proof = prove(run, Kind.CHECK)
    Run.objects.filter(pk=run.pk).update(checked_at=timezone.now())
    news = read(operator_client, "task-history-head", task.pk, shown, headers=HTMX)
    assert f'id="r{run.pk}-proof"' in news and "Checked" in news
    assert f'id="r{other.pk}-proof"' not in news
    assert f"known={proof.pk}" in news and "proving" not in news
    after_it = shown.replace(f"known={before.pk}", f"known={proof.pk}")
    assert f'id="r{run.pk}-proof"' not in read(operator_client, "task-history-head", task.pk, after_it, headers=HTMX)


def test_sets_on_other_pages_are_not_sent(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    old, new = make_run(task), make_run(task)
    prove(old, Kind.CHECK, RunState.RUNNING)
    news = read(operator_client, "task-history-head", task.pk, f"?newest={new.pk}&oldest={new.pk}", headers=HTMX)
    assert f'id="r{old.pk}-proof"' not in news and "proving" not in news


def test_what_an_unfolded_run_counted_comes_with_its_end(
    operator_client: Client, task: BackupTask, make_run: MakeRun
) -> None:
    run = make_run(task, inventory={"IoTDB": counted()})
    query = f"?newest={run.pk}&oldest={run.pk}&state=running"
    unfolded = read(operator_client, "run-row", run.pk, query + "&after=1", headers=HTMX)
    assert f'id="diff-{run.pk}" hx-swap-oob="true"' in unfolded and "Time series" in unfolded
    assert f'id="diff-{run.pk}"' not in read(operator_client, "run-row", run.pk, query, headers=HTMX)


def test_a_new_row_is_put_in_as_a_whole(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    old, new = make_run(task), make_run(task)
    news = read(operator_client, "task-history-head", task.pk, f"?newest={old.pk}&oldest={old.pk}", headers=HTMX)
    row = re.search(rf'<tr role="row" id="run-{new.pk}".*?</tr>', news)
    assert row and "hx-swap-oob" not in row[0]


def test_inventories_are_not_read_for_a_page_of_runs(
    operator_client: Client, task: BackupTask, make_run: MakeRun, django_assert_max_num_queries: Any
) -> None:
    make_run(task, inventory={"IoTDB": counted()})
    for name in ("task-history", "task-history-head"):
        with django_assert_max_num_queries(17) as asked:
            read(operator_client, name, task.pk)
        columns = [query["sql"].split(" FROM ")[0] for query in asked.captured_queries]
        assert not [found for found in columns if re.search(r'"tasks_run"\."(inventory|steps)",', found)], name


def test_proofs_cost_no_more_queries(
    operator_client: Client, task: BackupTask, make_run: MakeRun, django_assert_max_num_queries: Any
) -> None:
    inventory = {"IoTDB": counted()}
    prove(make_run(task, inventory=inventory), Kind.CHECK, RunState.RUNNING)
    with django_assert_max_num_queries(17) as few:
        read(operator_client, "task-history", task.pk)
    for number in range(24):
        run = make_run(task, **after(inventory, {"IoTDB": counted(number)}))
        prove(run, Kind.CHECK, RunState.WAITING)
        prove(run, Kind.REHEARSAL)
    with django_assert_max_num_queries(17) as many:
        read(operator_client, "task-history", task.pk)
    assert len(few) == len(many)
