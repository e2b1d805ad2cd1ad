"""View History: how sets are proven, what changed in IoTDB, and what can be done with a set."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tasks.models import BackupFile, BackupTask, Run
from tasks.permissions import ADMINISTRATOR, OPERATOR, RESTORE_ADMINISTRATOR, VIEWER
from tasks.states import Kind, RunState
from tests.conftest import Login, MakeRun
from tests.web.history_kit import (
    browser_of_an_operator,  # noqa: F401
    plain,
    prove,
)
from tests.web.inventory_sets import after, counted
from tests.web.test_history import HTMX, read

pytestmark = pytest.mark.django_db


def cell(text: str, label: str) -> str:
    """Return the text of the first cell of a column."""
    found = re.search(rf'data-label="{label}"[^>]*>(.*?)</td>', text)
    assert found, f"no cell {label}"
    return plain(found[1]).strip()


# --- The column Proof -------------------------------------------------------------------------------------------------
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Verified {}"),
        ({"parameters": {"read_back": False}}, "Not read back"),
        ({"checked_at": 2}, "Checked 2 d ago"),
        ({"rehearsed_at": 3}, "Rehearsed 3 d ago"),
        ({"rehearsed_at": 3, "checked_at": 2}, "Rehearsed 3 d ago Checked 2 d ago"),
        ({"rehearsed_at": 3, "checked_at": 4}, "Rehearsed 3 d ago"),
        ({"damaged_at": 2, "damage": "a.tlog differs.", "checked_at": 2}, "Damaged 2 d ago a.tlog differs."),
    ],
)
def test_the_strongest_proof_comes_first(
    operator_client: Client, task: BackupTask, make_run: MakeRun, fields: dict[str, Any], words: str
) -> None:
    now = timezone.now()
    moments = {name: now - value * DAY if name.endswith("_at") else value for name, value in fields.items()}
    make_run(task, at=now - 5.5 * DAY, **moments)
    assert cell(read(operator_client, "task-history", task.pk), "Proof") == words.format("5 d ago")


def test_a_run_without_a_set_has_no_proof(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, RunState.FAILED)
    text = read(operator_client, "task-history", task.pk)
    assert cell(text, "Proof") == "None" and cell(text, "Change") == "None"


def test_a_set_of_a_sick_iotdb_says_so(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task, healthy=False, inventory={"IoTDB": counted()})
    assert "IoTDB was not well" in cell(read(operator_client, "task-history", task.pk), "Proof")
    assert "IoTDB was not well when this set was taken" in read(operator_client, "run-log", run.pk, headers=HTMX)


# --- The column Change, and the panel -----------------------------------------------------------------------------
def test_what_changed_since_the_run_before(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    old, new = {"IoTDB": counted(2, 40)}, {"IoTDB": counted(3, 38, names={"users": ["root"]}, counts={"users": 1})}
    first = make_run(task, inventory=old)
    second = make_run(task, **after(old, new))
    text = read(operator_client, "task-history", task.pk)
    assert cell(text, "Change") == "+1 database, −2 series, −1 user"
    panel = read(operator_client, "run-log", second.pk, headers=HTMX)
    words = plain(panel)
    assert "Difference to the run before" in words
    assert "Databases 2 3 +1" in words and "Time series 40 38 −2" in words and "Users 2 1 −1" in words
    assert "Added: root.d2 (database)" in words and "Gone: anna (user)" in words
    assert f"before={first.pk}&amp;now={second.pk}" in panel


def test_the_first_run_shows_its_counts(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task, inventory={"IoTDB": counted(2, 1_040)})
    assert cell(read(operator_client, "task-history", task.pk), "Change") == "First counts"
    words = plain(read(operator_client, "run-log", run.pk, headers=HTMX))
    assert "Counted in IoTDB" in words and "Time series 1,040" in words and "Before" not in words


def test_runs_between_that_could_not_count_are_passed_over(
    operator_client: Client, task: BackupTask, make_run: MakeRun
) -> None:
    old = {"IoTDB": counted(2, 40)}
    first = make_run(task, inventory=old)
    make_run(task)
    make_run(task, RunState.FAILED)
    last = make_run(task, **after(old, old))
    text = read(operator_client, "task-history", task.pk)
    assert cell(text, "Change") == "No change"
    assert f"Run {first.pk}," in plain(read(operator_client, "run-log", last.pk, headers=HTMX))


def test_without_an_account_counts_are_unknown(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task)
    assert cell(read(operator_client, "task-history", task.pk), "Change") == "Unknown"
    assert "Give the service an IoTDB user" in read(operator_client, "run-log", run.pk, headers=HTMX)


def test_each_of_several_services_is_named(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    old = {"IoTDB": counted(2), "IoTDB-1": counted(2)}
    new = {"IoTDB": counted(2), "IoTDB-1": counted(4), "IoTDB-2": counted(1)}
    make_run(task, inventory=old)
    run = make_run(task, **after(old, new))
    for service in ("IoTDB-1", "IoTDB-2"):
        values = {"directory": "d", "name": f"{service}.tar.gz", "path": f"/srv/{service}.tar.gz", "sha256": "ab" * 32}
        BackupFile.objects.create(run=run, service=service, size=5, members=1, source_bytes=9, version="2", **values)
    assert cell(read(operator_client, "task-history", task.pk), "Change") == "IoTDB-1: +2 databases"
    words = plain(read(operator_client, "run-log", run.pk, headers=HTMX))
    assert "IoTDB : no change" in words and "IoTDB-2 Counted Number Databases 1" in words


def test_long_lists_of_names_end(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    old = {"IoTDB": counted(1)}
    make_run(task, inventory=old)
    run = make_run(task, **after(old, {"IoTDB": counted(41)}))
    text = read(operator_client, "run-log", run.pk, headers=HTMX)
    assert text.count('class="added"') == 10 and "and 30 more (databases)" in text


def test_what_iotdb_did_not_answer_is_said(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    inventory = {"IoTDB": counted(errors={"SHOW PIPES": "803: No permissions"}, unsteady={"series": 44})}
    run = make_run(task, inventory=inventory)
    words = plain(read(operator_client, "run-log", run.pk, headers=HTMX))
    assert "Not answered by IoTDB: SHOW PIPES." in words
    assert "Changed while the copy went on: Time series 40 to 44." in words


# --- What can be done -------------------------------------------------------------------------------------------------
def test_a_viewer_only_looks(login: Login, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, inventory={"IoTDB": counted()})
    text = read(login(VIEWER), "task-history", task.pk)
    for word in ("Check set", "Rehearse<", "Salvage", ">Restore<"):
        assert word not in text
    assert "Compare with another set" in text and "Show log" in text


def test_a_set_is_checked_from_its_row(operator_client: Client, task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task)
    address, here = reverse("run-check", args=[run.pk]), reverse("task-history", args=[task.pk]) + "?before=99"
    assert f'formaction="{address}" hx-post="{address}"' in read(operator_client, "task-history", task.pk)
    answer = operator_client.post(address, {"next": here}, follow=True)
    assert answer.redirect_chain[0] == (here, 302)
    assert f"The check of the set of run {run.pk} is waiting." in answer.content.decode()
    check = run.proofs.get()
    assert (check.kind, check.state, check.started_by_name) == (Kind.CHECK, RunState.WAITING, "operator")
    again = operator_client.post(address, headers=HTMX)
    assert again.headers["HX-Trigger"] == "refresh-now"
    assert "A check of the set is already waiting." in again.content.decode()
    assert run.proofs.count() == 1


def test_what_a_rehearsal_lacks_is_said_and_how_to_cure_it(
    operator_client: Client, task: BackupTask, make_run: MakeRun, settings: Any
) -> None:
    settings.IOTDB_INSTALLATIONS = ()
    run = make_run(task)
    answer = operator_client.post(reverse("run-rehearse", args=[run.pk]), follow=True)
    assert answer.redirect_chain[0] == (reverse("task-history", args=[task.pk]), 302)
    assert "This machine cannot rehearse the set." in answer.content.decode()
    assert not run.proofs.exists()


def verb(text: str, word: str) -> str:
    """Return the reason why a verb of the first row is impossible, or ``possible``, or nothing where it is absent."""
    found = re.search(rf"<li><(button|a)[^>]*>(?:<svg.*?</svg>){word}(?:<small>(.*?)</small>)?</", text)
    return "" if found is None else found[2] or "possible"


def test_what_is_impossible_now_says_why(login: Login, task: BackupTask, make_run: MakeRun) -> None:
    admin, run = login(ADMINISTRATOR), make_run(task, inventory={"IoTDB": counted()})

    def verbs() -> list[str]:
        text = read(admin, "task-history", task.pk)
        return [verb(text, word) for word in ("Restore", "Check set", "Rehearse", "Salvage")]

    assert verbs() == ["", "possible", "possible", "possible"]
    proof = prove(run, Kind.REHEARSAL, RunState.RUNNING)
    assert verbs() == ["", "Rehearsal is running", "Rehearsal is running", "possible"]
    Run.objects.filter(pk=proof.pk).update(state=RunState.FAILED, ended_at=timezone.now())
    Run.objects.filter(pk=run.pk).update(damaged_at=timezone.now(), damage="A bit.", inventory={})
    assert verbs() == ["The set is damaged", "possible", "The set is damaged", "No inventory in the set"]
    Run.objects.filter(pk=run.pk).update(set_removed_at=timezone.now())
    assert verbs() == ["The set was removed"] * 4


def test_sets_of_a_deleted_task_can_still_be_proven(
    operator_client: Client, task: BackupTask, make_run: MakeRun
) -> None:
    run = make_run(task)
    BackupTask.objects.filter(pk=task.pk).update(deleted_at=timezone.now())
    assert verb(read(operator_client, "task-history", task.pk), "Check set") == "possible"
    operator_client.post(reverse("run-check", args=[run.pk]))
    assert run.proofs.count() == 1


def test_a_set_is_restored_from_its_row(login: Login, task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task)
    address = reverse("restoration-new-from-run", args=[run.pk])
    assert f'formaction="{address}" aria-label="Restore run {run.pk}"' in read(
        login(RESTORE_ADMINISTRATOR), "task-history", task.pk
    )
    assert address not in read(login(OPERATOR), "task-history", task.pk)


def test_the_set_is_chosen_on_the_page(login: Login, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task)
    asked = read(login(RESTORE_ADMINISTRATOR), "task-history", task.pk, "?choose=set")
    assert "Choose the set to restore" in asked
    assert "Choose the set to restore" not in read(login(VIEWER), "task-history", task.pk, "?choose=set")
