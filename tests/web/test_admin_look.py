"""Django's admin as a part of the console: its name, its words, its theme, and the way back."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from tasks.models import Preference
from tasks.permissions import ADMINISTRATOR, AUDITOR
from tests.conftest import Login
from tests.web.list_kit import squeezed


def read(client: Client, name: str) -> str:
    response = client.get(reverse(name))
    assert response.status_code == 200
    return squeezed(response.content.decode())


def test_an_administrator_finds_the_way_back(login: Login) -> None:
    text = read(login(ADMINISTRATOR), "admin:tasks_auditevent_changelist")
    assert '<a href="/backups/">Back to the console</a>' in text
    assert "<span>Backup Console</span>" in text and ">Records</a>" in text


def test_an_auditor_is_not_sent_where_nothing_is_to_be_seen(login: Login) -> None:
    text = read(login(AUDITOR), "admin:tasks_run_changelist")
    assert "Back to the console" not in text and "Log out" in text


@pytest.mark.parametrize("theme", Preference.Theme.values)
def test_the_theme_is_the_persons(login: Login, theme: str) -> None:
    client = login(ADMINISTRATOR)
    client.post(reverse("theme"), {"theme": theme})
    text = read(client, "admin:index")
    assert re.search(rf'<script src="[^"]*console[^"]*\.js" data-theme="{theme}">', text)
    assert "dark_mode" not in text and "theme-toggle" not in text


def test_nothing_in_the_admin_is_refused_by_the_policy(login: Login) -> None:
    for name in ("admin:index", "admin:tasks_auditevent_changelist"):
        text = read(login(ADMINISTRATOR), name)
        assert not re.search(r"<[^>]+ style=|<style|<script>| on[a-z]+=\"", text)


def test_moments_are_written_as_on_the_other_pages(login: Login) -> None:
    client = login(ADMINISTRATOR)
    text = read(client, "admin:tasks_auditevent_changelist")
    assert not re.search(r"[ap]\.m\.", text)
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", text)
