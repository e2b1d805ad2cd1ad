"""The shell around every page: navigation by role, the state of the workers, error pages, and its rules."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.db import InterfaceError, InternalError, OperationalError, connection
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tasks.models import BackupTask, Pulse
from tasks.permissions import ADMINISTRATOR, AUDITOR, BACKUP_ADMINISTRATOR, VIEWER
from tests.conftest import Login, MakeRun

# Those of Django, and those of Jinja2 for what is repeated by row.
TEMPLATES = [
    path for folder in ("templates", "jinja") for path in sorted((Path(settings.BASE_DIR) / folder).rglob("*.html"))
]
STATIC = Path(settings.BASE_DIR) / "static"


# --- Where a person lands -----------------------------------------------------------------------------------
@pytest.mark.parametrize("role", [VIEWER, ADMINISTRATOR])
def test_the_first_page_is_the_homepage(login: Login, role: str) -> None:
    assert "<title>Homepage - Backup Console</title>" in login(role).get("/").content.decode()


def test_an_auditor_lands_on_the_records(login: Login) -> None:
    assert login(AUDITOR).get("/").headers["Location"] == "/audit/"


def test_without_a_role_the_page_says_whom_to_ask(login: Login) -> None:
    text = login("").get("/").content.decode()
    assert "No role was given to you yet" in text
    assert "Ask an administrator" in text
    assert "Backup Management" not in text


@pytest.mark.parametrize(
    ("role", "there", "absent"),
    [
        (VIEWER, ["Clusters", "Backup Management"], ["Audit</a>", "People</a>"]),
        (BACKUP_ADMINISTRATOR, ["Clusters", "Backup Management"], ["Audit</a>", "People</a>"]),
        (ADMINISTRATOR, ["Clusters", "Backup Management", "Audit</a>", "People</a>"], []),
    ],
)
def test_navigation_by_role(login: Login, role: str, there: list[str], absent: list[str]) -> None:
    text = login(role).get("/backups/").content.decode()
    assert all(word in text for word in there)
    assert not any(word in text for word in absent)
    assert 'aria-current="page">Backup Management</a>' in text


def test_links_of_the_navigation_lead_somewhere(login: Login) -> None:
    client = login(ADMINISTRATOR)
    menus = re.findall(r'<nav aria-label="Main.*?</nav>', client.get("/backups/").content.decode(), re.S)
    links = [set(re.findall(r'<a href="(/[^"]*)"', menu)) for menu in menus]
    assert links[0] == links[1]
    assert {"/clusters/", "/backups/"} < links[0]
    assert {link: client.get(link).status_code for link in links[0]} == dict.fromkeys(links[0], 200)


# --- The workers --------------------------------------------------------------------------------------------
def test_workers_that_run(login: Login) -> None:
    Pulse.beat("tick", timezone.now())
    text = login(VIEWER).get("/backups/").content.decode()
    assert "Workers running" in text
    assert f"Active node: {settings.HOST_NAME}" in text
    assert "No backup starts until they run" not in text


def test_silent_workers_are_a_notice_on_every_page(login: Login, task: BackupTask) -> None:
    Pulse.beat("tick", timezone.now() - timedelta(seconds=settings.TICK_SILENCE_SECONDS + 30))
    client = login(VIEWER)
    for url in ("/backups/", reverse("task-history", args=[task.pk]), "/clusters/", "/settings/"):
        text = client.get(url).content.decode()
        assert "Workers not running" in text
        assert "No backup starts until they run." in text
        assert f"Start them on {settings.HOST_NAME}: manage.py runworkers." in text


def test_the_notice_goes_with_the_next_refresh(login: Login, task: BackupTask) -> None:
    client = login(VIEWER)
    cells = f"/backups/cells/?ids={task.pk}"
    assert "The workers have never run." in client.get(cells).content.decode()
    Pulse.beat("tick", timezone.now())
    text = client.get(cells).content.decode()
    assert re.search(r'<div id="workers-notice" hx-swap-oob="true">\s*</div>', text)
    assert "Workers running" in text


# --- Errors -------------------------------------------------------------------------------------------------
def test_no_permission(login: Login) -> None:
    response = login(VIEWER).get(reverse("task-new"))
    assert response.status_code == 403
    assert "You may not do this" in response.content.decode()


@pytest.mark.parametrize("logged_in", [True, False])
def test_no_such_page(login: Login, client: Client, logged_in: bool) -> None:
    response = (login(VIEWER) if logged_in else client).get("/nothing/here/")
    assert response.status_code == 404
    text = response.content.decode()
    assert "There is no such page" in text
    assert ("Backup Management" in text) is logged_in


def test_a_page_that_was_too_old(person: Any) -> None:
    person(VIEWER)
    strict = Client(enforce_csrf_checks=True)
    response = strict.post("/login/", {"username": "viewer", "password": "x"})
    assert response.status_code == 403
    assert "The page was too old" in response.content.decode()


def test_a_failure_of_the_console(login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("tasks.listing.whole", broken)
    client = login(VIEWER)
    client.raise_request_exception = False
    response = client.get("/backups/")
    assert response.status_code == 500
    text = response.content.decode()
    assert "The console failed" in text
    assert "secret detail" not in text


@pytest.mark.parametrize("error", [OperationalError, InterfaceError, InternalError])
def test_a_database_that_cannot_be_used_is_no_failure_of_the_console(login: Login, error: type[Exception]) -> None:
    def locked(*_: object) -> None:
        raise error("database is locked at /secret/place")

    client = login(VIEWER)
    client.raise_request_exception = False
    with connection.execute_wrapper(locked):
        pages = [client.get("/backups/"), client.post("/clusters/new/", {"name": "north"})]
    for page, entered in zip(pages, (False, True), strict=True):
        assert page.status_code == 503
        text = page.content.decode()
        assert "The database cannot be used" in text
        assert ("what you entered" in text) is entered
        assert "secret" not in text


def test_a_session_that_ended_reloads_the_page_instead_of_filling_a_cell(client: Client) -> None:
    response = client.get("/backups/cells/?ids=1", headers={"HX-Request": "true"})
    assert response.status_code == 204
    assert response.headers["HX-Refresh"] == "true"
    assert client.get("/backups/").status_code == 302


def test_pages_of_a_person_stay_out_of_caches(login: Login) -> None:
    response = login(VIEWER).get("/backups/")
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert "HX-Request" in response.headers["Vary"]


# --- Rules that hold for every page -------------------------------------------------------------------------
def test_the_policy_of_the_browser_is_strict(login: Login, task: BackupTask, make_run: MakeRun) -> None:
    response = login(ADMINISTRATOR).get("/backups/")
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(settings.BASE_DIR)))
def test_templates_need_no_inline_code_and_no_other_host(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"\sstyle\s*=", text), "style attributes are refused by the policy"
    assert not re.search(r"\son[a-z]+\s*=", text), "inline handlers are refused by the policy"
    assert not re.search(r"<script(?![^>]*\ssrc=)", text), "inline scripts are refused by the policy"
    assert not re.search(r"(?:src|href)=[\"'](?:https?:)?//", text), "everything is served by the console itself"
    assert "hx-on" not in text and "javascript:" not in text


def test_every_icon_that_is_named_is_in_the_sprite() -> None:
    sprite = set(re.findall(r'id="i-([a-z]+)"', (STATIC / "icons.svg").read_text()))
    named = {name for path in TEMPLATES for name in re.findall(r'(?<![.\w])icon[ (]"([a-z]+)"', path.read_text())}
    assert len(named) > 20
    assert named <= sprite


def test_stylesheets_and_scripts_load_nothing_from_elsewhere() -> None:
    for name in ("console.css", "console.js", "bulk.js", "icons.svg", "vendor/bootstrap.min.css"):
        text = Path(finders.find(name) or "").read_text()
        assert not re.search(r"url\([\"']?(?:https?:)?//|@import|sourceMappingURL", text), name


@pytest.mark.parametrize("name", ["bootstrap", "bootstrap-icons", "htmx"])
def test_vendored_files_carry_their_licence(name: str) -> None:
    assert (STATIC / "vendor" / f"{name}-LICENSE.txt").stat().st_size > 300


@pytest.mark.parametrize("name", ["400.html", "403_csrf.html", "500.html", "503.html"])
def test_pages_of_last_resort_need_no_request(name: str) -> None:
    assert "Go to the start page" in render_to_string(name)
