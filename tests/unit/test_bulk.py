"""Verbs in bulk: what each does to many tasks, what it refuses and why, what is on record, and what it costs."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from tasks import alarms, bulk, services
from tasks.audit import CONSOLE, Actor
from tasks.auditing.sealing import seal_all
from tasks.engine import many
from tasks.engine.lease import claim
from tasks.models import AuditEvent, BackupTask, Cluster, LogLine, Notice, Run, RunTotal
from tasks.rows import place_of
from tasks.services.applying import Shown
from tasks.services.bulk import BULK_VERBS, BulkResult
from tasks.states import Mode, RunState
from tests.conftest import MakeRun, MakeTask
from tests.web.restoration_kit import make_restoration
from tests.web.restoration_kit import make_run as make_restoration_run
from tests.web.scope_kit import limit

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
pytestmark = pytest.mark.django_db


def shown(*tasks: BackupTask, run: Run | None = None) -> dict[int, Shown]:
    return {task.pk: Shown(task.version, run.pk if run else 0) for task in tasks}


def do(key: str, *tasks: BackupTask, actor: Actor = CONSOLE) -> BulkResult:
    """Do it as somebody does who presses the button at once."""
    plan = bulk.plan(key, list(BackupTask.objects.filter(pk__in=[task.pk for task in tasks]).order_by("pk")), NOW)
    return services.do_in_bulk(actor, key, bulk.shown_in(plan.token), NOW)


def reasons(result: BulkResult) -> dict[str, str]:
    return {refusal.task.name if refusal.task else "": str(refusal.why) for refusal in result.applied.refused}


def events(verb: str) -> list[tuple[str, str]]:
    return list(AuditEvent.objects.filter(verb=verb).order_by("pk").values_list("target", "result"))


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


# --- What is refused -------------------------------------------------------------------------------------------------
def test_the_plan_says_of_each_what_will_happen(make_task: MakeTask, make_run: MakeRun) -> None:
    west, east = Cluster.objects.create(name="west"), Cluster.objects.create(name="east")
    running, one, two = make_task("running"), make_task("one"), make_task("two")
    free, restored = make_task("free", cluster=west), make_task("restored", cluster=east)
    make_run(running, RunState.RUNNING, NOW)
    make_restoration_run(make_restoration(east, "restore-east"), RunState.RUNNING)
    plan = bulk.plan("run", [running, one, two, free, restored], NOW)
    assert [(line.task.name, line.words) for line in plan.acting] == [
        ("one", "Waits behind running."),
        ("two", "Waits behind one."),
        ("free", "Starts as soon as a worker is free."),
    ]
    assert [line.words for line in plan.idle] == [
        "running is already running. It was started at 2026-11-24 03:00 +01:00 by anna. Nothing happens.",
        f"The cluster east is restored: restore-east, started at {plan.idle[1].words.split('at ')[1][:23]} by anna. "
        "Back up when that has ended. Nothing happens.",
    ]
    assert (plan.title, plan.button, plan.word) == ("Back up 3 tasks now?", "Back up 3 tasks", "")


def test_the_first_of_a_free_cluster_is_started_while_there_are_slots(make_task: MakeTask) -> None:
    tasks = [make_task(cluster=Cluster.objects.create(name=name)) for name in "abc"]
    words = [line.words for line in bulk.plan("run", tasks, NOW).acting]
    assert words == ["Will be started.", "Will be started.", "Starts as soon as a worker is free."]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("stop", "The run of 2026-11-24 03:00 +01:00 leaves the line. Nothing of it was run."),
        ("suspend", "The next run, 2026-11-24 04:00 +01:00, will not take place. The run of 2026-11-24 03:00 +01:00 "
                    "leaves the line. Nothing of it was run."),
        ("delete", "It keeps no sets. The next run, 2026-11-24 04:00 +01:00, will not take place. The run of "
                   "2026-11-24 03:00 +01:00 leaves the line. Nothing of it was run."),
    ],
)  # fmt: skip
def test_what_would_be_ended_is_said(make_task: MakeTask, make_run: MakeRun, key: str, words: str) -> None:
    task = make_task(mode=Mode.PERIODIC, started=NOW + HOUR)
    make_run(task, RunState.WAITING, NOW)
    task.refresh_from_db()
    assert [line.words for line in bulk.plan(key, [task], NOW).acting] == [words]


def test_what_stays_is_said_with_its_place(make_task: MakeTask, make_run: MakeRun) -> None:
    task = make_task()
    make_run(task, RunState.SUCCESSFUL, NOW)
    task.refresh_from_db()
    words = bulk.plan("delete", [task], NOW).acting[0].words
    assert words == f"1 backup file set stays on {place_of(task)} in /srv/storage/LocalBackup/{task.directory}."


def test_what_cannot_be_done_is_refused_and_the_others_are_done(make_task: MakeTask, make_run: MakeRun) -> None:
    manual, daily, asleep = make_task(), make_task(mode=Mode.PERIODIC), make_task(mode=Mode.PERIODIC, suspended=True)
    result = services.do_in_bulk(CONSOLE, "suspend", shown(manual, daily, asleep), NOW)
    assert [task for task, _ in result.applied.done] == [daily]
    assert reasons(result) == {
        manual.name: f"{manual.name} is a manual task. Only periodic tasks can be suspended.",
        asleep.name: f"{asleep.name} is suspended already.",
    }
    assert sorted(events("suspend task")) == [
        (manual.name, "refused"), (daily.name, "successful"), (asleep.name, "refused"),
    ]  # fmt: skip
    assert result.event.after == {
        "done": 1,
        "refused": 2,
        "reasons": [{"reason": why, "tasks": [name]} for name, why in reasons(result).items()],
    }
    assert seal_all() == 4
    assert not AuditEvent.objects.filter(foreign=True).exists(), "written by the console"
    marks = set(AuditEvent.objects.values_list("note", flat=True))
    assert {note.rpartition("in bulk ")[2] for note in marks} == {result.event.note.removeprefix("in bulk ")}


def test_a_task_that_changed_since_it_was_shown_is_refused(make_task: MakeTask, make_run: MakeRun) -> None:
    changed, started, gone, kept = (make_task(name, mode=Mode.PERIODIC) for name in ("one", "two", "three", "four"))
    seen = shown(changed, started, gone, kept)
    services.suspend_task(CONSOLE, changed, NOW)
    services.resume_task(CONSOLE, changed, NOW)
    make_run(started, RunState.WAITING, NOW)
    services.delete_task(CONSOLE, gone, NOW)
    result = services.do_in_bulk(CONSOLE, "delete", seen | {987654: Shown(1, 0)}, NOW)
    assert reasons(result) == {
        "one": "one was changed by somebody else since you were asked. Look at it, then choose it again.",
        "two": "two was started since you were asked, by anna. Look at it, then choose it again.",
        "three": "three was deleted meanwhile. Go back to the list.",
        "": "There is no task 987654. Go back to the list.",
    }
    assert [task.name for task, _ in result.applied.done] == ["four"]


def test_the_run_that_was_shown_may_be_stopped_and_one_that_ended_is_not(
    make_task: MakeTask, make_run: MakeRun
) -> None:
    task = make_task()
    run = make_run(task, RunState.RUNNING, NOW)
    seen = shown(task, run=run)
    assert not services.do_in_bulk(CONSOLE, "stop", seen, NOW).applied.refused
    again = services.do_in_bulk(CONSOLE, "stop", seen, NOW)
    assert reasons(again) == {task.name: f"{task.name} is stopping already: console asked for it."}
    Run.objects.filter(pk=run.pk).update(state=RunState.STOPPED, ended_at=NOW)
    assert reasons(services.do_in_bulk(CONSOLE, "stop", seen, NOW)) == {task.name: f"{task.name} is not running."}


def test_maintenance_refuses_them_all(make_task: MakeTask) -> None:
    tasks = [make_task() for _ in range(2)]
    seen = shown(*tasks)
    services.set_maintenance(CONSOLE, "New disks", None, NOW - HOUR)
    plan = bulk.plan("run", tasks, NOW)
    assert (plan.title, plan.token) == ("None of the 2 tasks can be backed up now", "")
    result = services.do_in_bulk(CONSOLE, "run", seen, NOW)
    assert len(result.applied.refused) == 2 and not Run.objects.exists()
    assert len(result.event.after["reasons"]) == 1, "one reason, said once"


def test_who_may_not_does_nothing_and_that_is_on_record(make_task: MakeTask, operator: User, viewer: User) -> None:
    task = make_task()
    for key in BULK_VERBS:
        with pytest.raises(PermissionDenied):
            services.do_in_bulk(Actor("viewer", viewer), key, shown(task), NOW)
    with pytest.raises(PermissionDenied):
        services.do_in_bulk(Actor("operator", operator), "delete", shown(task), NOW)
    assert BackupTask.objects.filter(pk=task.pk, version=1).exists() and not Run.objects.exists()
    assert AuditEvent.objects.filter(result="refused", target="1 backup task").count() == len(BULK_VERBS) + 1


def test_tasks_of_clusters_out_of_sight_are_not_there(make_task: MakeTask, operator: User) -> None:
    mine, other = make_task(), make_task("hidden", cluster=Cluster.objects.create(name="west"))
    limit(operator, mine.cluster)
    result = services.do_in_bulk(Actor("operator", operator), "run", shown(mine, other), NOW)
    assert reasons(result) == {"": f"There is no task {other.pk}. Go back to the list."}
    assert "hidden" not in str(AuditEvent.objects.values_list("note", "after"))
    assert [run.task for run in Run.objects.all()] == [mine]


def test_one_that_fails_costs_no_other_its_turn(make_task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [make_task() for _ in range(3)]
    queue = many.queue_backups

    def refuse(chosen: Any, *args: Any) -> Any:
        if tasks[1] in chosen:
            raise IntegrityError("task_active_once")
        return queue(chosen, *args)

    monkeypatch.setattr(many, "queue_backups", refuse)
    result = services.do_in_bulk(CONSOLE, "run", shown(*tasks), NOW)
    assert reasons(result) == {tasks[1].name: "It was changed in this very moment. Try it again."}
    assert [task for task, _ in result.applied.done] == [tasks[0], tasks[2]]


def test_what_is_broken_off_is_on_record(make_task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.services.bulk.GROUP", 1)
    tasks = [make_task() for _ in range(3)]
    queue, calls = many.queue_backups, iter([True, False])

    def fail(*args: Any) -> Any:
        if next(calls):
            return queue(*args)
        raise OSError("disk full")

    monkeypatch.setattr(many, "queue_backups", fail)
    with pytest.raises(OSError):
        services.do_in_bulk(CONSOLE, "run", shown(*tasks), NOW)
    event = AuditEvent.objects.latest("pk")
    assert (event.after["done"], event.note[-27:]) == (1, "; broken off before its end")


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
def make_many(number: int) -> None:
    """Make so many periodic tasks of a hundred clusters."""
    clusters = Cluster.objects.bulk_create(Cluster(name=f"c{number}") for number in range(100))
    BackupTask.objects.bulk_create(
        BackupTask(
            name=f"t{number:05}", cluster=clusters[number % 100], path_type="LocalDir", copies=7, sets_kept=2,
            directory=f"t{number}", mode=Mode.PERIODIC, started=NOW + HOUR, next_run_at=NOW + HOUR,
        )
        for number in range(number)
    )  # fmt: skip


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
