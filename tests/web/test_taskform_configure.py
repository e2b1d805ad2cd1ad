"""Configure: what may be changed, what stays, and two people at one task."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from storage.fields import HostKeyField
from storage.registry import get_path_type
from tasks import services
from tasks.audit import CONSOLE
from tasks.models import AuditEvent, BackupTask, Service
from tasks.states import RunState
from tests.conftest import Login, MakeRun, MakeTask
from tests.web.taskform_kit import HOST_KEY

BERLIN = ZoneInfo("Europe/Berlin")
STARTED = datetime(2031, 3, 4, 5, 30, tzinfo=BERLIN)
DESTINATION = {
    "ip_mode": "ipv4",
    "server_ip": "10.20.4.18",
    "port": 22,
    "username": "iotdb-backup",
    "shared_path": "/srv/backup/iotdb",
    "host_key": HOST_KEY,
    "read_back": False,
}


@pytest.fixture
def client(login: Login, service: Service) -> Client:
    """A Backup Administrator."""
    return login("Backup Administrator")


@pytest.fixture
def periodic(make_task: MakeTask) -> BackupTask:
    """A periodic LocalDir task."""
    return make_task(
        "plant-daily", mode="periodic", started=STARTED, next_run_at=STARTED, period=2, destination={"read_back": False}
    )


@pytest.fixture
def on_server(make_task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> BackupTask:
    """A manual task that sends its files to a server, with a stored password."""
    monkeypatch.setattr(type(get_path_type("SFTP")), "available", True)
    task = make_task("plant-sftp", path_type="SFTP", destination=DESTINATION)
    task.set_secrets({"password": "s3cret"})
    task.save()
    return task


def values(task: BackupTask, **changes: Any) -> dict[str, Any]:
    """Return what a browser sends for an unchanged task, but for ``changes``."""
    data: dict[str, Any] = {
        "version": task.version,
        "assign": "all",
        "copies": task.copies,
        "shown_type": task.path_type,
        "check_after_days": task.check_after_days or "",
        "rehearse_after_days": task.rehearse_after_days or "",
    }
    data |= task.destination
    # A box that is not ticked is not sent, and the host key is sent with its server.
    if not data["read_back"]:
        del data["read_back"]
    if "host_key" in data:
        data["host_key"] = HostKeyField.bind(HOST_KEY, data["server_ip"], data["port"])
    if task.periodic:
        data |= {
            "zone": "Europe/Berlin",
            "started": "2031-03-04T05:30",
            "period": task.period,
            "period_unit": task.period_unit,
            "policy": "full",
        }
    return data | changes


def address(task: BackupTask) -> str:
    """Return where the task is configured."""
    return reverse("task-configure", args=[task.pk])


def page_of(response: Any) -> str:
    """Return the markup of a page."""
    return str(response.content.decode())


def text_of(response: Any) -> str:
    """Return a page's text without markup, blanks made one."""
    page = re.sub(r"<svg.*?</svg>|<[^>]+>", " ", page_of(response), flags=re.DOTALL)
    return re.sub(r"\s+", " ", page.replace("&#x27;", "'"))


def test_what_was_decided_at_creation_is_shown_and_not_asked(client: Client, periodic: BackupTask) -> None:
    response = client.get(address(periodic))
    page, text = page_of(response), text_of(response)
    assert "Name plant-daily Backup Object plant Mode Periodic Path Type LocalDir" in text
    for name in ("name", "cluster", "mode", "sources", "path_type"):
        assert f' name="{name}"' not in page.split("<main")[1]
    for name in ("started", "period", "period_unit", "policy", "assign", "copies", "version"):
        assert f' name="{name}"' in page
    assert "What you save takes effect at the next run." in text


def test_a_manual_task_has_no_schedule(client: Client, task: BackupTask) -> None:
    page = page_of(client.get(address(task)))
    assert ' name="started"' not in page and ' name="period"' not in page
    assert "By hand: the task runs when somebody chooses Back Up Now." in page


def test_the_real_directory_is_shown(client: Client, periodic: BackupTask, storage_path: Any) -> None:
    assert f"{storage_path}/LocalBackup/{periodic.directory}/" in page_of(client.get(address(periodic)))


def test_a_change_is_saved(client: Client, periodic: BackupTask, service: Service) -> None:
    data = values(periodic, period=12, period_unit="hours", copies=3, assign="some", services=[service.pk])
    response = client.post(address(periodic), data, follow=True)
    assert response.redirect_chain == [("/backups/", 302)]
    assert "Task plant-daily saved. Its next run is Tue 2031-03-04 05:30 (Europe/Berlin)." in text_of(response)
    periodic.refresh_from_db()
    assert (periodic.period, periodic.period_unit, periodic.copies, periodic.version) == (12, "hours", 3, 2)
    assert list(periodic.services.all()) == [service]
    event = AuditEvent.objects.get(verb="configure task")
    assert event.after == {
        "period": 12,
        "period_unit": "hours",
        "copies": 3,
        "all_services": False,
        "services": ["IoTDB"],
    }


def test_what_is_fixed_stays_whatever_is_sent(client: Client, periodic: BackupTask) -> None:
    client.post(address(periodic), values(periodic, name="other", mode="manual", path_type="SFTP"))
    periodic.refresh_from_db()
    assert (periodic.name, periodic.mode, periodic.path_type) == ("plant-daily", "periodic", "LocalDir")


def test_a_suspended_task_stays_suspended(client: Client, periodic: BackupTask) -> None:
    services.suspend_task(CONSOLE, periodic, timezone.now())
    assert "The task is suspended." in text_of(client.get(address(periodic)))
    response = client.post(address(periodic), values(periodic, copies=3), follow=True)
    assert "It is suspended and does not run until somebody resumes it." in text_of(response)
    periodic.refresh_from_db()
    assert periodic.suspended and periodic.next_run_at is None


def test_a_run_under_way_is_told_of(client: Client, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, RunState.RUNNING, datetime.now(UTC))
    text = text_of(client.get(address(task)))
    assert f"A run of {task.name} is running. It goes on with the settings it was started with." in text


def test_errors_keep_what_was_typed(client: Client, periodic: BackupTask) -> None:
    page = page_of(client.post(address(periodic), values(periodic, period="0", copies="21")))
    assert "<title>Error: Configure plant-daily" in page
    assert 'value="21"' in page and "Give a period of at least 1." in page
    periodic.refresh_from_db()
    assert periodic.version == 1


def test_a_page_without_its_version_is_refused(client: Client, periodic: BackupTask) -> None:
    data = values(periodic)
    del data["version"]
    assert "Open the task from the list again: this page is not whole." in page_of(client.post(address(periodic), data))


def test_a_deleted_task_is_not_there(client: Client, task: BackupTask) -> None:
    services.delete_task(CONSOLE, task, timezone.now())
    assert client.get(address(task)).status_code == 404


# --- Passwords ------------------------------------------------------------------------------------------------------
def test_a_stored_password_is_not_in_the_page(client: Client, on_server: BackupTask) -> None:
    page = page_of(client.get(address(on_server)))
    assert 'placeholder="Unchanged"' in page
    assert "s3cret" not in page and on_server.sealed_secrets not in page


def test_an_empty_password_leaves_the_stored_one(client: Client, on_server: BackupTask) -> None:
    response = client.post(address(on_server), values(on_server, password="", copies=3))
    assert response.status_code == 302
    on_server.refresh_from_db()
    assert on_server.copies == 3
    assert on_server.secrets() == {"password": "s3cret"}


def test_a_new_password_takes_the_place_of_the_old_one(client: Client, on_server: BackupTask) -> None:
    client.post(address(on_server), values(on_server, password="n3w"))
    on_server.refresh_from_db()
    assert on_server.secrets() == {"password": "n3w"}
    assert "n3w" not in str(AuditEvent.objects.values())


def test_another_server_asks_for_the_password(client: Client, on_server: BackupTask) -> None:
    page = page_of(client.post(address(on_server), values(on_server, password="", server_ip="10.9.9.9")))
    assert "Type the password: the stored one is for another server or username." in page


def test_a_lost_password_has_to_be_typed(client: Client, on_server: BackupTask) -> None:
    BackupTask.objects.update(sealed_secrets="")
    page = page_of(client.post(address(on_server), values(on_server, password="")))
    assert "Type the password." in page


# --- Two people -----------------------------------------------------------------------------------------------------
def row(page: str, label: str) -> tuple[str, str, bool]:
    """Return yours, theirs and whether the difference is marked, of a row of the conflict page."""
    found = re.search(rf'<tr([^>]*)><th scope="row">{label}\b.*?<td>(.*?)</td><td>(.*?)</td>', page)
    assert found
    return found.group(2), found.group(3), "is-selected" in found.group(1)


def test_the_second_of_two_people_sees_both_values(client: Client, login: Login, periodic: BackupTask) -> None:
    mine = values(periodic, copies=22, period=3)
    login("Administrator").post(address(periodic), values(periodic, copies=11, period=3))
    response = client.post(address(periodic), mine)
    page = page_of(response)
    assert response.status_code == 409
    assert "Two people changed plant-daily" in page
    assert "by <strong>administrator</strong>" in page
    assert row(page, "Maximum Number of Backup Copies") == ("22", "11", True)
    assert row(page, "Period") == ("3 days", "3 days", False)
    assert row(page, "Started") == ("Tue 2031-03-04 05:30", "Tue 2031-03-04 05:30", False)
    assert row(page, "Assign Service") == ("All services", "All services", False)
    periodic.refresh_from_db()
    assert periodic.copies == 11


def test_one_can_keep_editing_and_save_over(client: Client, login: Login, periodic: BackupTask) -> None:
    login("Administrator").post(address(periodic), values(periodic, copies=11))
    page = page_of(client.post(address(periodic), values(periodic, copies=22)))
    form = page.split('action="' + address(periodic))[1].split("</form>")[0]
    again = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)) | {"keep_editing": "1"}
    editing = page_of(client.post(address(periodic), again))
    assert 'value="22"' in editing and "is-invalid" not in editing and "<title>Configure" in editing
    assert 'name="version" value="2"' in editing
    response = client.post(address(periodic), {**again, "keep_editing": ""} | {"version": "2"})
    assert response.status_code == 200, "the button's name alone means: go on editing"
    del again["keep_editing"]
    assert client.post(address(periodic), again).status_code == 302
    periodic.refresh_from_db()
    assert (periodic.copies, periodic.version) == (22, 3)


def test_or_take_what_is_saved(client: Client, login: Login, periodic: BackupTask) -> None:
    login("Administrator").post(address(periodic), values(periodic, copies=11))
    page = page_of(client.post(address(periodic), values(periodic, copies=22)))
    assert f'href="{address(periodic)}">Take the saved values' in page


def test_a_conflict_does_not_hold_the_password(client: Client, on_server: BackupTask) -> None:
    stale = values(on_server, password="n3w-secret")
    client.post(address(on_server), values(on_server, password="", copies=11))
    page = page_of(client.post(address(on_server), stale))
    assert "n3w-secret" not in page
    assert row(page, "Password") == ("A new one", "Unchanged", True)
    assert row(page, "IP Mode") == ("IPv4", "IPv4", False)
    assert "Type the password again after that; it is not kept." in page


def test_suspending_meanwhile_is_a_conflict_that_names_it(client: Client, periodic: BackupTask) -> None:
    stale = values(periodic)
    services.suspend_task(CONSOLE, periodic, timezone.now())
    page = page_of(client.post(address(periodic), stale))
    assert "The last change: suspend task, by <strong>console</strong>" in page


# --- Proof ----------------------------------------------------------------------------------------------------------
def test_the_limits_of_proofs_are_changed_and_audited(client: Client, periodic: BackupTask) -> None:
    BackupTask.objects.filter(pk=periodic.pk).update(check_after_days=None, rehearse_after_days=30)
    page = page_of(client.get(address(periodic)))
    assert 'name="rehearse_after_days" value="30"' in page
    assert '<details class="fold" open><summary>When sets are proven again</summary>' in page
    client.post(address(periodic), values(periodic, check_after_days="14", rehearse_after_days=""))
    periodic.refresh_from_db()
    assert (periodic.check_after_days, periodic.rehearse_after_days) == (14, None)
    event = AuditEvent.objects.get(verb="configure task")
    assert event.before == {"check_after_days": None, "rehearse_after_days": 30}
    assert event.after == {"check_after_days": 14, "rehearse_after_days": None}


def test_a_conflict_shows_the_limits_of_both(client: Client, login: Login, periodic: BackupTask) -> None:
    login("Administrator").post(address(periodic), values(periodic, check_after_days="1"))
    mine = values(periodic, check_after_days="", rehearse_after_days="30")
    page = page_of(client.post(address(periodic), mine))
    assert row(page, "Check sets again after") == ("Never", "1 day", True)
    assert row(page, "Rehearse the newest set after") == ("30 days", "Never", True)
