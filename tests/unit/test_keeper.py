"""The keeper: it renews, reports progress, and passes on what ends a run."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from tasks.engine import keeper as module
from tasks.engine.keeper import Keeper, ends_on_term
from tasks.engine.lease import Lease, claim
from tasks.errors import LeaseLost, RunEnded, RunStopped, TimeLimit, WorkerShutdown
from tasks.models import Run
from tasks.states import RunState
from tests.conftest import MakeRun, MakeTask
from tests.file_database import copy_test_database, using_file_database
from tests.patience import Stopwatch
from tests.servers.unixkit import wait_until


@pytest.fixture
def lease(
    transactional_db: None, tmp_path: Path, make_task: MakeTask, make_run: MakeRun, settings: Any
) -> Iterator[Lease]:
    """The lease of a run, in a database that threads can share; a lease counts 1.2 s, a keeper renews each 0.2 s."""
    settings.LEASE_SECONDS = 1.2
    copy_test_database(tmp_path / "test.sqlite3")
    with using_file_database(tmp_path / "test.sqlite3"):
        run = make_run(make_task(), RunState.WAITING)
        lease = claim(run.pk, timezone.now())
        assert lease
        yield lease


def keep(lease: Lease, progress: Callable[[], dict[str, Any]] = dict, seconds: float = 60) -> Keeper:
    return Keeper(lease, progress, timezone.now() + timedelta(seconds=seconds))


def ended(keeper: Keeper, within: float = 4) -> RunEnded:
    """Return what ``check`` raises, waiting for it."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            keeper.check()
        except RunEnded as error:
            return error
        time.sleep(0.02)
    raise AssertionError("the keeper let the run go on")


def test_it_renews_the_lease_and_writes_the_progress(lease: Lease) -> None:
    before = Run.objects.get(pk=lease.run_id).lease_until
    with keep(lease, lambda: {"bytes_read": 42, "step": "Copying IoTDB"}) as keeper:
        wait_until(lambda: Run.objects.filter(pk=lease.run_id, bytes_read=42).exists())
        keeper.check()
    run = Run.objects.get(pk=lease.run_id)
    assert before and run.lease_until and run.lease_until > before
    assert (run.bytes_read, run.step) == (42, "Copying IoTDB")


def test_stop_is_seen_within_a_second_and_names_the_person(lease: Lease) -> None:
    with keep(lease) as keeper:
        Run.objects.filter(pk=lease.run_id).update(stop_requested_at=timezone.now(), stop_requested_by="anna")
        asked = Stopwatch()
        error = ended(keeper)
    assert asked.seconds < 1.2
    assert isinstance(error, RunStopped)
    assert str(error).startswith("Stopped by anna after ")


def test_a_lease_taken_away_ends_the_work(lease: Lease) -> None:
    with keep(lease) as keeper:
        Run.objects.filter(pk=lease.run_id).update(lease_token="1" * 32)
        assert isinstance(ended(keeper), LeaseLost)


def test_a_database_that_is_away_is_borne_until_the_lease_would_have_run_out(
    lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("server closed the connection")

    with monkeypatch.context() as patched, keep(lease) as keeper:
        patched.setattr(module, "renew", away)
        time.sleep(0.6)
        keeper.check()
        patched.undo()
        time.sleep(0.9)
        keeper.check()
        monkeypatch.setattr(module, "renew", away)
        began = time.monotonic()
        assert isinstance(ended(keeper, 5), LeaseLost)
    assert time.monotonic() - began > 0.7


def test_the_time_limit_ends_the_work(lease: Lease) -> None:
    with keep(lease, seconds=0.2) as keeper:
        keeper.check()
        assert isinstance(ended(keeper), TimeLimit)


def test_progress_that_fails_does_not_cost_the_lease(lease: Lease) -> None:
    with keep(lease, lambda: {}["gone"]) as keeper:
        time.sleep(1.5)
        keeper.check()


def test_term_ends_the_run_instead_of_the_process(lease: Lease) -> None:
    with ends_on_term(), keep(lease) as keeper:
        keeper.check()
        os.kill(os.getpid(), signal.SIGTERM)
        assert isinstance(ended(keeper), WorkerShutdown)
    with keep(lease) as keeper:
        keeper.check()


def test_term_is_as_before_once_the_run_is_over() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ends_on_term():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_check_may_be_called_from_other_threads_and_leaving_ends_the_keeper(lease: Lease) -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10_000):
                keeper.check()
        except BaseException as error:
            errors.append(error)

    with keep(lease) as keeper:
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("keeper-")]
