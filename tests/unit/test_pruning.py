"""Records that are too old go, slice by slice, and nothing goes that is still needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse

from tasks import alarms
from tasks.engine import pruning
from tasks.models import Alarm, BackupFile, BackupTask, LogLine, Restoration, Run
from tasks.permissions import VIEWER
from tasks.states import Kind, RunState, Trigger
from tests.conftest import Login, MakeRun, MakeTask

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
DAY = timedelta(days=1)
OLD = NOW - 401 * DAY


@pytest.fixture(autouse=True)
def everything_in_one_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each tick look at all tasks, and keep the newest two runs of each."""
    monkeypatch.setattr(pruning, "ROUND", 1)
    monkeypatch.setattr(pruning, "NEWEST_KEPT", 2)


@pytest.fixture
def aged(task: BackupTask, make_run: MakeRun) -> Run:
    """A run whose set was removed, old enough to go, with two newer ones."""
    run = make_run(task, at=OLD)
    remove_set(run)
    LogLine.objects.create(run=run, at=OLD, text="The run begins.")
    for _ in range(2):
        make_run(task, RunState.FAILED, at=OLD)
    return run


def remove_set(run: Run) -> None:
    """Put on record that retention removed the set of a run."""
    BackupFile.objects.filter(run=run).update(removed_at=OLD)
    Run.objects.filter(pk=run.pk).update(set_removed_at=OLD)


def proof_of(run: Run, at: datetime = OLD) -> Run:
    """Return a check of the set of a run that ended at ``at``."""
    return Run.objects.create(
        kind=Kind.CHECK, task=run.task, subject=run, cluster=run.cluster, trigger=Trigger.SCHEDULE,
        state=RunState.SUCCESSFUL, queued_at=at, started_at=at, ended_at=at,
    )  # fmt: skip


def test_an_old_run_goes_with_its_log_and_files(aged: Run) -> None:
    assert pruning.prune(NOW) == 1
    assert not Run.objects.filter(pk=aged.pk).exists()
    assert not LogLine.objects.exists() and not BackupFile.objects.exists()
    assert Run.objects.count() == 2
    assert pruning.prune(NOW) == 0


def test_a_run_that_is_not_old_enough_stays(aged: Run) -> None:
    Run.objects.filter(pk=aged.pk).update(ended_at=NOW - 400 * DAY + timedelta(seconds=1))
    assert pruning.prune(NOW) == 0
    assert pruning.prune(NOW + timedelta(seconds=2)) == 1


def test_with_0_records_stay_for_ever(aged: Run, settings: Any) -> None:
    settings.RECORDS_DAYS = 0
    assert pruning.prune(NOW) == 0
    settings.RECORDS_DAYS = 31
    assert pruning.prune(NOW) == 1


def test_the_newest_runs_of_each_task_stay_however_old(make_task: MakeTask, make_run: MakeRun) -> None:
    runs = [make_run(make_task(), RunState.FAILED, at=OLD) for _ in range(2)]
    another = [make_run(runs[0].task, RunState.FAILED, at=OLD) for _ in range(2) if runs[0].task]
    assert pruning.prune(NOW) == 1
    assert set(Run.objects.values_list("pk", flat=True)) == {runs[1].pk, *(run.pk for run in another)}


def test_a_set_that_may_still_be_there_keeps_its_run(task: BackupTask, make_run: MakeRun) -> None:
    kept, damaged, half_removed, unswept = (make_run(task, at=OLD) for _ in range(4))
    Run.objects.filter(pk=damaged.pk).update(damaged_at=OLD)
    Run.objects.filter(pk=half_removed.pk).update(set_removed_at=OLD)
    Run.objects.filter(pk=unswept.pk).update(state=RunState.FAILED, verified_at=None)
    newer = [make_run(task, RunState.STOPPED, at=OLD) for _ in range(2)]
    assert pruning.prune(NOW) == 0
    assert Run.objects.count() == 4 + len(newer)


def test_what_was_restored_from_stays_and_so_does_every_restoration(aged: Run) -> None:
    restoration = Restoration.objects.create(
        name="back", cluster=aged.cluster, source_run=aged, path_type="LocalDir", taken_at=OLD, deleted_at=OLD
    )
    Run.objects.create(
        kind=Kind.RESTORE, restoration=restoration, cluster=aged.cluster, trigger=Trigger.PERSON,
        state=RunState.SUCCESSFUL, queued_at=OLD, started_at=OLD, ended_at=OLD,
    )  # fmt: skip
    assert pruning.prune(NOW) == 0


def test_proofs_go_before_the_run_whose_set_they_looked_at(aged: Run) -> None:
    proof_of(aged)
    assert pruning.prune(NOW) == 2


def test_a_proof_that_is_not_old_yet_keeps_its_run(aged: Run) -> None:
    proof_of(aged, NOW - DAY)
    assert pruning.prune(NOW) == 0


def test_proofs_of_a_set_that_is_kept_stay(task: BackupTask, make_run: MakeRun) -> None:
    proof_of(make_run(task, at=OLD))
    assert pruning.prune(NOW) == 0


def test_a_run_that_waits_or_runs_is_never_removed(task: BackupTask, make_run: MakeRun) -> None:
    for state in (RunState.RUNNING, RunState.FAILED, RunState.FAILED):
        make_run(task, state, at=OLD)
    assert pruning.prune(NOW) == 0


def test_a_deleted_task_loses_its_old_runs_too(aged: Run) -> None:
    BackupTask.all_tasks.update(deleted_at=OLD)
    assert pruning.prune(NOW) == 1


def test_a_tick_removes_so_many_at_most_and_the_next_one_goes_on(
    task: BackupTask, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(7):
        make_run(task, RunState.FAILED, at=OLD)
    monkeypatch.setattr(pruning, "SLICE", 2)
    monkeypatch.setattr(pruning, "AT_ONCE", 3)
    oldest = Run.objects.order_by("pk").values_list("pk", flat=True)[3]
    assert pruning.prune(NOW) == 3
    assert Run.objects.order_by("pk").values_list("pk", flat=True)[0] == oldest
    assert [pruning.prune(NOW), pruning.prune(NOW)] == [2, 0]


def test_each_task_has_its_turn_once_in_a_round(aged: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "ROUND", 60)
    minutes = [pruning.prune(NOW + timedelta(minutes=number)) for number in range(60)]
    assert sorted(minutes) == [0] * 59 + [1]


def test_alarms_that_were_cleared_long_ago_go_and_others_stay(db: None) -> None:
    for subject, cleared in (("task 1", OLD), ("task 2", NOW - DAY), ("task 3", None)):
        alarms.raise_alarm("backup-failed", subject, cause="It failed.", now=OLD)
        if cleared:
            alarms.clear("backup-failed", subject, now=cleared)
    pruning.prune(NOW)
    assert set(Alarm.objects.values_list("subject", flat=True)) == {"task 2", "task 3"}


def test_the_history_says_at_its_end_how_long_records_are_kept(login: Login, aged: Run, settings: Any) -> None:
    page = reverse("task-history", args=[aged.task_id])
    assert "Records are kept for 400 days; the newest" in login(VIEWER).get(page).content.decode()
    settings.RECORDS_DAYS = 0
    assert "Records are kept" not in login(VIEWER).get(page).content.decode()


def test_sessions_whose_time_is_over_go(db: None, settings: Any) -> None:
    settings.RECORDS_DAYS = 0
    for name, ends in (("over", NOW - DAY), ("lasts", NOW + DAY)):
        Session.objects.create(session_key=name, session_data="", expire_date=ends)
    pruning.prune(NOW)
    assert Session.objects.get().session_key == "lasts"
