"""Verbs in bulk: what is said before, what is refused and why, and what is broken off."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError

from tasks import bulk, services
from tasks.audit import CONSOLE, Actor
from tasks.auditing.sealing import seal_all
from tasks.engine import many
from tasks.models import AuditEvent, BackupTask, Cluster, Run
from tasks.rows import place_of
from tasks.services.applying import Shown
from tasks.services.bulk import BULK_VERBS
from tasks.states import Mode, RunState
from tests.conftest import MakeRun, MakeTask
from tests.unit.bulk_kit import HOUR, NOW, events, reasons, shown
from tests.web.restoration_kit import make_restoration
from tests.web.restoration_kit import make_run as make_restoration_run
from tests.web.scope_kit import limit

pytestmark = pytest.mark.django_db


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
