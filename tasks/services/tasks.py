"""Verbs on backup tasks: create, configure, suspend, resume, delete."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from storage.registry import get_path_type
from tasks import alarms, audit, permissions
from tasks.audit import Actor
from tasks.auditing.refusals import on_record_when_refused
from tasks.engine import hostkeys
from tasks.engine.watches import clocks
from tasks.errors import EditConflict, Refused
from tasks.models import BackupTask, Cluster, Service
from tasks.services.applying import do_one
from tasks.services.common import changes, require
from tasks.services.taskverbs import DELETE, RESUME, SUSPEND, audited
from tasks.states import Mode, Policy
from tasks.vault import KeyLost


@dataclass(frozen=True)
class TaskDraft:
    """What a person decided about a task; already checked by the form, checked again by the database."""

    name: str
    cluster: Cluster
    mode: str
    path_type: str
    copies: int
    destination: dict[str, Any] = field(default_factory=dict)
    started: datetime | None = None
    period: int = 1
    period_unit: str = "days"
    data_source: str = "iotdb-metadata"
    all_services: bool = True
    services: tuple[Service, ...] = ()
    check_after_days: int | None = 7
    rehearse_after_days: int | None = None
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    """What was typed now; a secret that is absent stays as it is stored."""


def create_task(actor: Actor, draft: TaskDraft, now: datetime) -> BackupTask:
    """Create a task; raise ``Refused`` naming the field where its name is taken."""
    task = BackupTask(name=draft.name, cluster=draft.cluster, created_at=now, created_by=actor.name, policy=Policy.FULL)
    require(actor, permissions.MANAGE, "create task", task)
    _require_own_services(draft.cluster, draft)
    _apply(task, draft, now)
    try:
        with transaction.atomic():
            task.save(force_insert=True)
            task.services.set([] if draft.all_services else draft.services)
            _keep_secrets(task, draft.secrets)
            audit.record(actor, "create task", task, after=audited(task))
    except IntegrityError as error:
        raise _name_taken(draft.name) if _is_taken(draft.name) else _gone_meanwhile(draft.name) from error
    return task


@on_record_when_refused("configure task")
def configure_task(actor: Actor, task: BackupTask, version: int, draft: TaskDraft, now: datetime) -> BackupTask:
    """Change a task that was read at ``version``; a run that is under way goes on with what it started with.

    Name, Backup Object, Mode, data source and path type stay as they are (admin_guide_000230). Raises
    ``EditConflict`` when somebody else saved the task since.
    """
    require(actor, permissions.MANAGE, "configure task", task)
    _require_own_services(task.cluster, draft)
    try:
        return _configure(actor, task, version, draft, now)
    except IntegrityError as error:
        raise _gone_meanwhile(task.name) from error


def _configure(actor: Actor, task: BackupTask, version: int, draft: TaskDraft, now: datetime) -> BackupTask:
    with transaction.atomic():
        current = BackupTask.objects.select_for_update().filter(pk=task.pk).first()
        if current is None:
            raise Refused(f"{task.name} was deleted meanwhile.", cure="Go back to the list.")
        if current.version != version:
            raise EditConflict(f"{task.name} was changed by somebody else while you edited it.")
        before = audited(current)
        current.version += 1
        fixed = TaskDraft(
            **{
                **draft.__dict__,
                "name": current.name,
                "cluster": current.cluster,
                "mode": current.mode,
                "path_type": current.path_type,
                "data_source": current.data_source,
            }
        )
        _apply(current, fixed, now)
        current.save()
        current.services.set([] if draft.all_services else draft.services)
        _keep_secrets(current, draft.secrets)
        if hostkeys.place_of(before["destination"]) != hostkeys.place_of(current.destination):
            # What was said of the server, or of its key, is not said of this one.
            alarms.clear_all_of([f"task {task.pk}"], actor.name, now, hostkeys.CODE, clocks.CODE)
        old, new = changes(before, audited(current))
        new |= dict.fromkeys(draft.secrets, audit.MASK)
        audit.record(actor, "configure task", current, before=old, after=new)
    return current


def _require_own_services(cluster: Cluster, draft: TaskDraft) -> None:
    foreign = [] if draft.all_services else [one.name for one in draft.services if one.cluster_id != cluster.pk]
    if foreign:
        raise Refused(f"{', '.join(foreign)} is not a service of {cluster.name}.", field="services")


def suspend_task(actor: Actor, task: BackupTask, now: datetime) -> None:
    """Stop starting a periodic task automatically, and stop the run that is under way (admin_guide_000231)."""
    do_one(actor, SUSPEND, task, now)
    task.refresh_from_db()


def resume_task(actor: Actor, task: BackupTask, now: datetime) -> None:
    """Start a suspended task automatically again, from its next period on; nothing is made up for."""
    do_one(actor, RESUME, task, now)
    task.refresh_from_db()


def delete_task(actor: Actor, task: BackupTask, now: datetime) -> None:
    """Remove a task from the list. Its backup files stay where they are, and so do its history and its audit."""
    do_one(actor, DELETE, task, now)


def _apply(task: BackupTask, draft: TaskDraft, now: datetime) -> None:
    """Put the draft onto the task and work out its next run; a success is due by it where the schedule is new."""
    before = task.schedule
    for name in (
        "cluster", "mode", "period", "period_unit", "data_source", "all_services", "path_type", "copies",
        "check_after_days", "rehearse_after_days",
    ):  # fmt: skip
        setattr(task, name, getattr(draft, name))
    place = _location(task)
    task.destination = dict(draft.destination)
    if _location(task) != place:
        # How much room there is elsewhere says nothing of this place.
        task.space = None
    task.started = draft.started if draft.mode == Mode.PERIODIC else None
    schedule = task.schedule
    # Started is given to the minute: one that names the present minute is still to come.
    minute = now.replace(second=0, microsecond=0) - timedelta(microseconds=1)
    task.next_run_at = None if schedule is None or task.suspended else schedule.first_after(minute)
    if schedule != before:
        task.expected_at = task.next_run_at


def _location(task: BackupTask) -> tuple[str, ...]:
    """Return what tells the destination of a task from others."""
    return get_path_type(task.path_type).location(task.destination)


def _keep_secrets(task: BackupTask, typed: dict[str, str]) -> None:
    """Store what was typed over what is stored; stored secrets that cannot be opened are not missed then."""
    if not typed:
        return
    try:
        stored = task.secrets()
    except KeyLost:
        stored = {}
    task.set_secrets(get_path_type(task.path_type).merge_secrets(stored, typed))
    task.save(update_fields=("sealed_secrets",))


def _is_taken(name: str) -> bool:
    return BackupTask.objects.filter(name=name).exists()


def _gone_meanwhile(name: str) -> Refused:
    return Refused(
        f"{name} was not saved: its Backup Object, or a service assigned to it, was deleted meanwhile.",
        cure="Choose them again.",
        field="cluster",
    )


def _name_taken(name: str) -> Refused:
    return Refused(f"Another task is already called {name}.", cure="Choose a different name.", field="name")
