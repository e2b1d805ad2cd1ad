"""What the tests of the homepage share: looking at it, and what stands in its list of things that need attention."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tasks.models import BackupTask, Pulse
from tests.web.list_kit import squeezed

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
