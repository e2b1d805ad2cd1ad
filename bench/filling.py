"""Fills an empty database of the console with an imagined installation, in a minute at full size."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.db import connection

from tasks.models import Alarm, BackupFile, BackupTask, Cluster, LogLine, Node, Restoration, Run, Service
from tasks.searchtext import search_text

from . import imagined
from .bulk import at, forward_keys, unchecked, write
from .filling_audit import events
from .filling_days import days, space
from .imagined import Size, Task

COPIES = 7
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
_REASONS = {
    "failed": "10.20.4.19 refused the password of svc-backup.",
    "warnings": "One file changed while it was read, and was read again.",
    "stopped": "Stopped by anna.",
    "postponed": "Postponed: the run before was still running.",
}
_INVENTORY = json.dumps(
    {
        "IoTDB": {
            "version": "2.0.1-beta",
            "counts": {"databases": 6, "tables": 7, "series": 661, "devices": 131, "users": 3, "roles": 2},
            "names": {"databases": [f"root.plant{number}" for number in range(6)], "users": ["root", "anna", "bernd"]},
            "rights": {"user root": "ab9e8470", "user anna": "368c2197", "user bernd": "e1195edc"},
        }
    }
)
_CHANGES = json.dumps({"IoTDB": {"counts": {"series": [660, 661], "devices": [130, 131]}}})


def fill(size: Size, now: datetime) -> None:
    """Write everything, as it would stand there at ``now``, into a database that nobody else uses."""
    with unchecked():
        everything(size, now)
    with connection.cursor() as cursor:
        # PostgreSQL does this by itself within minutes; SQLite does it nowhere, so that it is not done here either.
        if connection.vendor == "postgresql":
            cursor.execute("VACUUM ANALYZE")


def everything(size: Size, now: datetime) -> None:
    """Write the rows of all tables."""
    tasks = imagined.tasks(size, now)
    _inventory(size)
    backups = _runs_and_files(tasks, size, now)
    write(BackupTask, _TASK, (_task_row(task, now) for task in tasks))
    proofs = _proofs(tasks, backups + 1)
    _restorations(tasks, size, proofs + 1, now)
    _alarms(tasks, size, now)
    events(tasks, size.events, now)
    places = [(task.path_type, _destination(task)) for task in tasks]
    space(
        ((kind, f"{where['server_ip']} {where['shared_path']}") for kind, where in places if "server_ip" in where),
        now,
    )
    forward_keys(*apps.get_app_config("tasks").get_models())


def _inventory(size: Size) -> None:
    numbers = range(1, size.clusters + 1)
    write(Cluster, ("id", "name"), ((number, f"cluster-{number:03d}") for number in numbers))
    write(Service, ("id", "cluster_id", "name"), ((number, number, "IoTDB") for number in numbers))
    nodes = ((number, number, "node1", "/opt/iotdb") for number in numbers)
    write(Node, ("id", "service_id", "name", "home"), nodes)


# --- Runs, files and logs ---------------------------------------------------------------------------------------------
_RUN = (
    "id", "kind", "task_id", "cluster_id", "trigger", "started_by_name", "scheduled_for", "state", "queued_at",
    "started_at", "ended_at", "worker", "bytes_read", "bytes_written", "error_code", "reason", "size", "verified_at",
    "set_removed_at", "inventory", "changes", "healthy",
)  # fmt: skip
_FILE = (
    "run_id", "service", "directory", "name", "path", "size", "sha256", "members", "source_bytes", "version",
    "verified_at", "removed_at",
)  # fmt: skip
_LINES = (
    "The run begins.", "Copying the ConfigNode of node1.", "Copying the DataNode of node1.", "The archive is whole.",
    "Retention: 7 of 7 sets are kept, 1 removed.",
)  # fmt: skip


def _runs_and_files(tasks: list[Task], size: Size, now: datetime) -> int:
    """Write the backup runs with files, days, and the logs of the newest; return the key of the last run."""
    runs = list(imagined.runs(tasks, COPIES))
    kept = {pk for task in tasks for pk in task.kept}
    write(Run, _RUN, (_run_row(run, run.pk in kept) for run in runs))
    write(BackupFile, _FILE, (_file_row(run, run.pk in kept) for run in runs if run.good))
    logged = runs[-size.log_lines // len(_LINES) :]
    lines = ((run.pk, at(run.began), text) for run in logged for text in _LINES)
    write(LogLine, ("run_id", "at", "text"), lines)
    days(runs, now)
    return runs[-1].pk


def _run_row(run: imagined.Run, kept: bool) -> tuple[Any, ...]:
    task, good, late = run.task, run.good, run.state == "postponed"
    began, ended, removed = at(run.began), at(run.ended), None
    if good and not kept:
        removed = at(run.ended + 7 * _DAY)
    scheduled = began if task.next_run else None
    return (
        run.pk, "backup", task.pk, task.cluster, "schedule" if scheduled else "person", "" if scheduled else "anna",
        scheduled, run.state, began, None if late else began, ended, "backup-host/4711",
        0 if late else run.size * 4, run.size if good else 0, "" if good else "refused", _REASONS.get(run.state, ""),
        run.size if good else None, ended if good else None, removed, _INVENTORY if good else "{}",
        _CHANGES if good and not run.pk % 9 else "{}", True if good else None,
    )  # fmt: skip


def _file_row(run: imagined.Run, kept: bool) -> tuple[Any, ...]:
    directory = f"{run.task.name}_20260101030000"
    name = f"2.0.1-beta_IoTDB_{run.began:%Y%m%d%H%M%S}.tar.gz"
    return (
        run.pk, "IoTDB", directory, name, f"/srv/backup/{directory}/{name}", run.size, f"{run.pk:064x}", 120,
        run.size * 4, "2.0.1-beta", at(run.ended), None if kept else at(run.ended + 7 * _DAY),
    )  # fmt: skip


# --- Tasks ------------------------------------------------------------------------------------------------------------
_TASK = (
    "id", "name", "cluster_id", "mode", "started", "period", "period_unit", "path_type", "destination", "copies",
    "suspended", "created_at", "created_by", "directory", "next_run_at", "last_run_id", "last_state", "last_started_at",
    "last_ended_at", "last_bytes", "last_reason", "last_success_at", "last_verified_at", "sets_kept", "bytes_kept",
    "outcomes", "expected_at", "search_text",
)  # fmt: skip


def _task_row(task: Task, now: datetime) -> tuple[Any, ...]:
    last, good = task.last, task.last_good
    success = at(good.ended) if good else None
    following = at(task.next_run) if task.next_run and not task.suspended else None
    return (
        task.pk, task.name, task.cluster, "periodic" if task.next_run else "manual",
        at(task.started) if task.next_run else None, task.period, task.unit or "days", task.path_type,
        json.dumps(_destination(task)), COPIES, task.suspended, at(task.started - _DAY), "anna",
        f"{task.name}_20260101030000", following,
        last and last.pk, last.state if last else "", at(last.began) if last else None,
        at(last.ended) if last else None,
        last.size if last and last.good else None, _REASONS.get(last.state, "") if last else "",
        success, success, len(task.kept), sum(task.kept) % 10**9, task.outcomes, following,
        search_text(task.name, _destination(task)),
    )  # fmt: skip


def _destination(task: Task) -> dict[str, Any]:
    server, path = f"10.20.{task.cluster}.{task.pk % 3 + 11}", "/export/backup"
    places: dict[str, dict[str, Any]] = {
        "NFS": {"ip_mode": "ipv4", "server_ip": server, "shared_path": path},
        "CIFS": {"ip_mode": "ipv4", "server_ip": server, "port": 445, "username": "svc", "shared_path": path},
        "SFTP": {"ip_mode": "ipv4", "server_ip": server, "port": 22, "username": "svc", "shared_path": path},
        "RemoteHDFS": {"name_service": "hacluster", "active_ip": server, "standby_ip": server, "target_path": path},
    }
    return places.get(task.path_type, {})


# --- Proofs and restorations ------------------------------------------------------------------------------------------
_PROOF = (
    "id", "kind", "task_id", "subject_id", "cluster_id", "trigger", "state", "queued_at", "started_at", "ended_at"
)  # fmt: skip


def _proofs(tasks: list[Task], first: int) -> int:
    """Write three checks of the newest set of each task; return the key of the last one."""
    proven = [task for task in tasks if task.kept and task.last_good]
    rows: list[tuple[Any, ...]] = []
    for task in proven:
        for number in range(3):
            ended = at(task.last_good.ended + (number + 1) * _MINUTE) if task.last_good else None
            key = first + len(rows)
            rows.append(
                (key, "check", task.pk, task.kept[-1], task.cluster, "schedule", "successful", ended, ended, ended)
            )
    write(Run, _PROOF, rows)
    return first + len(rows) - 1


def _restorations(tasks: list[Task], size: Size, first: int, now: datetime) -> None:
    """Write restoration tasks of sets that are kept, each with a run that went well, or was rolled back."""
    chosen = [task for task in tasks if task.kept][: size.restorations]
    step = {"title": "Fetch the set", "state": "done", "began": now.isoformat(), "ended": now.isoformat(), "text": ""}
    steps = json.dumps([step] * 9)
    runs, rows = [], []
    for number, task in enumerate(chosen, 1):
        when = at(now - (len(chosen) - number + 1) * _DAY / 4)
        state = "rolledback" if number % 7 == 0 else "successful"
        run = first + number - 1
        runs.append((run, "restore", number, task.cluster, "person", "dora", state, when, when, when, steps))
        name = f"restore-{number:04d}"
        rows.append(
            (number, name, task.cluster, task.kept[-1], task.name, "LocalDir", when, when, run, state, when, when)
        )
    names = ("id", "kind", "restoration_id", "cluster_id", "trigger", "started_by_name", "state", "queued_at")
    write(Run, (*names, "started_at", "ended_at", "steps"), runs)
    write(
        Restoration,
        (
            "id", "name", "cluster_id", "source_run_id", "source_task", "path_type", "taken_at", "created_at",
            "last_run_id", "last_state", "last_started_at", "last_ended_at",
        ),
        rows,
    )  # fmt: skip


# --- Alarms and audit -------------------------------------------------------------------------------------------------
def _alarms(tasks: list[Task], size: Size, now: datetime) -> None:
    """Write alarms: every task whose last run failed has one, and as many more are cleared as ``size`` says."""
    failed = [task for task in tasks if task.last and task.last.state == "failed"]
    chance = random.Random(20261125)
    rows = []
    for number in range(size.alarms):
        task = failed[number] if number < len(failed) else chance.choice(tasks)
        moment = now - _MINUTE * (size.alarms - number)
        raised, cleared = at(moment), None if number < len(failed) else at(moment + 30 * _MINUTE)
        rows.append(
            (
                "backup-failed", f"task {task.pk}", "major", "Periodical Backup Failure", task.name, task.cluster,
                _REASONS["failed"], f"/backups/{task.pk}/history/", raised, raised, cleared,
                "console" if cleared else "",
            )
        )  # fmt: skip
    write(
        Alarm,
        (
            "code", "subject", "severity", "name", "place", "cluster_id", "cause", "link", "raised_at", "renewed_at",
            "cleared_at", "cleared_by",
        ),
        rows,
    )  # fmt: skip
