"""Fills the database of a live console: people of every role, two clusters, and a history to look at.

Run as ``python -m tests.e2e.seed DIRECTORY`` in the console's environment, before the console starts. The history is
written as rows, because its moments lie in the past; what a test watches is run by the console itself.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django

from tests.e2e import alarms, messages, restorations
from tests.e2e.inventories import of_night

if TYPE_CHECKING:
    from tasks.models import BackupTask, Run

ROOT = Path(__file__).resolve().parent.parent.parent
PASSWORD = "correct-horse-battery-9"
# So much to read that a run is still at it when somebody looks: incompressible, so that it also takes room.
BIG_BYTES = 700_000_000


def main(directory: Path) -> None:
    """Seed the database that the environment names; homes of IoTDB go to ``directory``."""
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    _people()
    _inventory(directory)
    _limited()
    _history()
    restorations.seed(directory)
    messages.seed()


def _people() -> None:
    from django.contrib.auth.models import Group, User

    from tasks.permissions import ROLES

    for role in ROLES:
        user = User.objects.create_user(role.lower().replace(" ", "-"), password=PASSWORD)
        user.groups.add(Group.objects.get(name=role))
    User.objects.create_user("nobody", password=PASSWORD)


def _inventory(directory: Path) -> None:
    from tasks.models import Cluster, Node, Service

    home = directory / "iotdb-home"
    shutil.copytree(ROOT / "sample" / "iotdb-home", home, symlinks=True)
    plant = Cluster.objects.create(name="plant", note="Two services")
    for name in ("IoTDB", "IoTDB-1"):
        service = Service.objects.create(cluster=plant, name=name)
        Node.objects.create(service=service, name="node1", home=str(home), rpc_host="10.20.4.18")
    depot = Cluster.objects.create(name="depot", note="Takes long to back up")
    service = Service.objects.create(cluster=depot, name="IoTDB")
    Node.objects.create(service=service, name="node1", home=str(_big_home(home, directory / "big-home")))


def _limited() -> None:
    from django.contrib.auth.models import Group, User

    from tasks.models import Cluster, Person

    user = User.objects.create_user("depot-keeper", "keeper@example.org", PASSWORD, first_name="Kim")
    user.groups.set(Group.objects.filter(name__in=("Operator", "Restore Administrator")))
    Person.objects.create(user=user, limited=True).clusters.set(Cluster.objects.filter(name="depot"))


def _big_home(home: Path, big: Path) -> Path:
    """Return a home with one file in its ConfigNode's log that takes seconds to archive."""
    shutil.copytree(home, big, symlinks=True)
    group = next((big / "data" / "confignode" / "consensus").iterdir())
    block = random.Random(20261123).randbytes(1 << 20)
    with open(group / "current" / "log_1-99", "wb") as file:
        for number in range(BIG_BYTES >> 20):
            file.write(number.to_bytes(8) + block[8:])
    return big


def _history() -> None:
    """A periodic task with three weeks of runs of every kind, one that fails, one that never ran, one suspended."""
    from django.db.models import F
    from django.utils import timezone

    from tasks.models import BackupTask, Cluster

    plant, now = Cluster.objects.get(name="plant"), timezone.now()
    created = now - timedelta(days=30)
    common = {"cluster": plant, "path_type": "LocalDir", "copies": 7, "created_at": created, "created_by": "console"}
    # The files of these sets are nowhere: nobody is to look for them while the tests do.
    common |= {"check_after_days": None}
    daily = {"mode": "periodic", "started": created, "period_unit": "days", "next_run_at": now + timedelta(hours=9)}
    nightly = BackupTask.objects.create(name="plant-nightly", **common, **daily)
    for age in range(21, 0, -1):
        state = {15: "failed", 9: "postponed", 4: "stopped", 2: "warnings"}.get(age, "successful")
        _run(nightly, state, now - timedelta(days=age, hours=2), night=age - 1)
    _remove_old_sets(nightly.pk, now)
    _proofs(nightly, now)
    failing = BackupTask.objects.create(name="plant-failing", **common, **daily)
    _run(failing, "failed", now - timedelta(hours=5))
    BackupTask.objects.create(name="plant-unused", mode="manual", **common)
    paused = BackupTask.objects.create(name="plant-suspended", **common, **daily | {"next_run_at": None})
    BackupTask.objects.filter(pk=paused.pk).update(suspended=True)
    for age in (5, 4):
        _run(paused, "successful", now - timedelta(days=age))
    # What these runs were due by is not what the schedule says.
    BackupTask.objects.update(expected_at=F("next_run_at"))
    _damage(paused, now - timedelta(days=2))
    alarms.seed(failing, paused, REASONS["failed"], now)
    _offsite(common | daily, now)


def _offsite(common: dict[str, Any], now: datetime) -> None:
    """A task to another host whose sets grow, and whose destination fills up within three weeks."""
    from storage.base import Space
    from tasks.engine.spaces import Place, record
    from tasks.models import BackupTask

    where = {"server_ip": "10.20.4.18", "port": 22, "username": "svc-iotdb", "shared_path": "/backup/iotdb"}
    task = BackupTask.objects.create(
        name="plant-offsite", **common | {"path_type": "SFTP", "destination": where, "copies": 30}
    )
    place = Place.of("SFTP", where)
    for age in range(24, 0, -1):
        began = now - timedelta(days=age, hours=1)
        _run(task, "failed" if age == 7 else "successful", began, size=61_000_000 - age * 500_000)
        record(place, Space((40 + 2 * age) * 10**9, 250 * 10**9), began, task.pk)


def _remove_old_sets(task_id: int, now: datetime) -> None:
    """Leave as many sets as the task keeps, as retention would have done."""
    from tasks.engine.record import count_sets, kept_sets
    from tasks.models import BackupFile, Run

    old = [run.pk for run in kept_sets(task_id)[7:]]
    Run.objects.filter(pk__in=old).update(set_removed_at=now)
    BackupFile.objects.filter(run__in=old).update(removed_at=now)
    count_sets(task_id)


REASONS = {
    "failed": "The disk that holds the destination is full. Free space there or keep fewer copies.",
    "postponed": "Postponed: the start was 6 min late (limit 120 s).",
    "stopped": "Stopped by operator after 11 s.",
    "warnings": "One node was stopped: its copy is cold.",
}


def _run(task: BackupTask, state: str, began: datetime, night: int | None = None, size: int = 48_000_000) -> None:
    """Make a run; with the inventory of that ``night``, and what had changed since the one before."""
    from tasks.engine.record import copy_to_task, count_sets
    from tasks.models import BackupFile, LogLine, Run

    good = state in ("successful", "warnings")
    ended = began + timedelta(minutes=12, seconds=32)
    run = Run.objects.create(
        task=task, cluster=task.cluster, trigger="schedule", scheduled_for=began, queued_at=began, state=state,
        started_at=None if state == "postponed" else began, ended_at=ended, size=size if good else None,
        verified_at=ended if good else None, reason=REASONS.get(state, ""), worker="mgmt-1/4711",
        **(_counted(task, night) if good and night is not None else {}),
    )  # fmt: skip
    LogLine.objects.create(run=run, at=began, text=f"Run {run.pk} claimed by worker mgmt-1/4711. Started by: Schedule.")
    if state in REASONS:
        LogLine.objects.create(run=run, at=ended, level="ERROR" if state == "failed" else "WARN", text=REASONS[state])
    for service in ("IoTDB", "IoTDB-1") if good else ():
        name = f"2.0.1-beta_{service}_{began:%Y%m%d%H%M%S}.tar.gz"
        BackupFile.objects.create(
            run=run, service=service, directory=task.directory, name=name, size=24_000_000, sha256="5e" * 32,
            path=f"/srv/storage/LocalBackup/{task.directory}/{name}", members=141, source_bytes=61_000_000,
            version="2.0.1-beta", verified_at=ended,
        )  # fmt: skip
    copy_to_task(run)
    count_sets(task.pk)


def _counted(task: BackupTask, night: int) -> dict[str, Any]:
    """Return the fields of a run that the pipeline fills where IoTDB was asked."""
    from tasks.differences import counted
    from tasks.iotdb.base import Summary
    from tasks.iotdb.difference import difference

    now, last = of_night(night), counted(task.pk).first()
    before = last.inventory if last else {}
    pairs = {name: (Summary.of(before[name]), Summary.of(now[name])) for name in now if name in before}
    return {
        "inventory": now,
        "changes": {name: difference(*pair) for name, pair in pairs.items()},
        "healthy": night != 6,
    }


def _proofs(task: BackupTask, now: datetime) -> None:
    """Check one set and rehearse another, as the schedule of proofs would have done."""
    from tasks.engine.record import kept_sets
    from tasks.models import BackupTask, Run

    newest, _, third, fourth, *_ = kept_sets(task.pk)
    day = timedelta(days=1)
    _proof(third, "rehearsal", "successful", now - 3 * day, "All 9 counts equal.", steps(now - 3 * day))
    _proof(third, "check", "successful", now - 2 * day, "Every hash is equal.")
    _proof(fourth, "check", "successful", now - 4 * day, "Every hash is equal.")
    Run.objects.filter(pk=third.pk).update(rehearsed_at=now - 3 * day, checked_at=now - 2 * day)
    Run.objects.filter(pk=fourth.pk).update(checked_at=now - 4 * day)
    Run.objects.filter(pk=newest.pk).update(parameters={"read_back": False})
    BackupTask.objects.filter(pk=task.pk).update(last_rehearsed_at=now - 3 * day, last_checked_at=now - 2 * day)


def _damage(task: BackupTask, found_at: datetime) -> None:
    """Find the newest set of a task damaged."""
    from tasks.engine.record import count_sets
    from tasks.engine.verdicts import settle
    from tasks.models import Run

    subject = Run.objects.filter(task=task).latest("pk")
    damage = "conf/iotdb-system.properties is not as its manifest says."
    _proof(subject, "check", "failed", found_at, f"The set is damaged and counts no more. {damage}")
    Run.objects.filter(pk=subject.pk).update(damaged_at=found_at, damage=damage)
    count_sets(task.pk)
    settle(task.pk)


def _proof(subject: Run, kind: str, state: str, began: datetime, reason: str, steps: object = ()) -> None:
    from tasks.models import LogLine, Run

    run = Run.objects.create(
        kind=kind, task=subject.task, subject=subject, cluster=subject.cluster, trigger="schedule", queued_at=began,
        state=state, started_at=began, ended_at=began + timedelta(seconds=9), reason=reason, steps=list(steps),
    )  # fmt: skip
    LogLine.objects.create(run=run, at=began, text=f"Run {run.pk} claimed by worker mgmt-1/4711. Started by: Schedule.")
    LogLine.objects.create(run=run, at=began, level="ERROR" if state == "failed" else "INFO", text=reason)


def steps(began: datetime) -> list[dict[str, Any]]:
    """Return the steps of a rehearsal that ended well."""
    done = (
        ("fetch", "Fetch the set and verify every hash", 2, "282 members, 48.0 MB, all equal."),
        ("start", "Start IoTDB in a network of its own", 6, "2.0.1-beta, on the recorded addresses and ports."),
        ("compare", "Compare every count", 1, "All 9 counts equal."),
        ("remove", "Remove everything again", 0, ""),
    )
    found = []
    for key, title, seconds, text in done:
        ended = began + timedelta(seconds=seconds)
        times = {"began": began.isoformat(), "ended": ended.isoformat()}
        found.append({"key": key, "title": title, "state": "done", "text": text, **times})
        began = ended
    return found


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backupconsole.settings")
    main(Path(sys.argv[1]))
