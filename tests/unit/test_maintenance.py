"""The maintenance switch: no run starts while it is on, whoever wants it, and nothing that goes on is disturbed."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connections, transaction
from django_q.models import OrmQ

from tasks import alarms, services
from tasks.audit import CONSOLE, Actor
from tasks.engine import dispatch, proofs
from tasks.engine.lease import claim, renew
from tasks.engine.record import Outcome, finish
from tasks.engine.restore.settling import queue_rollbacks
from tasks.errors import Refused
from tasks.models import AuditEvent, BackupTask, Cluster, Maintenance, Run
from tasks.states import Kind, Mode, RunState, Trigger
from tests.conftest import MakeRun, MakeTask
from tests.file_database import copy_test_database, using_file_database
from tests.web.restoration_kit import make_restoration
from tests.web.restoration_kit import make_run as make_restoration_run

# 03:00 in the console's zone, Europe/Berlin.
NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("minutes", "hours", "days"))
REASON = "New disks for nfs-1."


@pytest.fixture
def boss(administrator: User) -> Actor:
    return Actor(administrator.username, administrator, "10.0.0.9")


@pytest.fixture
def on(boss: Actor) -> Maintenance:
    """The switch, on since ten minutes before ``NOW`` and without an end."""
    return services.set_maintenance(boss, REASON, None, NOW - 10 * MINUTE)


def events() -> list[tuple[str, str, str]]:
    return list(AuditEvent.objects.order_by("pk").values_list("verb", "actor", "result"))


# --- The switch ------------------------------------------------------------------------------------------------------
def test_it_is_off_until_somebody_sets_it(db: None) -> None:
    assert not Maintenance.current().on(NOW)
    assert not Maintenance.current().ended_since(NOW - DAY)


def test_set_change_and_end_are_on_record(boss: Actor) -> None:
    switch = services.set_maintenance(boss, "  New \n disks ", NOW + HOUR, NOW)
    assert (switch.reason, switch.set_by, switch.since) == ("New disks", "administrator", NOW)
    services.change_maintenance(boss, "New disks", NOW + 2 * HOUR, NOW + MINUTE)
    change = AuditEvent.objects.latest("pk")
    assert (change.before, change.after) == (
        {"until": (NOW + HOUR).isoformat()},
        {"until": (NOW + 2 * HOUR).isoformat()},
    )
    services.end_maintenance(boss, NOW + HOUR)
    assert not Maintenance.current().on(NOW + HOUR)
    assert events() == [
        (verb, "administrator", "successful")
        for verb in ("set maintenance", "change maintenance", "end maintenance")
    ]  # fmt: skip
    assert "set by administrator at 2026-11-24 03:00 +01:00: New disks" in AuditEvent.objects.latest("pk").note


@pytest.mark.parametrize(
    ("reason", "until", "field", "words"),
    [
        (" \n ", None, "reason", "The reason is missing."),
        ("x" * 201, None, "reason", "Use 200 at most."),
        ("Disks", NOW, "until", "The end lies in the past."),
    ],
)
def test_what_is_wrong_is_refused_by_its_field(
    boss: Actor, reason: str, until: datetime | None, field: str, words: str
) -> None:
    with pytest.raises(Refused, match=words) as refusal:
        services.set_maintenance(boss, reason, until, NOW)
    assert refusal.value.field == field
    assert not Maintenance.current().on(NOW)


def test_who_may_not_is_refused_on_record(operator: User) -> None:
    actor = Actor(operator.username, operator)
    for verb in (
        lambda: services.set_maintenance(actor, "Disks", None, NOW),
        lambda: services.change_maintenance(actor, "Disks", None, NOW),
        lambda: services.end_maintenance(actor, NOW),
    ):
        with pytest.raises(PermissionDenied):
            verb()
    assert {result for _, _, result in events()} == {"refused"}


def test_it_is_not_set_twice_nor_ended_twice(boss: Actor, on: Maintenance) -> None:
    with pytest.raises(Refused, match="Maintenance is on already, set by administrator at 2026-11-24 02:50"):
        services.set_maintenance(boss, "Again", None, NOW)
    services.end_maintenance(boss, NOW)
    for verb in (
        lambda: services.end_maintenance(boss, NOW),
        lambda: services.change_maintenance(boss, "Disks", None, NOW),
    ):
        with pytest.raises(Refused, match="Maintenance is off"):
            verb()


def test_it_ends_itself_at_its_time_and_that_is_on_record_once(boss: Actor) -> None:
    services.set_maintenance(boss, REASON, NOW + HOUR, NOW)
    assert Maintenance.current().on(NOW + HOUR - MINUTE)
    assert not Maintenance.current().on(NOW + HOUR), "also before a tick looked"
    for moment in (NOW + MINUTE, NOW + HOUR, NOW + 2 * HOUR):
        dispatch.tick(moment)
    assert events()[1:] == [("end maintenance", "console", "successful")]
    assert Maintenance.current().ended_at == NOW + HOUR


def test_the_table_holds_one_row_and_no_end_before_the_beginning(db: None) -> None:
    for row in (Maintenance(pk=2), Maintenance(pk=1, since=NOW, until=NOW)):
        with pytest.raises(IntegrityError), transaction.atomic():
            row.save(force_insert=True)


# --- What does not start ---------------------------------------------------------------------------------------------
def test_what_is_due_is_postponed_with_the_reason(on: Maintenance, make_task: MakeTask) -> None:
    daily = make_task(mode=Mode.PERIODIC, started=NOW, next_run_at=NOW)
    dispatch.tick(NOW)
    run = daily.runs.get()
    assert (run.state, run.error_code, run.ended_at) == (RunState.POSTPONED, "maintenance", NOW)
    assert run.reason == (
        "Postponed: maintenance, set by administrator at 2026-11-24 02:50 +01:00: New disks for nfs-1. "
        "The next run is 2026-11-25 03:00 +01:00."
    )
    daily.refresh_from_db()
    assert (daily.next_run_at, daily.last_state) == (NOW + DAY, RunState.POSTPONED)


def test_what_waited_before_waits_and_starts_when_it_ends(
    boss: Actor, on: Maintenance, task: BackupTask, make_run: MakeRun
) -> None:
    run = make_run(task, RunState.WAITING, NOW - HOUR)
    assert dispatch.offer(NOW) == 0
    assert not dispatch.wants_tick(NOW), "no tick could do anything"
    assert claim(run.pk, NOW) is None
    services.end_maintenance(boss, NOW + HOUR)
    assert [item.task["args"] for item in OrmQ.objects.all()] == [(run.pk,)]
    assert claim(run.pk, NOW + HOUR) is not None


def test_an_offer_that_was_out_is_taken_back(on: Maintenance, task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task, RunState.WAITING, NOW - HOUR, offered_at=NOW - HOUR)
    assert dispatch.stalled(NOW) is None, "nobody replaces workers that obey"
    assert claim(run.pk, NOW) is None
    run.refresh_from_db()
    assert (run.state, run.offered_at) == (RunState.WAITING, None)


def test_starts_by_hand_are_refused_in_words(
    on: Maintenance, task: BackupTask, make_run: MakeRun, cluster: Cluster
) -> None:
    run, restoration = make_run(task), make_restoration(cluster)
    words = (
        "No run starts during maintenance, set by administrator at 2026-11-24 02:50 [+]01:00: New disks for nfs-1. "
        "Ask administrator when it ends."
    )
    for verb in (
        lambda: services.back_up_now(CONSOLE, task, NOW),
        lambda: services.check_set(CONSOLE, run, NOW),
        lambda: services.rehearse(CONSOLE, run, NOW),
        lambda: services.start_restoration(CONSOLE, restoration, NOW),
        lambda: services.roll_back(CONSOLE, restoration, NOW),
    ):
        with pytest.raises(Refused, match=words):
            verb()
    assert Run.objects.count() == 1
    Maintenance.objects.update(until=NOW + HOUR)
    with pytest.raises(Refused, match="It ends by itself at 2026-11-24 04:00 [+]01:00."):
        services.back_up_now(CONSOLE, task, NOW)


def test_no_proof_is_queued_by_age_and_no_alarm_raised_for_it(
    boss: Actor, on: Maintenance, make_task: MakeTask, make_run: MakeRun
) -> None:
    task = make_task(check_after_days=7)
    make_run(task, at=NOW - 30 * DAY)
    assert proofs.queue_due(NOW) == 0
    assert proofs.watch(NOW) == 1, "it is overdue"
    services.end_maintenance(boss, NOW)
    proofs.watch(NOW + HOUR)
    assert not alarms.uncleared().exists(), "there was no time yet to make up for it"
    proofs.watch(NOW + DAY + MINUTE)
    assert alarms.uncleared().get().subject == f"task {task.pk}"
    assert proofs.queue_due(NOW) == 1


# --- What goes on ----------------------------------------------------------------------------------------------------
def test_what_is_running_finishes(boss: Actor, task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task, RunState.WAITING, NOW)
    lease = claim(run.pk, NOW)
    assert lease is not None
    services.set_maintenance(boss, REASON, None, NOW)
    assert renew(lease, NOW + MINUTE).held
    assert finish(run.pk, Outcome(RunState.FAILED, "No space."), NOW + MINUTE, token=lease.token)


def test_a_restoration_under_way_that_lost_its_worker_goes_on_with_its_way_back(
    on: Maintenance, cluster: Cluster, task: BackupTask, make_run: MakeRun
) -> None:
    waiting = make_run(task, RunState.WAITING, NOW - HOUR)
    make_restoration_run(make_restoration(cluster), RunState.UNKNOWN, error_code="worker-lost")
    assert queue_rollbacks(NOW) == 1
    back = Run.objects.get(kind=Kind.ROLLBACK, trigger=Trigger.CONSOLE)
    assert dispatch.offer(NOW) == 1
    assert claim(waiting.pk, NOW) is None
    assert claim(back.pk, NOW) is not None


# --- Races -----------------------------------------------------------------------------------------------------------
def test_no_run_is_claimed_once_the_switch_was_set(
    transactional_db: None, make_task: MakeTask, make_run: MakeRun, tmp_path: Path, settings: Any
) -> None:
    settings.RUN_SLOTS = 100
    runs = [
        make_run(make_task(cluster=Cluster.objects.create(name=f"c{number}")), RunState.WAITING, NOW)
        for number in range(20)
    ]
    copy_test_database(tmp_path / "test.sqlite3")
    started, over = threading.Event(), threading.Event()

    def work() -> None:
        try:
            for run in runs:
                if claim(run.pk, NOW) is not None:
                    started.set()
        finally:
            connections.close_all()
            over.set()

    with using_file_database(tmp_path / "test.sqlite3"):
        worker = threading.Thread(target=work)
        worker.start()
        started.wait(30)
        services.set_maintenance(CONSOLE, REASON, None, NOW - MINUTE)
        running = Run.objects.filter(state=RunState.RUNNING).count()
        worker.join()
        assert started.is_set() and over.is_set()
        assert Run.objects.filter(state=RunState.RUNNING).count() == running


# --- What is expected ------------------------------------------------------------------------------------------------
def test_no_success_is_expected_of_a_start_that_maintenance_kept(on: Maintenance, make_task: MakeTask) -> None:
    daily, failing = (make_task(mode=Mode.PERIODIC, started=NOW, next_run_at=NOW) for _ in range(2))
    BackupTask.objects.filter(pk=daily.pk).update(expected_at=NOW)
    BackupTask.objects.filter(pk=failing.pk).update(expected_at=NOW - DAY)
    dispatch.tick(NOW)
    daily.refresh_from_db(), failing.refresh_from_db()
    assert daily.expected_at == NOW + DAY
    assert failing.expected_at == NOW - DAY, "what was overdue before stays so"
