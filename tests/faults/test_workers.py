"""The workers under kill -9, signals and doubles: runs end, the next ones start, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from django.utils import timezone
from django_q.tasks import async_task

from tasks import services
from tasks.audit import CONSOLE
from tasks.engine import dispatch
from tasks.models import BackupTask, LogLine, Run
from tasks.states import GOOD, Mode, RunState
from tests.faults.conftest import Workers, make_task, shorten, until, with_signal
from tests.patience import Stopwatch, stalled

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("workers")]


def next_in_line(workers: Workers) -> int:
    """Return the idle worker that holds the lock of the queue: it sleeps in read(2), the others in a futex."""
    for process in workers.of("idle"):
        call = Path(f"/proc/{process.pid}/syscall").read_text().split()[0]
        if call == "0" or (os.uname().machine == "aarch64" and call == "63"):
            return process.pid
    return 0


def test_a_click_starts_within_two_seconds_and_ends_good(workers: Workers, quick: BackupTask) -> None:
    workers.start_ready()
    asked, before = timezone.now(), stalled()
    run = workers.ended(workers.back_up(quick), 30)
    assert run.state in GOOD
    assert run.started_at and (run.started_at - asked).total_seconds() - (stalled() - before) < 2
    assert len(workers.archives()) == 1
    assert workers.partials() == []


def test_kill_of_the_busy_worker(workers: Workers, slow: BackupTask, quick: BackupTask) -> None:
    workers.start_ready()
    run = workers.back_up(slow)
    os.kill(workers.busy(), signal.SIGKILL)
    workers.ended(run, 20)
    assert (run.state, run.error_code) == (RunState.FAILED, "worker-lost")
    assert run.worker in run.reason
    until(lambda: not workers.partials(), 10, "the partial file swept")
    assert workers.archives() == []
    assert workers.ended(workers.back_up(quick), 45).state in GOOD


def test_kill_of_the_idle_worker_that_is_next_in_line(workers: Workers, quick: BackupTask) -> None:
    workers.start_ready()
    victim = until(lambda: next_in_line(workers), 10, "an idle worker in read")
    os.kill(victim, signal.SIGKILL)
    killed = Stopwatch()
    run = workers.ended(workers.back_up(quick), 60)
    assert run.state in GOOD
    assert killed.seconds < 60
    assert "the workers are started again" in workers.text()


def test_kill_of_any_other_idle_worker_costs_nothing(workers: Workers, quick: BackupTask) -> None:
    workers.start_ready()
    holder = until(lambda: next_in_line(workers), 10, "an idle worker in read")
    other = next(process.pid for process in workers.of("idle") if process.pid != holder)
    os.kill(other, signal.SIGKILL)
    assert workers.ended(workers.back_up(quick), 20).state in GOOD
    assert "the workers are started again" not in workers.text()


def test_kill_of_the_parent_of_the_cluster(workers: Workers, slow: BackupTask, quick: BackupTask) -> None:
    supervisor = workers.start_ready()
    run = workers.back_up(slow)
    workers.busy()
    before = {process.pid for process in workers.processes()}
    parent = next(pid for pid in before if psutil.Process(pid).ppid() == supervisor.pid)
    os.kill(parent, signal.SIGKILL)
    until(lambda: not before & {process.pid for process in workers.processes()}, 5, "the end of all its children")
    workers.ended(run, 30)
    assert run.error_code == "worker-lost"
    until(lambda: not workers.partials(), 10, "the partial file swept")
    assert workers.ended(workers.back_up(quick), 45).state in GOOD
    assert len(workers.archives()) == 1


def test_kill_of_the_supervisor(workers: Workers, slow: BackupTask, quick: BackupTask) -> None:
    supervisor = workers.start_ready()
    run = workers.back_up(slow)
    workers.busy()
    supervisor.kill()
    supervisor.wait()
    until(lambda: not workers.processes(), 5, "the end of all workers")
    assert workers.archives() == []
    workers.start_ready()
    workers.ended(run, 30)
    assert (run.state, run.error_code) == (RunState.FAILED, "worker-lost")
    until(lambda: not workers.partials(), 10, "the partial file swept")
    assert workers.ended(workers.back_up(quick), 30).state in GOOD


def test_the_same_message_five_times_gives_one_execution(workers: Workers, slow: BackupTask) -> None:
    run = workers.back_up(slow)
    dispatch.forget_offers()
    workers.start_ready()
    for _ in range(5):
        async_task(dispatch.EXECUTE, run.pk)
    workers.busy()
    time.sleep(2)
    services.stop_run(CONSOLE, Run.objects.get(pk=run.pk), timezone.now())
    workers.ended(run, 15)
    claims = LogLine.objects.filter(run=run, text__contains="claimed by worker")
    assert claims.count() == 1
    assert run.state == RunState.STOPPED


def test_a_second_supervisor_refuses_and_the_first_goes_on(workers: Workers, quick: BackupTask) -> None:
    first = workers.start_ready()
    members = {process.pid for process in workers.processes()}
    second = workers.start()
    assert second.wait(30) == 1
    assert f"run already, since 20{timezone.now():%y}" in workers.text()
    assert f"under process {first.pid}. End that one first" in workers.text()
    assert members <= {process.pid for process in workers.processes()}
    assert workers.ended(workers.back_up(quick), 30).state in GOOD


def test_two_hosts_at_once_run_each_occurrence_once(workers: Workers, sample_home: Path, tmp_path: Path) -> None:
    """Two supervisors with directories of their own and one database, as on two machines."""
    moment = timezone.now()
    tasks = [
        make_task(f"plant-{number}", sample_home, mode=Mode.PERIODIC, started=moment, next_run_at=moment)
        for number in range(12)
    ]
    other = tmp_path / "other"
    other.mkdir()
    elsewhere = Workers(other)
    try:
        shared = {"DATABASE_URL": workers.environment["DATABASE_URL"], "DATA_STORAGE_PATH": str(workers.storage)}
        workers.start(HOST_NAME="one", RUN_SLOTS="4")
        elsewhere.start(HOST_NAME="two", RUN_SLOTS="4", **shared)
        until(lambda: Run.objects.filter(state__in=GOOD).count() == len(tasks), 60, "all runs good")
        assert Run.objects.count() == len(tasks)
        assert LogLine.objects.filter(text__contains="claimed by worker").count() == len(tasks)
        assert len(workers.archives()) == len(tasks)
    finally:
        elsewhere.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_in_the_middle_of_a_run_ends_it_in_order(
    workers: Workers, slow: BackupTask, number: signal.Signals
) -> None:
    supervisor = workers.start_ready()
    run = workers.back_up(slow)
    workers.busy()
    asked = Stopwatch()
    supervisor.send_signal(number)
    assert supervisor.wait(20) == 0
    assert asked.seconds < 12
    assert workers.processes() == []
    run.refresh_from_db()
    assert (run.state, run.error_code) == (RunState.FAILED, "worker-shutdown"), run.reason
    assert run.reason.startswith("The worker was stopped after ")
    assert workers.partials() == [] and workers.archives() == []


def test_stop_ends_a_run_within_five_seconds_and_leaves_nothing(workers: Workers, slow: BackupTask) -> None:
    workers.start_ready()
    run = workers.back_up(slow)
    workers.busy()
    asked = Stopwatch()
    services.stop_run(CONSOLE, Run.objects.get(pk=run.pk), timezone.now())
    workers.ended(run, 10)
    assert asked.seconds < 5
    assert run.state == RunState.STOPPED
    assert run.reason.startswith("Stopped by console after ")
    until(lambda: not workers.partials(), 2, "no partial file")
    assert workers.archives() == []


def test_a_worker_stays_under_100_mib(workers: Workers, slow: BackupTask) -> None:
    shorten(slow)
    workers.start_ready()
    run = workers.back_up(slow)
    worker, most = psutil.Process(workers.busy()), 0
    while Run.objects.filter(pk=run.pk, state=RunState.RUNNING).exists():
        most = max(most, worker.memory_info().rss)
        time.sleep(0.05)
    assert workers.ended(run, 5).state in GOOD, run.reason
    assert 0 < most < 100 << 20


def test_workers_without_a_database_wait_for_it(workers: Workers, quick: BackupTask) -> None:
    database = workers.data_dir / "console.sqlite3"
    hidden = database.with_suffix(".away")
    from django.db import connection

    connection.close()
    database.rename(hidden)
    process = workers.start()
    until(lambda: "the database cannot be used" in workers.text(), 30, "a word about the database")
    assert process.poll() is None
    for path in (database, *workers.data_dir.glob("console.sqlite3-*")):
        path.unlink(missing_ok=True)
    hidden.rename(database)
    assert workers.ended(workers.back_up(quick), 60).state in GOOD
    assert "the database can be used again" in workers.text()


def test_nothing_runs_under_the_mark_of_another_console(workers: Workers, tmp_path: Path) -> None:
    """A stray process of another DATA_DIR is left alone at the start; one of ours is ended."""
    ours, theirs = (
        subprocess.Popen(["sleep", "60"], env=os.environ | {"BACKUP_CONSOLE_WORKERS": str(path)})
        for path in (workers.data_dir, tmp_path)
    )
    try:
        workers.start_ready()
        assert ours.wait(5) == -signal.SIGKILL
        assert theirs.poll() is None
    finally:
        for process in (ours, theirs):
            with_signal(process.pid, signal.SIGKILL)
            process.wait()
