"""Claiming, renewing and reaping: one worker for a run, one run for a cluster, and an end for what was lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from tasks import jobs
from tasks.engine import dispatch
from tasks.engine.lease import Lease, claim, reap, renew
from tasks.engine.record import Outcome, finish
from tasks.models import BackupTask, Cluster, Run
from tasks.states import RunState
from tests.conftest import MakeRun, MakeTask
from tests.file_database import copy_test_database, using_file_database

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def file_database(transactional_db: None, tmp_path: Path) -> Iterator[None]:
    """The test database in a file, so that threads meet as processes do."""
    copy_test_database(tmp_path / "test.sqlite3")
    with using_file_database(tmp_path / "test.sqlite3"):
        yield


@pytest.fixture
def waiting(task: BackupTask, make_run: MakeRun) -> Run:
    """A run that waits."""
    return make_run(task, RunState.WAITING, NOW)


def at_once(count: int, work: Callable[[], Any]) -> list[Any]:
    """Do ``work`` in ``count`` threads that start together, and return what each gave."""
    barrier, results = threading.Barrier(count), []

    def one() -> None:
        try:
            barrier.wait()
            results.append(work())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == count, "a thread failed"
    return results


def test_claim_hands_out_a_lease_and_shows_the_run_on_the_task(waiting: Run) -> None:
    lease = claim(waiting.pk, NOW)
    waiting.refresh_from_db()
    assert lease == Lease(waiting.pk, waiting.lease_token)
    assert waiting.state == RunState.RUNNING
    assert waiting.started_at == NOW
    assert waiting.lease_until == NOW + timedelta(seconds=60)
    assert "/" in waiting.worker
    assert waiting.task.last_state == RunState.RUNNING


def test_five_claims_at_once_give_one_lease(file_database: None, make_task: MakeTask, make_run: MakeRun) -> None:
    run = make_run(make_task(), RunState.WAITING, NOW)
    leases = at_once(5, lambda: claim(run.pk, NOW))
    assert sum(lease is not None for lease in leases) == 1


def test_two_runs_of_a_cluster_claimed_at_once_give_one_lease(
    file_database: None, make_task: MakeTask, make_run: MakeRun
) -> None:
    runs = [make_run(make_task(), RunState.WAITING, NOW) for _ in range(2)]
    todo = iter([run.pk for run in runs] * 3)
    leases = at_once(6, lambda: claim(next(todo), NOW))
    assert sum(lease is not None for lease in leases) == 1
    assert Run.objects.filter(state=RunState.RUNNING).get().pk == runs[0].pk


def test_five_deliveries_give_one_execution(
    file_database: None, make_task: MakeTask, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, executed = make_run(make_task(), RunState.WAITING, NOW), []

    def execute(lease: Lease) -> None:
        executed.append(lease)
        finish(lease.run_id, Outcome(RunState.FAILED, "tried"), timezone.now(), token=lease.token)

    monkeypatch.setattr("tasks.engine.kinds.execute", execute)
    at_once(5, lambda: jobs.execute_run(run.pk))
    assert len(executed) == 1


def test_runs_of_a_cluster_start_in_the_order_they_were_queued(make_task: MakeTask, make_run: MakeRun) -> None:
    second = make_run(make_task(), RunState.WAITING, NOW)
    first = make_run(make_task(), RunState.WAITING, NOW - HOUR)
    third = make_run(make_task(), RunState.WAITING, NOW)
    order = []
    for _ in range(3):
        assert [claim(run.pk, NOW) for run in (first, second, third)].count(None) == 2, "one at a time"
        running = Run.objects.get(state=RunState.RUNNING)
        order.append(running)
        finish(running.pk, Outcome(RunState.STOPPED), NOW, token=running.lease_token)
    assert order == [first, second, third]


def test_a_claim_beyond_the_slots_is_refused_and_the_offer_taken_back(
    make_task: MakeTask, make_run: MakeRun, settings: Any
) -> None:
    settings.RUN_SLOTS = 1
    one, other = (make_task(cluster=Cluster.objects.create(name=name)) for name in ("a", "b"))
    make_run(one, RunState.RUNNING, NOW)
    run = make_run(other, RunState.WAITING, NOW, offered_at=NOW)
    assert claim(run.pk, NOW) is None
    run.refresh_from_db()
    assert run.offered_at is None


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.SUCCESSFUL, RunState.STOPPED])
def test_what_does_not_wait_cannot_be_claimed(task: BackupTask, make_run: MakeRun, state: str) -> None:
    assert claim(make_run(task, state).pk, NOW) is None
    assert claim(10**9, NOW) is None


def test_renew_extends_the_lease_and_writes_progress(waiting: Run) -> None:
    lease = claim(waiting.pk, NOW)
    assert lease
    result = renew(lease, NOW + HOUR, bytes_read=7, step="Copying IoTDB")
    waiting.refresh_from_db()
    assert result.held and result.stop_requested_by == ""
    assert waiting.lease_until == NOW + HOUR + timedelta(seconds=60)
    assert (waiting.bytes_read, waiting.step) == (7, "Copying IoTDB")


def test_renew_tells_who_pressed_stop(waiting: Run) -> None:
    lease = claim(waiting.pk, NOW)
    assert lease
    Run.objects.filter(pk=waiting.pk).update(stop_requested_at=NOW, stop_requested_by="anna")
    assert renew(lease, NOW).stop_requested_by == "anna"


def test_another_token_renews_nothing(waiting: Run) -> None:
    claim(waiting.pk, NOW)
    assert not renew(Lease(waiting.pk, "1" * 32), NOW + HOUR, bytes_read=9).held
    waiting.refresh_from_db()
    assert waiting.bytes_read == 0


def test_reap_ends_lost_runs_and_says_which_worker(waiting: Run) -> None:
    lease = claim(waiting.pk, NOW)
    assert lease
    assert reap(NOW + timedelta(seconds=59)) == []
    assert reap(NOW + timedelta(seconds=61)) == [waiting.pk]
    waiting.refresh_from_db()
    assert (waiting.state, waiting.error_code) == (RunState.FAILED, "worker-lost")
    assert waiting.worker in waiting.reason
    assert "2026-11-24 03:01:00" in waiting.reason, "in the console's zone"
    assert waiting.log.get().text == waiting.reason
    assert waiting.task.last_state == RunState.FAILED


def test_a_worker_that_was_given_up_changes_nothing_any_more(waiting: Run) -> None:
    lease = claim(waiting.pk, NOW)
    assert lease
    reap(NOW + HOUR)
    assert not renew(lease, NOW + HOUR).held
    assert not finish(waiting.pk, Outcome(RunState.WARNINGS), NOW + HOUR, token=lease.token)


def test_a_lease_renewed_in_the_last_moment_is_not_reaped(waiting: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = claim(waiting.pk, NOW)
    assert lease
    late = NOW + HOUR
    lost = list(Run.objects.filter(state=RunState.RUNNING, lease_until__lt=late))
    renew(lease, late)
    from tasks.engine import lease as module

    assert [run for run in lost if module._give_up(run, late)] == []
    assert renew(lease, late).held


def test_a_set_that_was_proven_before_its_worker_was_lost_counts(waiting: Run) -> None:
    claim(waiting.pk, NOW)
    Run.objects.filter(pk=waiting.pk).update(verified_at=NOW, size=5)
    reap(NOW + HOUR)
    waiting.refresh_from_db()
    assert waiting.state == RunState.WARNINGS
    assert waiting.task.sets_kept == 1


def test_processes_known_to_be_gone_lose_their_leases_at_once(waiting: Run) -> None:
    claim(waiting.pk, NOW)
    waiting.refresh_from_db()
    pid = int(waiting.worker.rpartition("/")[2])
    assert dispatch.working() == {pid}
    assert dispatch.declare_lost({pid + 1}, NOW) == 0
    assert dispatch.declare_lost({pid}, NOW + timedelta(seconds=1)) == 1
    assert reap(NOW + timedelta(seconds=2)) == [waiting.pk]


def test_a_pipeline_that_raises_leaves_no_running_run_and_no_text(
    task: BackupTask, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(task, RunState.WAITING, timezone.now())

    def execute(lease: Lease) -> None:
        raise ValueError("password=hunter2")

    monkeypatch.setattr("tasks.engine.kinds.execute", execute)
    jobs.execute_run(run.pk)
    run.refresh_from_db()
    assert (run.state, run.error_code) == (RunState.FAILED, "no-result")
    assert "hunter2" not in run.reason + "".join(run.log.values_list("text", flat=True))


def test_a_pipeline_that_forgets_to_end_its_run_does_not_leave_it_running(
    task: BackupTask, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(task, RunState.WAITING, timezone.now())
    monkeypatch.setattr("tasks.engine.kinds.execute", lambda lease: None)
    jobs.execute_run(run.pk)
    run.refresh_from_db()
    assert run.state == RunState.FAILED


def test_the_end_of_a_process_is_passed_on_after_the_run_was_ended(
    task: BackupTask, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(task, RunState.WAITING, timezone.now())

    def execute(lease: Lease) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tasks.engine.kinds.execute", execute)
    with pytest.raises(KeyboardInterrupt):
        jobs.execute_run(run.pk)
    run.refresh_from_db()
    assert run.state == RunState.FAILED
