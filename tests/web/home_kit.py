"""What the tests of the homepage share: looking at it, and what stands in its list of things that need attention."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tasks import alarms
from tasks.models import Alarm, BackupTask, Pulse, Run
from tasks.permissions import ADMINISTRATOR
from tasks.states import RunState
from tests.conftest import Login, MakeRun, MakeTask
from tests.web.list_kit import squeezed

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
# Noon of a day in autumn: nothing here depends on when the tests run.
NOON = datetime(2026, 11, 24, 11, 0, 30, tzinfo=UTC)
SFTP = {"server_ip": "10.20.4.18", "port": 22, "username": "svc", "shared_path": "/backup/iotdb"}


@dataclass(frozen=True)
class Todo:
    """One thing that needs attention, as the page tells it; ``actions`` are the words of its buttons and their ways."""

    title: str
    text: str
    actions: dict[str, str]
    icon: str


def home(client: Client, query: str = "") -> str:
    """Return the homepage as one line of text."""
    response = client.get(f"/{query}")
    assert response.status_code == 200
    return squeezed(response.content.decode())


def heading(text: str) -> str:
    """Return the verdict."""
    found = re.search(r"<h1>(.*?)</h1>", text)
    assert found
    return words(found[1])


def part(text: str, key: str) -> str:
    """Return the section with that id."""
    found = re.search(rf'<(section|dl)[^>]*id="{key}".*?</\1>', text)
    assert found, key
    return found[0]


def strips(text: str) -> dict[str, list[str]]:
    """Return what the strips of a page say, by task."""
    found = re.findall(r'<svg class="strip" role="img" aria-label="(.*?), last (24 hours|30 days): (.*?)"', text)
    named: dict[str, list[str]] = {}
    for name, _, says in found:
        named.setdefault(name, []).append(says)
    return named


def words(markup: str) -> str:
    """Return the text of some markup."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", markup))).strip()


def todos(text: str) -> list[Todo]:
    """Return what needs attention, in the order of the page."""
    found = []
    for item in re.findall(r'<li id="todo-[^"]*">(.*?)</li>', text):
        title = re.search(r'<h3 class="what">(.*?)</h3>', item)
        body = re.search(r"<p>(.*?)</p>", item)
        icon = re.search(r"#i-(\w+)", item)
        assert title and body and icon
        buttons = re.findall(r'<(?:button|a)[^>]*?(?:formaction|href)="([^"]*)"[^>]*>([^<]*)</', item)
        actions = {label: html.unescape(way) for way, label in buttons}
        found.append(Todo(words(title[1]), words(body[1]), actions, icon[1]))
    return found


def stop_the_clock(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Let it be noon for as long as the test goes on, with workers that are alive; return the moment."""
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOON)
    Pulse.beat("tick", NOON)
    return NOON


def well(task: BackupTask, **fields: Any) -> BackupTask:
    """Make a task one that nothing is to be said of: periodic, to another host, proven, its next success to come."""
    now = timezone.now()
    values: dict[str, Any] = {
        "mode": "periodic",
        "started": now,
        "next_run_at": now + timedelta(hours=3),
        "expected_at": now + timedelta(hours=3),
        "path_type": "SFTP",
        "destination": SFTP,
        "last_verified_at": now,
    }
    BackupTask.objects.filter(pk=task.pk).update(**values | fields)
    task.refresh_from_db()
    return task


# --- What a test module takes by importing it -------------------------------------------------------------------------
@pytest.fixture(autouse=True)
def now(db: None, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Noon, with workers that are alive."""
    return stop_the_clock(monkeypatch)


@pytest.fixture
def admin(login: Login) -> Client:
    """The browser of somebody who may do everything."""
    return login(ADMINISTRATOR)


@pytest.fixture
def safe(make_task: MakeTask, make_run: MakeRun, now: datetime) -> BackupTask:
    """A task of which nothing is to be said."""
    task = make_task("east-daily", path_type="SFTP", destination=SFTP)
    make_run(task, at=now - 2 * HOUR)
    return well(task)


def only(client: Client) -> Todo:
    """Return the one thing that needs attention."""
    found = todos(home(client))
    assert len(found) == 1, found
    return found[0]


def raise_of(code: str, task: BackupTask, cause: str = "It went wrong.", **fields: Any) -> Alarm:
    """Raise an alarm of ``task``, or of another ``subject``."""
    values = {"place": task.name, "cluster": task.cluster, "link": reverse("task-history", args=[task.pk])} | fields
    subject = values.pop("subject", f"task {task.pk}")
    return alarms.raise_alarm(code, subject, cause=cause, cure="Do it.", **values)


def fail(task: BackupTask, make_run: MakeRun, code: str, reason: str) -> Run:
    """Let the schedule have started a run of ``task`` that failed."""
    run = make_run(task, RunState.FAILED, timezone.now() - HOUR, error_code=code, reason=reason, trigger="schedule")
    raise_of("backup-failed", task, reason)
    return run
