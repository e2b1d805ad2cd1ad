"""System > Maintenance, the notice on every page, and the command."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tasks import services
from tasks.audit import Actor
from tasks.models import AuditEvent, BackupTask, Maintenance, Run
from tasks.permissions import ADMINISTRATOR, AUDITOR, OPERATOR, VIEWER
from tasks.states import Mode, RunState
from tests.conftest import Login, MakeRun, MakeTask
from tests.web.inventory_kit import text_of
from tests.web.list_kit import page

HOUR = timedelta(hours=1)
ANNA = Actor("anna")


@pytest.fixture
def admin(login: Login) -> Client:
    return login(ADMINISTRATOR)


@pytest.fixture
def on(db: None) -> Maintenance:
    return services.set_maintenance(ANNA, "New disks for <nfs-1>", timezone.now() + 2 * HOUR, timezone.now())


def typed(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%dT%H:%M}"


# --- The page --------------------------------------------------------------------------------------------------------
def test_the_page_says_what_it_does_with_figures(admin: Client, make_task: MakeTask, make_run: MakeRun) -> None:
    make_run(make_task(), RunState.RUNNING, timezone.now())
    make_run(make_task(), RunState.WAITING, timezone.now())
    make_task(mode=Mode.PERIODIC)
    make_task(mode=Mode.PERIODIC, started=timezone.now() + 30 * HOUR)
    text = text_of(admin.get(reverse("maintenance")))
    assert "1 running" in text and "1 waiting" in text and "1 due within 24 h" in text
    assert "Start maintenance" in text and "End maintenance" not in text


def test_it_is_set_changed_and_ended_on_the_page(admin: Client) -> None:
    until = timezone.now() + 3 * HOUR
    response = admin.post(
        reverse("maintenance"), {"reason": "New disks", "until": typed(until), "since": ""}, follow=True
    )
    assert "Maintenance is on. No new run starts; what is running finishes." in text_of(response)
    switch = Maintenance.current()
    assert (switch.reason, switch.set_by) == ("New disks", "administrator")
    assert switch.until == until.replace(second=0, microsecond=0)
    shown = response.content.decode()
    since = re.findall(r'name="since" value="([^"]+)"', shown)[0]
    assert 'name="reason" value="New disks"' in shown
    admin.post(reverse("maintenance"), {"reason": "New disks, two of them", "until": "", "since": since})
    switch.refresh_from_db()
    assert (switch.reason, switch.until) == ("New disks, two of them", None)
    text = text_of(admin.post(reverse("maintenance-end"), follow=True))
    assert "Maintenance has ended. What waited starts now" in text and "It was last on from" in text
    assert not Maintenance.current().on(timezone.now())
    events = AuditEvent.objects.filter(target_kind="maintenance").order_by("pk")
    assert list(events.values_list("verb", flat=True)) == [
        "set maintenance", "change maintenance", "end maintenance",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "until", "words"),
    [
        ("", "", "Reason: Say why no run may start"),
        ("x" * 201, "", "Reason: Use 200 characters at most."),
        ("Disks", "2020-01-01T00:00", "Ends by itself: The end lies in the past."),
        ("Disks", "tomorrow", "Ends by itself: Give day and time as 2026-11-24T02:00"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(admin: Client, reason: str, until: str, words: str) -> None:
    response = admin.post(reverse("maintenance"), {"reason": reason, "until": until, "since": ""})
    assert "<title>Error: Maintenance" in response.content.decode()
    assert words in text_of(response)
    assert not Maintenance.current().on(timezone.now())


def test_a_page_that_is_not_up_to_date_changes_nothing(admin: Client, on: Maintenance) -> None:
    text = text_of(admin.post(reverse("maintenance"), {"reason": "Mine", "until": "", "since": ""}, follow=True))
    assert "Maintenance was set or ended by somebody else meanwhile." in text
    services.end_maintenance(ANNA, timezone.now())
    stale = {"reason": "Mine", "until": "", "since": on.since.isoformat() if on.since else ""}
    assert "by somebody else meanwhile" in text_of(admin.post(reverse("maintenance"), stale, follow=True))
    assert "Maintenance is off" in text_of(admin.post(reverse("maintenance-end"), follow=True))
    assert not Maintenance.objects.filter(reason="Mine").exists()


# --- Every page ------------------------------------------------------------------------------------------------------
def test_every_page_says_so_to_everybody(login: Login, on: Maintenance, task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task)
    client = login(VIEWER)
    pages = ["/backups/", "/clusters/", "/settings/", "/alarms/", "/restorations/"]
    pages += [reverse("task-history", args=[task.pk]), reverse("run-log", args=[run.pk])]
    for url in pages:
        text = client.get(url).content.decode()
        assert "set by anna:</b> New disks for &lt;nfs-1&gt;" in text, url
        assert "No new run starts, what is running finishes." in text and "It ends by itself" in text, url
        assert "Change or end it" not in text, url
    assert "Change or end it" in login(ADMINISTRATOR).get("/backups/").content.decode()
    assert "set by anna: New disks" in login(AUDITOR).get("/admin/").content.decode()
    assert "New disks" not in Client().get("/login/").content.decode()


def test_the_notice_comes_and_goes_with_the_next_refresh(login: Login, task: BackupTask) -> None:
    client, cells = login(VIEWER), f"/backups/cells/?ids={task.pk}"
    assert re.search(r'id="maintenance-notice"[^>]*></div>', client.get(cells).content.decode())
    services.set_maintenance(ANNA, "New disks", None, timezone.now())
    text = client.get(cells).content.decode()
    assert 'data-say="Maintenance is on: no new run starts" hx-swap-oob="true"' in text
    assert "It ends when somebody ends it." in text
    services.end_maintenance(ANNA, timezone.now())
    assert 'data-say="Maintenance has ended"' in client.get(cells).content.decode()


def test_back_up_now_is_shown_as_impossible_with_its_reason(login: Login, on: Maintenance, task: BackupTask) -> None:
    operator = login(OPERATOR)
    text = page(operator)
    assert "Back Up Now<small>Maintenance</small>" in text
    refused = operator.post(reverse("task-run", args=[task.pk]), follow=True).content.decode()
    assert "No run starts during maintenance, set by anna at" in refused
    assert not Run.objects.exists()


# --- The command -----------------------------------------------------------------------------------------------------
def command(*arguments: Any, capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    call_command("maintenance", *arguments, **options)
    return capsys.readouterr().out


def test_the_command_turns_it_on_and_off(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(capsys=capsys) == "Maintenance is off: runs start.\n"
    said = command("on", "--reason", "New disks", "--hours", "2", capsys=capsys)
    assert re.match(r"Maintenance is on, set by \S+ \(command line\) at .*: New disks. It ends by itself at ", said)
    switch = Maintenance.current()
    assert switch.until and switch.since and switch.until - switch.since == 2 * HOUR
    assert "0 running" in command("status", capsys=capsys)
    assert command("off", capsys=capsys) == "Maintenance is off: runs start.\n"
    assert AuditEvent.objects.filter(actor__endswith="(command line)").count() == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["on"], "The reason is missing."),
        (["on", "--reason", "x", "--until", "soon"], "--until: Give day and time"),
        (["on", "--reason", "x", "--until", "2020-01-01T00:00"], "The end lies in the past."),
        (["on", "--reason", "x", "--hours", "1e12"], "--hours: 1000000000000.0 hours from now is no date."),
        (["on", "--reason", "x", "--hours", "nan"], "--hours: nan hours"),
        (["off"], "Maintenance is off"),
    ],
)
def test_the_command_says_what_is_wrong(db: None, arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=re.escape(words)):
        call_command("maintenance", *arguments)
