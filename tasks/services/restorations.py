"""Verbs on restoration tasks: create, start, confirm, roll back, delete."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from tasks import alarms, audit, permissions
from tasks.audit import Actor
from tasks.auditing.refusals import on_record_when_refused
from tasks.engine import dispatch
from tasks.engine.place import destination_of
from tasks.engine.record import copy_to_task
from tasks.engine.restore import standing
from tasks.engine.steps import present
from tasks.errors import Refused
from tasks.maintenance import require_off
from tasks.models import Cluster, Restoration, Run
from tasks.moments import stamp
from tasks.naming import NAME_LIMIT, name_problem
from tasks.naming import stamp as digits
from tasks.services.common import require, values_of
from tasks.states import ACTIVE, GOOD, Kind, RunState, Trigger

_AUDITED = ("name", "cluster", "path_type", "destination", "files", "taken_at", "version")
# Whom a stored password was given to; it is never sent to somebody else.
_RECEIVER = ("server_ip", "port", "username")


@dataclass(frozen=True)
class RestorationDraft:
    """What a person decided about a restoration of a set that was found in a destination.

    ``files`` are as in ``Restoration.files``: ``service``, ``directory``, ``name``, ``size``, ``sha256``.
    """

    name: str
    cluster: Cluster
    path_type: str
    files: list[dict[str, Any]]
    taken_at: datetime
    destination: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    version: str = ""
    source_task: str = ""


def restore_from_run(actor: Actor, run: Run, now: datetime, name: str = "") -> Restoration:
    """Create the restoration task of the set that a backup run made; nothing is started.

    Without ``name`` it is called ``restore-<task>-<time of the set>``, with a number behind where that is taken. Raises
    ``Refused`` where the set is not there any more or cannot count.
    """
    task = run.task
    subject = Restoration(name=name or f"restore-{task}", cluster=run.cluster)
    require(actor, permissions.RESTORE, "create restoration", subject)
    _require_set(run)
    assert task is not None  # run_kind_has_its_object
    secrets = _secrets_for(run)
    files = [
        {
            "service": file.service,
            "directory": file.directory,
            "name": file.name,
            "size": file.size,
            "sha256": file.sha256,
        }
        for file in run.files.order_by("service")
    ]
    draft = RestorationDraft(
        name=name or _free_name(task.name, run.began),
        cluster=run.cluster,
        path_type=run.parameters["path_type"],
        destination=destination_of(run, task),
        secrets=secrets,
        files=files,
        taken_at=run.began,
        version=run.files.values_list("version", flat=True).first() or "",
        source_task=task.name,
    )
    return _create(actor, draft, now, run)


def create_restoration(actor: Actor, draft: RestorationDraft, now: datetime) -> Restoration:
    """Create the restoration task of a set that lies in a destination; raise ``Refused`` naming the field."""
    require(actor, permissions.RESTORE, "create restoration", Restoration(name=draft.name, cluster=draft.cluster))
    if not draft.files:
        raise Refused("The set has no files.", cure="Choose a set.", field="files")
    return _create(actor, draft, now, None)


def _create(actor: Actor, draft: RestorationDraft, now: datetime, source: Run | None) -> Restoration:
    if problem := name_problem(draft.name):
        raise Refused(problem, field="name")
    restoration = Restoration(
        name=draft.name,
        cluster=draft.cluster,
        source_run=source,
        source_task=draft.source_task[:64],
        path_type=draft.path_type,
        destination=dict(draft.destination),
        files=list(draft.files),
        taken_at=draft.taken_at,
        version=draft.version[:64],
        created_at=now,
        created_by=actor.name,
    )
    try:
        with transaction.atomic():
            restoration.save(force_insert=True)
            if draft.secrets:
                restoration.set_secrets(draft.secrets)
                restoration.save(update_fields=("sealed_secrets",))
            audit.record(actor, "create restoration", restoration, after=values_of(restoration, _AUDITED))
    except IntegrityError as error:
        if Restoration.objects.filter(name=draft.name).exists():
            text = f"Another restoration task is already called {draft.name}."
            raise Refused(text, cure="Choose a different name.", field="name") from error
        text = f"{draft.name} was not saved: its Recovery Object was deleted meanwhile."
        raise Refused(text, cure="Choose another one.", field="cluster") from error
    return restoration


@on_record_when_refused("start restoration")
def start_restoration(actor: Actor, restoration: Restoration, now: datetime) -> Run:
    """Queue a run of a restoration task: Start, and Retry after it failed.

    Raises ``Refused`` after a success, while it or another one of the cluster is active or *Unknown*, and while a
    backup of the cluster waits or runs, naming it and who started it; and during maintenance.
    """
    require(actor, permissions.RESTORE, "start restoration", restoration)
    return _queue(actor, restoration, Kind.RESTORE, "start restoration", now)


@on_record_when_refused("roll back")
def roll_back(actor: Actor, restoration: Restoration, now: datetime) -> Run:
    """Queue the way back of a restoration whose outcome is *Unknown*.

    Raises ``Refused`` for any other, and during maintenance; the way back of one that lost its worker is ordered by
    the console itself and starts all the same.
    """
    require(actor, permissions.RESTORE, "roll back", restoration)
    return _queue(actor, restoration, Kind.ROLLBACK, "roll back", now)


def _queue(actor: Actor, restoration: Restoration, kind: Kind, verb: str, now: datetime) -> Run:
    require_off(now)
    try:
        with transaction.atomic():
            current = _locked(restoration)
            # Both ways look at the other's runs: who comes second sees what the first one queued.
            list(Cluster.objects.select_for_update(no_key=True).filter(pk=current.cluster_id).values_list("pk"))
            _require_free(current)
            _require_startable(current) if kind == Kind.RESTORE else _require_unknown(current)
            run = Run.objects.create(
                kind=kind,
                restoration=current,
                cluster_id=current.cluster_id,
                trigger=Trigger.PERSON,
                started_by=actor.user,
                started_by_name=actor.name,
                queued_at=now,
            )
            copy_to_task(run)
            audit.record(actor, verb, current, note=f"run {run.pk}")
    except IntegrityError as error:
        raise Refused(f"{restoration.name} was started in this very moment.", cure="Look at its run.") from error
    dispatch.offer(now)
    return run


@on_record_when_refused("confirm restoration")
def confirm_restoration(actor: Actor, run: Run, typed: str, now: datetime) -> None:
    """Let a restoration that waits for it go on: from here on IoTDB is stopped and its metadata replaced.

    Raises ``Refused`` for the field ``typed`` unless it is the cluster's name to the letter, and where the run does
    not wait for it.
    """
    require(actor, permissions.RESTORE, "confirm restoration", run.thing)
    with transaction.atomic():
        current = Run.objects.select_for_update().filter(pk=run.pk, kind=Kind.RESTORE, state=RunState.RUNNING).first()
        step = present(current.steps) if current else None
        if current is None or step is None or step["key"] != "confirm" or current.confirmed_at:
            raise Refused(f"{run.thing.name} does not wait to be confirmed.", cure="Look at its steps.")
        if typed != run.cluster.name:
            raise Refused("This is not the name of the cluster.", cure=f"Type {run.cluster.name}.", field="typed")
        Run.objects.filter(pk=run.pk).update(confirmed_at=now, confirmed_by=actor.name)
        audit.record(actor, "confirm restoration", run.thing, note=f"run {run.pk}")


@on_record_when_refused("delete restoration")
def delete_restoration(actor: Actor, restoration: Restoration, now: datetime) -> None:
    """Remove a restoration task from the list; its history and its safety copies stay known.

    Raises ``Refused`` while it is active, and while its outcome is *Unknown*.
    """
    require(actor, permissions.RESTORE, "delete restoration", restoration)
    with transaction.atomic():
        current = _locked(restoration)
        if current.runs.filter(state__in=ACTIVE).exists():
            raise Refused(f"{current.name} is active.", cure="Stop it first.")
        if current.last_state == RunState.UNKNOWN:
            raise Refused(
                f"Nobody knows how {current.cluster} stands after {current.name}.", cure="Roll it back first."
            )
        Restoration.objects.filter(pk=current.pk).update(deleted_at=now)
        alarms.clear_all_of([f"restoration {current.pk}"], actor.name, now)
        audit.record(actor, "delete restoration", current, before=values_of(current, _AUDITED))


def _locked(restoration: Restoration) -> Restoration:
    current = locked_restoration(restoration)
    if current.deleted_at is not None:
        raise Refused(f"{restoration.name} was deleted meanwhile.", cure="Go back to the list.")
    return current


def locked_restoration(restoration: Restoration) -> Restoration:
    """Return the row locked, deleted or not; in a transaction."""
    rows = Restoration.all_restorations.select_for_update(of=("self",)).select_related("cluster")
    return rows.get(pk=restoration.pk)


def _require_startable(restoration: Restoration) -> None:
    if restoration.last_state in GOOD:
        raise Refused(
            f"{restoration.name} was restored already and cannot run again.",
            cure="Create another restoration task of the same set.",
        )
    unsettled = standing.unsettled(restoration.cluster_id)
    if unsettled is not None:
        raise Refused(
            f"Nobody knows how {restoration.cluster} stands after {unsettled.name}.",
            cure=f"Roll {unsettled.name} back.",
        )


def _require_unknown(restoration: Restoration) -> None:
    if restoration.last_state != RunState.UNKNOWN:
        raise Refused(f"There is nothing to roll back: the outcome of {restoration.name} is known.")


def _require_free(restoration: Restoration) -> None:
    """Refuse while anything else of the cluster waits or runs that restores or backs up."""
    run = standing.active(restoration.cluster_id)
    if run is not None:
        raise Refused(f"{run.thing.name} {_doing(run)}", cure="Wait for its end, or stop it.")
    backups = Run.objects.filter(cluster_id=restoration.cluster_id, kind=Kind.BACKUP, state__in=ACTIVE)
    backup = backups.select_related("task").first()
    if backup is not None:
        raise Refused(
            f"The backup task {backup.thing.name} of this cluster {_doing(backup)}",
            cure="Wait for its end, or stop it.",
        )


def _doing(run: Run) -> str:
    doing = "is running" if run.state == RunState.RUNNING else "is waiting"
    return f"{doing}. It was started at {stamp(run.began)} by {run.who}."


def _require_set(run: Run) -> None:
    if run.kind != Kind.BACKUP or run.state not in GOOD or run.verified_at is None:
        raise Refused("This run gave no set that could be restored.")
    if run.set_removed_at is not None or run.files.filter(removed_at__isnull=False).exists():
        raise Refused("The set of this run was removed from its destination.", cure="Choose a newer set.")
    if run.damaged_at is not None:
        raise Refused(f"The set of this run is damaged. {run.damage}".strip(), cure="Choose another set.")


def _secrets_for(run: Run) -> dict[str, str]:
    """Return the task's password, unless it was given for another server or account since. Raises ``KeyLost``."""
    task = run.task
    assert task is not None  # run_kind_has_its_object
    if not task.sealed_secrets:
        return {}
    then = run.parameters["destination"]
    if any(then.get(name) != task.destination.get(name) for name in _RECEIVER):
        raise Refused(
            f"{task.name} was configured to another server or account since this set was made, with another password.",
            cure="Create the restoration from the destination, and type the password there.",
        )
    return task.secrets()


def _free_name(task: str, taken_at: datetime) -> str:
    tail = f"-{digits(taken_at, timezone.get_default_timezone())}"
    stem = f"restore-{task}"[: NAME_LIMIT - len(tail) - 4] + tail
    taken = set(Restoration.objects.filter(name__startswith=stem).values_list("name", flat=True))
    return next(name for name in [stem, *(f"{stem}-{n}" for n in range(2, 1000))] if name not in taken)
