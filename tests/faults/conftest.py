"""A console of its own for each test: scratch database and data, real worker processes, and nothing left afterwards.

Times are short here: a lease of 5 s, and 4 s until workers that do nothing are replaced.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.conf import settings
from django.utils import timezone

from tasks import services
from tasks.audit import CONSOLE
from tasks.models import BackupTask, Cluster, Node, Pulse, Run, Service
from tasks.states import ACTIVE, Mode, RunState
from tests.file_database import copy_test_database, using_file_database

MARK = "BACKUP_CONSOLE_WORKERS"
BIG_FILES, BIG_FILE_BYTES = 8, 96 << 20


def until(what: Callable[[], Any], seconds: float, message: str) -> Any:
    """Wait for ``what`` to be true and return it; fail with ``message`` after ``seconds``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:.0f} s: {message}")


class Workers:
    """The scratch console and its ``manage.py runworkers``."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.storage = data_dir / "storage"
        self.started: list[subprocess.Popen[bytes]] = []
        self.log = data_dir / "workers.log"
        # Tests run in parallel, so what is started here is told apart by its own directory, never by its name.
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "backupconsole.settings",
            "DATA_DIR": str(data_dir),
            "DATABASE_URL": f"sqlite:///{data_dir / 'console.sqlite3'}",
            "DATA_STORAGE_PATH": str(self.storage),
            "SECRET_KEY": settings.SECRET_KEY,
            "FREE_SPACE_FLOOR_MB": "0",
            "LEASE_SECONDS": "5",
            "STALL_SECONDS": "4",
            "TIME_ZONE": "Europe/Berlin",
        }

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start a supervisor."""
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "runworkers"]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, env=self.environment | environment, stdout=log, stderr=log, start_new_session=True
            )
        self.started.append(process)
        return process

    def start_ready(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start a supervisor and wait for its first tick."""
        asked = timezone.now()
        process = self.start(**environment)
        self.wait_tick(asked)
        return process

    def wait_tick(self, since: Any, seconds: float = 45) -> None:
        """Wait for a tick that is newer than ``since``."""
        until(lambda: (Pulse.last("tick") or since) > since, seconds, "a tick")

    def text(self) -> str:
        """Return what the workers wrote."""
        return self.log.read_text() if self.log.exists() else ""

    def processes(self) -> list[psutil.Process]:
        """Return the living processes that work for this console, the supervisors not counted."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.environ().get(MARK) == str(self.data_dir)
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def of(self, title: str) -> list[psutil.Process]:
        """Return those whose title, as django-q sets it, holds ``title``."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if title in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def busy(self) -> int:
        """Return the process that works on a run."""
        reading = Run.objects.filter(state=RunState.RUNNING, bytes_read__gt=0)
        run = until(reading.first, 40, "a run that reads")
        return int(run.worker.rpartition("/")[2])

    def back_up(self, task: BackupTask) -> Run:
        """Press Back Up Now."""
        return services.back_up_now(CONSOLE, task, timezone.now())

    def ended(self, run: Run, seconds: float) -> Run:
        """Wait for the end of a run."""

        def is_over() -> bool:
            run.refresh_from_db()
            return run.state not in ACTIVE

        until(is_over, seconds, f"the end of {run}")
        return run

    def partials(self) -> list[Path]:
        """Return the files at the destination that are not under their final names."""
        # Not rglob, which stumbles over a directory that the sweeping takes away in this moment.
        found = (Path(place, name) for place, _, names in os.walk(self.storage) for name in names)
        return [path for path in found if path.name.startswith(".")]

    def archives(self) -> list[Path]:
        """Return the files at the destination that are under their final names."""
        return [path for path in self.storage.rglob("*.tar.gz") if not path.name.startswith(".")]

    def close(self) -> None:
        """End everything that was started here, and print what it wrote, which is shown where the test fails."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
        for left in self.processes():
            with_signal(left.pid, signal.SIGKILL)
        print(self.text())


def with_signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


@pytest.fixture
def workers(transactional_db: None, tmp_path: Path) -> Iterator[Workers]:
    """A scratch console whose workers are not started yet; what was started is ended whatever happens."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    copy_test_database(data_dir / "console.sqlite3")
    workers = Workers(data_dir)
    with using_file_database(data_dir / "console.sqlite3"):
        try:
            yield workers
        finally:
            workers.close()
            shutil.rmtree(data_dir, ignore_errors=True)


def make_task(name: str, home: Path, **fields: Any) -> BackupTask:
    """Make a task and a cluster of its own, both called ``name``."""
    cluster = Cluster.objects.create(name=name)
    service = Service.objects.create(cluster=cluster, name="IoTDB")
    Node.objects.create(service=service, name="node1", home=str(home), rpc_host="127.0.0.1")
    values = {"cluster": cluster, "mode": Mode.MANUAL, "path_type": "LocalDir", "copies": 3} | fields
    return BackupTask.objects.create(name=name, **values)


@pytest.fixture
def quick(workers: Workers, sample_home: Path) -> BackupTask:
    """A task that takes a moment."""
    return make_task("quick", sample_home)


@pytest.fixture(scope="session")
def random_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that cannot be compressed."""
    path = tmp_path_factory.mktemp("random") / "big.jar"
    path.write_bytes(os.urandom(BIG_FILE_BYTES))
    return path


@pytest.fixture
def slow(workers: Workers, sample_home: Path, random_file: Path, tmp_path: Path) -> BackupTask:
    """A task that takes some seconds at least: its home holds jars of 0.8 GB, which are all one file on the disk."""
    home = tmp_path / "slow-home"
    shutil.copytree(sample_home, home, symlinks=True)
    (home / "ext" / "udf").mkdir(parents=True, exist_ok=True)
    for number in range(BIG_FILES):
        os.link(random_file, home / "ext" / "udf" / f"function-{number}.jar")
    return make_task("slow", home)


def shorten(task: BackupTask) -> None:
    """Leave two of the big jars in the home of ``slow``: enough for a steady state, with reading back."""
    home = Path(task.cluster.services.get().nodes.get().home)
    for jar in sorted((home / "ext" / "udf").glob("function-*.jar"))[2:]:
        jar.unlink()
