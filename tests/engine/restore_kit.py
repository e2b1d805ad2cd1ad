"""A cluster to restore without a server: the sample home, stand-ins for its two roles, and its set in LocalDir."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from tasks import services
from tasks.audit import CONSOLE
from tasks.engine import kinds
from tasks.engine.lease import Lease, claim
from tasks.engine.restore import control, wellness
from tasks.engine.steps import present
from tasks.errors import Refused
from tasks.hosts import LocalHost
from tasks.models import BackupTask, Node, Restoration, Run
from tasks.sources.iotdb_running import MAIN_CLASSES
from tasks.states import Control, Kind, RunState
from tests.engine.kit import run_now
from tests.servers.iotdb_ports import PORTS, free_offset

STAND_IN = Path(__file__).with_name("stand_in.py")
METADATA = ("data/confignode", "data/datanode/system", "data/datanode/consensus", "ext")
MAINS = MAIN_CLASSES
MARKS = (".pre-restore-", ".restoring-", ".failed-restore-")
SCHEMA = "data/datanode/consensus/schema_region"
IDENTITY = "data/datanode/system/system.properties"


def move_ports(home: Path) -> None:
    """Give a home ports that nobody has, in its configuration and in what its roles recorded."""
    offset = free_offset()
    for name in ("conf/iotdb-system.properties", "data/confignode/system/confignode-system.properties",
                 "data/datanode/system/system.properties"):  # fmt: skip
        path = home / name
        text = path.read_text()
        for port in PORTS.values():
            text = text.replace(str(port), str(port + offset))
        path.write_text(text)


def command(verb: str, role: str, home: Path) -> str:
    """Return the command that starts or stops a stand-in."""
    pid = shlex.quote(str(home / f"{role}.pid"))
    if verb == "stop":
        return f"kill $(cat {pid})"
    program = shlex.join([sys.executable, str(STAND_IN), MAINS[role], f"-DHOME={home}"])
    return f"{program} & echo $! > {pid}"


def start_all(home: Path) -> None:
    """Start both roles, and wait until they listen."""
    for role in MAINS:
        subprocess.run(["sh", "-c", command("start", role, home)], check=True, stdout=subprocess.DEVNULL)


def kill_all(home: Path) -> None:
    """End whatever stand-ins a home has, by their numbers."""
    for path in home.glob("*.pid"):
        with suppress(ProcessLookupError, ValueError):
            os.kill(int(path.read_text()), signal.SIGKILL)


def running(home: Path) -> set[str]:
    """Return the roles of a home of which a process is there."""
    return {role for role in MAINS if control.processes_of(LocalHost(), str(home), role)}


def picture(home: Path) -> dict[str, tuple[Any, ...]]:
    """Return all metadata of a home: for each name its kind, mode, owner, time and content."""
    found = {}
    for part in METADATA:
        for path in sorted([home / part, *(home / part).rglob("*")]):
            if not os.path.lexists(path) or any(mark in str(path) for mark in MARKS):
                continue
            seen = path.lstat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(seen.st_mode) else ""
            # The time of a directory changes when its neighbour is renamed, and changes nothing.
            when = int(seen.st_mtime) if stat.S_ISREG(seen.st_mode) else 0
            found[str(path.relative_to(home))] = (seen.st_mode, seen.st_uid, seen.st_gid, when, content)
    return found


def leftovers(home: Path) -> list[str]:
    """Return what restorations left beside the directories of a home."""
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if any(mark in path.name for mark in MARKS))


@pytest.fixture(autouse=True)
def quick_stand_ins(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins are up in a moment."""
    settings.RESTORE_CONFIRM_SECONDS = 30
    settings.RESTORE_START_SECONDS = 30
    for module in (control, wellness):
        monkeypatch.setattr(module, "PAUSE", 0.05)
    monkeypatch.setattr(wellness, "GONE_SECONDS", 2.0)


@pytest.fixture(name="node")
def running_node(service: Any, sample_home: Path) -> Iterator[Node]:
    """A node that runs, as far as can be seen from outside, and that the console can stop and start."""
    yield add_node(service, "node1", sample_home)
    kill_all(sample_home)


def add_node(service: Any, name: str, home: Path) -> Node:
    """Start stand-ins in a home, at ports of its own, and return the node with the commands for them."""
    move_ports(home)
    commands = {
        f"{verb}_{field}": command(verb, role, home)
        for verb in ("start", "stop")
        for field, role in (("config_node", "ConfigNode"), ("data_node", "DataNode"))
    }
    values = {"rpc_host": "127.0.0.1", "control": Control.COMMANDS}
    made = Node.objects.create(service=service, name=name, home=str(home), **values, **commands)
    start_all(home)
    return made


@pytest.fixture(name="set_run")
def run_with_set(task: BackupTask, node: Node, storage_path: Path) -> Run:
    """A run with a set of the sample."""
    run = run_now(task)
    assert run.state in (RunState.SUCCESSFUL, RunState.WARNINGS), run.reason
    return run


@pytest.fixture(name="restoration")
def restoration_of_set(set_run: Run) -> Restoration:
    """The restoration task of that set."""
    return services.restore_from_run(CONSOLE, set_run, timezone.now())


@pytest.fixture(name="bad_set")
def set_that_does_not_start(task: BackupTask, node: Node, storage_path: Path, sample_home: Path) -> Restoration:
    """A restoration of a set with which IoTDB does not start."""
    sign = sample_home / "data/datanode/system/do-not-start"
    sign.touch()
    run = run_now(task)
    sign.unlink()
    return services.restore_from_run(CONSOLE, run, timezone.now())


@contextmanager
def no_way_back() -> Iterator[None]:
    """Let nothing that was set aside be renamed back."""
    real = LocalHost.rename

    def rename(self: LocalHost, old: str, new: str) -> None:
        if ".pre-restore-" in old:
            raise PermissionError(13, "Permission denied", old)
        real(self, old, new)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalHost, "rename", rename)
        yield


def edit(home: Path, name: str, old: str, new: str) -> None:
    """Change a text in a file of a home; it has to be there."""
    path = home / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def damage(home: Path) -> None:
    """Lose the schema, and write what is newer than the set."""
    shutil.rmtree(home / SCHEMA)
    (home / "data/datanode/system/newer").write_text("newer than the set")


def begin_restoration(restoration: Restoration, verb: Any = services.start_restoration) -> Lease:
    """Queue a run of a restoration task and claim it, as a worker would."""
    run = verb(CONSOLE, restoration, timezone.now())
    lease = claim(run.pk, timezone.now())
    assert lease is not None
    return lease


class Confirming:
    """A person who types the name as soon as the console asks for it; ``before`` is done just before."""

    def __init__(self, run_id: int, before: Any = lambda: None) -> None:
        self.run_id = run_id
        self.before = before
        self.leave = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Confirming:
        self.thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        self.leave.set()
        self.thread.join()

    def _watch(self) -> None:
        try:
            while not self.leave.wait(0.05):
                run = Run.objects.get(pk=self.run_id)
                step = present(run.steps)
                if step and step["key"] == "confirm":
                    self.before()
                    with suppress(Refused):
                        services.confirm_restoration(CONSOLE, run, run.cluster.name, timezone.now())
                        return
        finally:
            connections.close_all()


def restore(restoration: Restoration, before: Any = lambda: None) -> Run:
    """Start, confirm and carry out a restoration; return its run as it stands then."""
    lease = begin_restoration(restoration)
    with Confirming(lease.run_id, before):
        kinds.execute(lease)
    restoration.refresh_from_db()
    return Run.objects.get(pk=lease.run_id)


def roll_back(restoration: Restoration, verb: Any = services.roll_back) -> Run:
    """Carry out a rollback and return its run."""
    lease = begin_restoration(restoration, verb)
    kinds.execute(lease)
    restoration.refresh_from_db()
    return Run.objects.get(pk=lease.run_id)


def run_waiting_rollback(restoration: Restoration) -> Run:
    """Carry out the rollback that the console ordered by itself."""
    run = Run.objects.get(restoration=restoration, kind=Kind.ROLLBACK, state=RunState.WAITING)
    lease = claim(run.pk, timezone.now() + timedelta(seconds=1))
    assert lease is not None
    kinds.execute(lease)
    restoration.refresh_from_db()
    run.refresh_from_db()
    return run


def steps_of(run: Run) -> dict[str, str]:
    """Return the states of a run's steps."""
    return {step["key"]: step["state"] for step in run.steps}


def wait_for(what: Any, seconds: float = 20) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)
