"""Salvage: the inventory of a set as SQL, read out of its archive; what is missing is said, what is wrong refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from storage.errors import ConsoleError, Corrupt
from tasks import services
from tasks.audit import CONSOLE, Actor
from tasks.engine.firstmember import NoInventory
from tasks.iotdb.base import Summary
from tasks.models import AuditEvent, BackupTask, Node, Run
from tasks.naming import manifest_name
from tasks.permissions import OPERATOR, RESTORE_ADMINISTRATOR
from tasks.services import salvage
from tasks.states import RunState
from tests.conftest import Login, MakeRun, MakeTask, Person
from tests.engine.inventories import document, put_inventory
from tests.engine.kit import run_now
from tests.web.history_kit import plain
from tests.web.test_history import read

pytestmark = pytest.mark.django_db

OBJECTS: list[dict[str, Any]] = [
    {"type": "database", "name": "root.plant1"},
    {"type": "series", "path": "root.plant1.d1.s1", "datatype": "FLOAT", "encoding": "GORILLA", "compression": "LZ4"},
    {"type": "user", "name": "anna"},
]
SUMMARY = Summary("2.0.1-beta", {"databases": 1, "series": 1, "users": 2}, {"databases": ["root.plant1"]})


@pytest.fixture
def task(make_task: MakeTask, node: Node, storage_path: Path) -> BackupTask:
    """A task whose runs are real."""
    return make_task("plant-daily")


@pytest.fixture
def run(task: BackupTask, tmp_path: Path) -> Run:
    """A run of the pipeline whose archive begins with an inventory."""
    made = run_now(task)
    assert made.state == RunState.SUCCESSFUL
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    put_inventory(made, document(scratch, OBJECTS, SUMMARY), SUMMARY, scratch)
    return Run.objects.get(pk=made.pk)


@pytest.fixture
def restorer(login: Login) -> Client:
    """A Restore Administrator's browser."""
    return login(RESTORE_ADMINISTRATOR)


def download(client: Client, run: Run, service: str = "IoTDB") -> Any:
    return client.post(reverse("run-salvage", args=[run.pk]), {"service": service})


def text_of(found: services.Salvage) -> str:
    try:
        return "".join(found)
    finally:
        found.close()


def free_slots() -> int:
    """Return how many sets could be salvaged now."""
    return salvage._slots._value


@pytest.fixture(autouse=True)
def slots() -> Any:
    """No test keeps a slot."""
    before = free_slots()
    yield
    assert free_slots() == before


# --- The page -------------------------------------------------------------------------------------------------------
def test_the_page_says_what_the_file_holds_and_what_is_missing(restorer: Client, run: Run) -> None:
    words = plain(read(restorer, "run-salvage", run.pk))
    assert "Databases 1 Time series 1 Users 2" in words
    assert "What is missing" in words and "Passwords." in words and "jars of functions" in words
    assert "Download SQL" in words


def test_a_set_without_an_inventory_says_so(restorer: Client, task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task)
    text = read(restorer, "run-salvage", run.pk)
    assert "No inventory in the set" in text and "Download SQL" not in text
    Run.objects.filter(pk=run.pk).update(set_removed_at=timezone.now(), inventory={"IoTDB": {}})
    assert "The set was removed" in read(restorer, "run-salvage", run.pk)


def test_only_who_may_restore_sees_it(login: Login, run: Run) -> None:
    operator = login(OPERATOR)
    assert operator.get(reverse("run-salvage", args=[run.pk])).status_code == 403
    assert download(operator, run).status_code == 403


# --- The download -----------------------------------------------------------------------------------------------------
def test_the_inventory_is_downloaded_as_sql(restorer: Client, run: Run, task: BackupTask) -> None:
    response = download(restorer, run)
    assert response.status_code == 200 and response.streaming
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert f'filename="plant-daily-IoTDB-{run.began:%Y%m%d}' in response.headers["Content-Disposition"]
    text = b"".join(response.streaming_content).decode()
    assert "CREATE DATABASE root.plant1" in text and "root.plant1.d1.s1" in text
    assert f"run {run.pk} of plant-daily" in text and "password" in text.lower()
    event = AuditEvent.objects.latest("pk")
    assert (event.verb, event.target, event.actor) == ("salvage set", "plant-daily", "restore-administrator")
    assert f"run {run.pk}, IoTDB" in event.note
    response.close()


def test_a_download_that_nobody_takes_leaves_nothing(restorer: Client, run: Run) -> None:
    before = free_slots()
    response = download(restorer, run)
    assert free_slots() == before - 1
    response.close()
    assert free_slots() == before


def test_no_more_is_read_than_the_inventory(run: Run) -> None:
    file = run.files.get()
    path = Path(file.path)
    path.write_bytes(path.read_bytes()[: file.size // 2])
    assert "CREATE DATABASE root.plant1" in text_of(services.salvage_set(CONSOLE, run, "IoTDB"))


def test_a_missing_manifest_beside_the_archive_is_said_in_the_file(run: Run) -> None:
    path = Path(run.files.get().path)
    path.with_name(manifest_name(path.name)).unlink()
    assert "nothing vouches for what follows" in text_of(services.salvage_set(CONSOLE, run, "IoTDB"))


def test_a_broken_inventory_ends_with_a_line_that_says_so(run: Run, tmp_path: Path) -> None:
    scratch = tmp_path / "again"
    scratch.mkdir()
    whole = document(scratch, OBJECTS, SUMMARY)
    put_inventory(run, whole[: whole.index(b'"user"') - 10], SUMMARY, scratch)
    text = text_of(services.salvage_set(CONSOLE, run, "IoTDB"))
    assert "root.plant1" in text and text.splitlines()[-1].startswith("-- BROKEN OFF:")


# --- What is refused --------------------------------------------------------------------------------------------------
def refusal(run: Run, service: str = "IoTDB") -> ConsoleError:
    """Return why nothing can be salvaged, which a page says as well."""
    with pytest.raises(ConsoleError) as refused:
        services.salvage_set(CONSOLE, run, service).close()
    return refused.value


def test_a_set_that_was_removed(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(set_removed_at=timezone.now())
    assert "was removed at" in str(refusal(Run.objects.get(pk=run.pk)))


def test_an_archive_that_is_gone(run: Run) -> None:
    Path(run.files.get().path).unlink()
    assert isinstance(refusal(run), NoInventory)


def test_an_archive_without_an_inventory(task: BackupTask, storage_path: Path) -> None:
    error = refusal(run_now(task))
    assert isinstance(error, NoInventory) and "made without an inventory" in error.message


def test_a_service_that_the_set_does_not_hold(run: Run) -> None:
    assert "holds no service IoTDB-9" in str(refusal(run, "IoTDB-9"))


def test_an_inventory_with_a_flipped_bit(run: Run, tmp_path: Path) -> None:
    scratch = tmp_path / "again"
    scratch.mkdir()
    path = Path(run.files.get().path)
    beside = path.with_name(manifest_name(path.name))
    honest = beside.read_bytes()
    put_inventory(run, document(scratch, OBJECTS[:1], SUMMARY), SUMMARY, scratch)
    beside.write_bytes(honest)
    error = refusal(run)
    assert isinstance(error, Corrupt) and "not as the manifest beside the archive says" in error.message


def test_something_that_is_no_archive(run: Run) -> None:
    Path(run.files.get().path).write_bytes(b"no archive at all" * 100)
    assert isinstance(refusal(run), Corrupt)


def test_an_inventory_that_is_too_large(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(salvage, "LIMIT", 100)
    error = refusal(run)
    assert isinstance(error, NoInventory) and "more than 100" in error.message and "by hand" in error.cure


def test_a_destination_that_is_too_slow(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(salvage, "SECONDS", -1)
    assert "too slowly" in str(refusal(run))


def test_too_many_at_once(run: Run) -> None:
    held = [services.salvage_set(CONSOLE, run, "IoTDB") for _ in range(free_slots())]
    assert "Other sets are being salvaged" in str(refusal(run))
    for one in held:
        one.close()
    assert text_of(services.salvage_set(CONSOLE, run, "IoTDB"))


def test_a_refusal_is_told_on_the_page(restorer: Client, run: Run) -> None:
    Path(run.files.get().path).unlink()
    response = restorer.post(reverse("run-salvage", args=[run.pk]), {"service": "IoTDB"}, follow=True)
    assert "is not there any more" in response.content.decode()
    assert not AuditEvent.objects.filter(verb="salvage set", result="successful")


def test_an_attempt_without_the_permission_is_on_record(run: Run, person: Person) -> None:
    user: User = person(OPERATOR)
    with pytest.raises(PermissionDenied):
        services.salvage_set(Actor(user.username, user), run, "IoTDB")
    assert AuditEvent.objects.get(verb="salvage set").result == AuditEvent.Result.REFUSED
