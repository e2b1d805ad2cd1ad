"""What all tests share: people of every role, a cluster to back up, tasks and runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.db.models.signals import post_migrate
from django.test import Client
from django.utils import timezone

from tasks import permissions
from tasks.models import BackupFile, BackupTask, Cluster, Node, Run, Service
from tasks.states import ACTIVE, GOOD, Mode, RunState, Trigger
from tests import groups
from tests.lacks import leave_out

PASSWORD = "correct-horse-battery-9"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")

Person = Callable[[str], User]
Login = Callable[[str], Client]
MakeTask = Callable[..., BackupTask]
MakeRun = Callable[..., Run]


# --- What this machine lacks ----------------------------------------------------------------------------------------
def chromium() -> str | None:
    """Return the path of the browser, or None where there is none; ``CHROMIUM`` names another one."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


def pytest_configure(config: pytest.Config) -> None:
    """Make the directory of collected files, which is empty here: WhiteNoise warns for every request without it."""
    from django.conf import settings

    if settings.configured:
        Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Put slow tests into their groups (``scripts/run-tests``): the marks before xdist looks, the order at the end."""
    groups.mark(items)
    yield
    if hasattr(config, "workerinput"):
        groups.put_in_order(items)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out a browser test where there is no browser; with CI=true that is a failure."""
    if item.get_closest_marker("browser") and chromium() is None:
        leave_out("Chromium is not installed (Debian: apt-get install chromium)")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say loudly, in one line for each reason, what was not tested on this machine."""
    counts: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        counts[reason] = counts.get(reason, 0) + 1
    for reason, count in counts.items():
        terminalreporter.write_line(
            f"NOT TESTED HERE: {count} tests, because: {reason.removeprefix('Skipped: ')}", red=True, bold=True
        )


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the directory that tests/settings.py made for this process."""
    from django.conf import settings

    if settings.configured and Path(settings.DATA_DIR).name.startswith("console-test-"):
        shutil.rmtree(settings.DATA_DIR, ignore_errors=True)


@pytest.fixture(autouse=True)
def clean_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees what another one cached, nor how long its workers, which never ran, have been silent."""
    from tasks.engine.watches import silence

    monkeypatch.setattr(silence, "WEB", silence.Lookout(clock=lambda: 0.0))
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def no_audit_checkpoint() -> Iterator[None]:
    """The checkpoint lies outside of the database, which every test finds as it was."""
    yield
    from django.conf import settings

    (Path(settings.DATA_DIR) / "audit-checkpoint").unlink(missing_ok=True)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Let the tests empty the table of the audit, which its triggers refuse; some put them in place again."""
    from tasks.auditing import protection

    post_migrate.disconnect(dispatch_uid=protection.PROTECT, sender=apps.get_app_config("tasks"))
    with django_db_blocker.unblock():
        protection.remove()


# --- People ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def person(db: None) -> Person:
    """Make a person who has one role (``tasks.permissions``), or none for the empty word; password ``PASSWORD``."""

    def make(role: str, name: str = "") -> User:
        username = name or (role or "nobody").lower().replace(" ", "-")
        user = User.objects.filter(username=username).first()
        if user is None:
            user = User.objects.create_user(username, password=PASSWORD)
            if role:
                user.groups.add(Group.objects.get(name=role))
        return user

    return make


@pytest.fixture
def login(person: Person) -> Login:
    """Return a client that is logged in as a person of the role."""

    def make(role: str) -> Client:
        client = Client()
        client.force_login(person(role))
        return client

    return make


@pytest.fixture
def viewer(person: Person) -> User:
    """A Viewer."""
    return person(permissions.VIEWER)


@pytest.fixture
def operator(person: Person) -> User:
    """An Operator."""
    return person(permissions.OPERATOR)


@pytest.fixture
def backup_admin(person: Person) -> User:
    """A Backup Administrator."""
    return person(permissions.BACKUP_ADMINISTRATOR)


@pytest.fixture
def auditor(person: Person) -> User:
    """An Auditor."""
    return person(permissions.AUDITOR)


@pytest.fixture
def administrator(person: Person) -> User:
    """An Administrator."""
    return person(permissions.ADMINISTRATOR)


# --- Inventory, tasks, runs -------------------------------------------------------------------------------------------
@pytest.fixture
def storage_path(tmp_path: Path, settings: Any) -> Path:
    """A *Data storage path* of the test's own."""
    settings.DATA_STORAGE_PATH = tmp_path / "storage"
    settings.FREE_SPACE_FLOOR = 0
    return tmp_path / "storage"


@pytest.fixture
def sample_home(tmp_path: Path) -> Path:
    """A copy of the real IoTDB home of the repository, to change at will."""
    home = tmp_path / "iotdb-home"
    shutil.copytree(Path(__file__).parent.parent / "sample" / "iotdb-home", home, symlinks=True)
    return home


@pytest.fixture
def cluster(db: None) -> Cluster:
    """A cluster without services."""
    return Cluster.objects.create(name="plant")


@pytest.fixture
def service(cluster: Cluster) -> Service:
    """The service IoTDB of ``cluster``."""
    return Service.objects.create(cluster=cluster, name="IoTDB")


@pytest.fixture
def node(service: Service, sample_home: Path) -> Node:
    """A node of ``service`` whose home is ``sample_home``."""
    return Node.objects.create(service=service, name="node1", home=str(sample_home), rpc_host="127.0.0.1")


@pytest.fixture
def make_task(cluster: Cluster) -> MakeTask:
    """Return a function that makes a task: manual, LocalDir, of ``cluster``, unless said otherwise."""
    count = 0

    def make(name: str = "", **fields: Any) -> BackupTask:
        nonlocal count
        count += 1
        values: dict[str, Any] = {"cluster": cluster, "mode": Mode.MANUAL, "path_type": "LocalDir", "copies": 7}
        values |= fields
        if values["mode"] == Mode.PERIODIC:
            values.setdefault("started", timezone.now() + timedelta(hours=1))
            values.setdefault("next_run_at", values["started"])
        return BackupTask.objects.create(name=name or f"task-{count}", **values)

    return make


@pytest.fixture
def task(make_task: MakeTask) -> BackupTask:
    """A manual LocalDir task."""
    return make_task()


@pytest.fixture
def make_run() -> MakeRun:
    """Return a function that makes a run of a task in a given state, as it would stand in the database.

    The run began at ``at`` (UTC); a good one has one file and its task shows it as its last run.
    """
    from tasks.engine.record import copy_to_task, count_sets

    def make(task: BackupTask, state: str = RunState.SUCCESSFUL, at: datetime | None = None, **fields: Any) -> Run:
        began = at or datetime(2026, 6, 1, 3, 0, tzinfo=UTC)
        values: dict[str, Any] = {"trigger": Trigger.PERSON, "started_by_name": "anna", "queued_at": began}
        if state != RunState.WAITING:
            values["started_at"] = began
        if state == RunState.RUNNING:
            lease = {"lease_token": "0" * 32, "lease_until": timezone.now() + timedelta(minutes=1)}
            values |= lease | {"worker": "host/1"}
        if state not in ACTIVE:
            values["ended_at"] = began + timedelta(seconds=12)
        if state in GOOD:
            values |= {"size": 1_234_567, "verified_at": began + timedelta(seconds=12)}
        run = Run.objects.create(task=task, cluster=task.cluster, state=state, **(values | fields))
        if state in GOOD:
            _add_file(run)
        copy_to_task(run)
        count_sets(task.pk)
        return run

    return make


def _add_file(run: Run) -> None:
    name = f"2.0.1-beta_IoTDB_{run.began:%Y%m%d%H%M%S}.tar.gz"
    directory = run.task.directory
    BackupFile.objects.create(
        run=run,
        service="IoTDB",
        directory=directory,
        name=name,
        path=f"/srv/storage/LocalBackup/{directory}/{name}",
        size=run.size or 0,
        sha256="ab" * 32,
        members=120,
        source_bytes=4_000_000,
        version="2.0.1-beta",
        verified_at=run.verified_at,
    )
