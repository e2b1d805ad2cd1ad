"""Verbs in bulk: what each does to many tasks, what is on record, and what it costs."""

from __future__ import annotations

import time

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tasks import alarms, bulk, services
from tasks.audit import CONSOLE, Actor
from tasks.engine.lease import claim
from tasks.models import AuditEvent, BackupTask, Cluster, LogLine, Notice, Run, RunTotal
from tasks.services.applying import Shown
from tasks.services.bulk import BulkResult
from tasks.states import Mode, RunState
from tests.conftest import MakeRun, MakeTask
from tests.unit.bulk_kit import HOUR, NOW, do, events, make_many

pytestmark = pytest.mark.django_db
SHOWN = ("last_run_id", "last_state", "last_started_at", "last_ended_at", "last_bytes", "last_reason", "outcomes")


# --- Each verb does to many what it does to one ----------------------------------------------------------------------
def test_back_up_now_queues_a_run_of_each_in_order(make_task: MakeTask, make_run: MakeRun, operator: User) -> None:
    tasks = [make_task() for _ in range(3)]
    make_run(tasks[0], RunState.SUCCESSFUL, NOW - HOUR)
    actor = Actor(operator.username, operator)
    result = do("run", *tasks, actor=actor)
    runs = list(Run.objects.filter(state=RunState.WAITING).order_by("pk"))
    assert [run.task for run in runs] == tasks
    assert {(run.started_by, run.started_by_name, run.queued_at, run.trigger) for run in runs} == {
        (operator, "operator", NOW, "person")
    }
    single = make_task(cluster=Cluster.objects.create(name="other"))
    services.back_up_now(actor, single, NOW)
    for task, run in zip([*tasks, single], Run.objects.filter(state=RunState.WAITING).order_by("pk"), strict=True):
        task.refresh_from_db()
        last = (run.pk, "waiting", NOW, None, None, "")
        assert tuple(getattr(task, name) for name in SHOWN[:-1]) == last
    assert Run.objects.filter(offered_at__isnull=False).exists(), "the first one is offered at once"
    assert events("back up now") == [(task.name, "successful") for task in [*tasks, single]]
    assert events("back up now in bulk") == [("3 backup tasks", "successful")]
    assert not result.applied.refused


def test_stop_ends_what_waits_and_asks_what_runs(make_task: MakeTask, make_run: MakeRun, operator: User) -> None:
    west = Cluster.objects.create(name="west")
    waiting, running, single = make_task(), make_task(cluster=west), make_task()
    make_run(waiting, RunState.FAILED, NOW - HOUR)
    make_run(single, RunState.FAILED, NOW - HOUR)
    first, run = make_run(waiting, RunState.WAITING, NOW), make_run(running, RunState.RUNNING, NOW)
    alone = make_run(single, RunState.WAITING, NOW)
    actor = Actor(operator.username, operator)
    do("stop", waiting, running, actor=actor)
    services.stop_run(actor, alone, NOW)
    run.refresh_from_db()
    assert (run.state, run.stop_requested_by) == (RunState.RUNNING, "operator")
    rows = [
        (Run.objects.values(*KEPT).get(pk=pk), list(LogLine.objects.filter(run=pk).values_list("level", "text")))
        for pk in (first.pk, alone.pk)
    ]
    assert rows[0] == rows[1], "in bulk as alone"
    told = list(Notice.objects.order_by("pk").values_list("state", "before", "cluster"))
    assert told[0] == told[1] == (RunState.STOPPED, RunState.FAILED, waiting.cluster_id)
    assert len(told) == 2
    days = [task.days.get().hours for task in (waiting, single)]
    assert days[0] == days[1] and "x" in days[0]
    assert rows[0][0]["reason"] == "Stopped by operator before it started."
    waiting.refresh_from_db(), single.refresh_from_db()
    assert [getattr(waiting, name) for name in SHOWN[1:]] == [getattr(single, name) for name in SHOWN[1:]]
    assert waiting.outcomes == "fx"
    assert RunTotal.objects.get(state=RunState.STOPPED).runs == 2
    assert events("stop run") == [(task.name, "successful") for task in (waiting, running, single)]


KEPT = ("state", "reason", "error_code", "ended_at", "stop_requested_at", "stop_requested_by", "step", "lease_until")


def test_suspend_and_resume(make_task: MakeTask, make_run: MakeRun) -> None:
    daily = [make_task(mode=Mode.PERIODIC, started=NOW + hours * HOUR) for hours in (1, 2)]
    run = make_run(daily[0], RunState.WAITING, NOW)
    do("suspend", *daily)
    run.refresh_from_db()
    assert run.state == RunState.STOPPED
    rows = BackupTask.objects.order_by("pk").values_list("suspended", "next_run_at", "expected_at", "version")
    assert list(rows) == [(True, None, None, 2)] * 2
    do("resume", *daily)
    starts = [task.started for task in daily]
    assert list(rows.all()) == [(False, start, start, 3) for start in starts]


def test_delete_keeps_sets_and_clears_alarms(make_task: MakeTask, make_run: MakeRun) -> None:
    tasks = [make_task(mode=Mode.PERIODIC, copies=number) for number in (3, 4)]
    run = make_run(tasks[0], RunState.SUCCESSFUL, NOW - HOUR)
    Run.objects.filter(pk=run.pk).update(damaged_at=NOW)
    for subject in (f"task {tasks[1].pk}", f"run {run.pk}", "task 999999"):
        alarms.raise_alarm("proof-overdue", subject, cause="Old.")
    result = do("delete", *tasks)
    assert not BackupTask.objects.exists()
    assert Run.objects.filter(pk=run.pk, set_removed_at__isnull=True).exists()
    assert [alarm.subject for alarm in alarms.uncleared()] == ["task 999999"]
    assert result.sets_kept == 1
    copies = AuditEvent.objects.filter(verb="delete task").order_by("pk").values_list("before__copies", flat=True)
    assert list(copies) == [3, 4]


def test_a_worker_claims_what_was_queued_in_bulk(make_task: MakeTask) -> None:
    do("run", *(make_task() for _ in range(2)))
    first, second = Run.objects.order_by("pk")
    assert claim(second.pk, NOW) is None
    assert claim(first.pk, NOW) is not None


# --- Tokens ----------------------------------------------------------------------------------------------------------
def test_tokens_hold_what_was_shown_and_nothing_else(make_task: MakeTask, make_run: MakeRun) -> None:
    task = make_task(version=4)
    run = make_run(task, RunState.RUNNING, NOW)
    assert bulk.shown_in(bulk.plan("stop", [task], NOW).token) == {task.pk: Shown(4, run.pk)}
    assert bulk.shown_in("1.2.3 4.5 x.y.z 6.7.8.9 -1.0.0 ²3.1.1 \0") == {1: Shown(2, 3)}


# --- Ten thousand ----------------------------------------------------------------------------------------------------
def whole(key: str) -> tuple[BulkResult, int, float]:
    """Do a verb to all tasks; return what came of it, the number of queries, and the seconds of work."""
    tasks = list(BackupTask.objects.select_related("cluster").order_by("cluster__name", "name"))
    began = time.process_time()
    with CaptureQueriesContext(connection) as captured:
        plan = bulk.plan(key, tasks, NOW)
        result = services.do_in_bulk(CONSOLE, key, bulk.shown_in(plan.token), NOW)
    return result, len(captured), time.process_time() - began


def test_ten_thousand_runs_at_once_in_bounded_time_and_queries() -> None:
    make_many(10_000)
    result, queries, seconds = whole("run")
    print(f"10,000 tasks: {queries} queries, {seconds:.1f} s of work")
    assert len(result.applied.done) == Run.objects.filter(state=RunState.WAITING).count() == 10_000
    assert AuditEvent.objects.count() == 10_001
    # Rows are written so many at a time, as SQLite can take them.
    assert queries < 1_000
    assert seconds < 40


def test_every_verb_asks_by_groups_and_never_once_for_each_task() -> None:
    make_many(1_000)
    for key in ("run", "stop", "suspend", "resume", "delete"):
        result, queries, _ = whole(key)
        assert len(result.applied.done) == 1_000, result.applied.refused[:3]
        assert queries < 120, key
