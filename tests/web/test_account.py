"""Log in, preferences, zone, theme and password."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse

from tasks.models import BackupTask, Preference
from tasks.permissions import VIEWER
from tests.conftest import PASSWORD, Login, MakeTask, Person


@pytest.fixture
def viewer_client(login: Login) -> Client:
    """A Viewer's browser."""
    return login(VIEWER)


# --- Log in -------------------------------------------------------------------------------------------------
def test_log_in_leads_to_where_the_person_wanted(client: Client, person: Person) -> None:
    person(VIEWER)
    asked = client.get("/backups/?q=x")
    assert asked.headers["Location"] == "/login/?next=/backups/%3Fq%3Dx"
    form = client.get(asked.headers["Location"]).content.decode()
    assert 'name="next" value="/backups/?q=x"' in form
    response = client.post("/login/", {"username": "viewer", "password": PASSWORD, "next": "/backups/?q=x"})
    assert response.headers["Location"] == "/backups/?q=x"


@pytest.mark.parametrize(
    ("username", "password", "words"),
    [
        ("viewer", "wrong", "Username or password is wrong."),
        ("nobody-known", "wrong", "Username or password is wrong."),
        ("viewer", "", "The password is missing."),
        ("", "wrong", "The username is missing."),
    ],
)
def test_a_wrong_log_in_says_what_to_do(
    client: Client, person: Person, username: str, password: str, words: str
) -> None:
    person(VIEWER)
    text = client.post("/login/", {"username": username, "password": password}).content.decode()
    assert words in text
    assert "<title>Error: log in" in text
    assert 'role="alert"' in text
    assert f'value="{username}"' in text
    assert 'value="wrong"' not in text


def test_a_role_taken_away_does_not_stop_the_log_in(client: Client, person: Person) -> None:
    person("")
    response = client.post("/login/", {"username": "nobody", "password": PASSWORD}, follow=True)
    assert "No role was given to you yet" in response.content.decode()


def test_log_out_is_a_post(viewer_client: Client) -> None:
    assert viewer_client.get("/logout/").status_code == 405
    assert viewer_client.post("/logout/").headers["Location"] == "/login/"
    assert viewer_client.get("/backups/").headers["Location"].startswith("/login/")


# --- Zone ---------------------------------------------------------------------------------------------------
@pytest.fixture
def planned(make_task: MakeTask) -> BackupTask:
    """A task whose next run is at 23:30 UTC of a day in 2030."""
    at = datetime(2030, 1, 1, 23, 30, tzinfo=UTC)
    return make_task(mode="periodic", started=at, next_run_at=at)


def test_times_are_in_the_servers_zone_by_default(viewer_client: Client, planned: BackupTask) -> None:
    text = viewer_client.get("/backups/").content.decode()
    assert ">2030-01-02 00:30</time>" in text
    assert re.search(r"Europe/Berlin \(UTC\+0[12]:00\), as on the server", text)


def test_times_are_in_the_browsers_zone(viewer_client: Client, planned: BackupTask) -> None:
    viewer_client.cookies["zone"] = "Asia/Tokyo"
    text = viewer_client.get("/backups/").content.decode()
    assert ">2030-01-02 08:30</time>" in text
    assert 'datetime="2030-01-02T08:30:00+09:00"' in text
    assert "Times in Asia/Tokyo (UTC+09:00); the server’s zone is Europe/Berlin" in text


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "Asia%2FTokyo", "", "x" * 5000])
def test_a_zone_that_is_none_is_passed_over(viewer_client: Client, planned: BackupTask, zone: str) -> None:
    viewer_client.cookies["zone"] = zone
    assert ">2030-01-02 00:30</time>" in viewer_client.get("/backups/").content.decode()


def test_the_persons_choice_comes_before_the_browsers(viewer_client: Client, planned: BackupTask) -> None:
    viewer_client.cookies["zone"] = "Asia/Tokyo"
    viewer_client.post(reverse("preferences"), {"zone": "America/New_York", "theme": "auto"})
    assert ">2030-01-01 18:30</time>" in viewer_client.get("/backups/").content.decode()


def test_the_zone_of_one_request_does_not_leak_into_the_next(
    viewer_client: Client, login: Login, planned: BackupTask
) -> None:
    viewer_client.cookies["zone"] = "Asia/Tokyo"
    viewer_client.get("/backups/")
    assert ">2030-01-02 00:30</time>" in login(VIEWER).get("/backups/").content.decode()


# --- Preferences --------------------------------------------------------------------------------------------
def test_preferences_are_saved_for_one_person(viewer_client: Client, planned: BackupTask) -> None:
    response = viewer_client.post(reverse("preferences"), {"zone": "UTC", "theme": "dark"}, follow=True)
    text = response.content.decode()
    assert "Preferences saved." in text
    assert 'data-theme="dark" data-bs-theme="dark"' in text
    saved = Preference.objects.get()
    assert (saved.user.username, saved.zone, saved.theme) == ("viewer", "UTC", "dark")


def test_the_browsers_zone_is_named_in_the_choice(viewer_client: Client) -> None:
    viewer_client.cookies["zone"] = "Asia/Tokyo"
    assert "As the browser (Asia/Tokyo)" in viewer_client.get(reverse("preferences")).content.decode()


def test_an_unknown_zone_is_refused(viewer_client: Client) -> None:
    text = viewer_client.post(reverse("preferences"), {"zone": "Mars/Olympus", "theme": "auto"}).content.decode()
    assert "<title>Error: preferences" in text
    assert not Preference.objects.exists()


# --- Theme --------------------------------------------------------------------------------------------------
def test_the_theme_goes_round(viewer_client: Client) -> None:
    text = viewer_client.get("/backups/").content.decode()
    assert 'data-theme="auto" data-bs-theme="light"' in text
    assert 'aria-label="Theme: as the system. Change to: light"' in text
    response = viewer_client.post(reverse("theme"), {"theme": "dark", "next": "/backups/?q=a"})
    assert response.headers["Location"] == "/backups/?q=a"
    assert 'aria-label="Theme: dark. Change to: as the system"' in viewer_client.get("/backups/").content.decode()


def test_the_theme_by_htmx_keeps_the_page(viewer_client: Client) -> None:
    response = viewer_client.post(reverse("theme"), {"theme": "light"}, headers={"HX-Request": "true"})
    assert response.headers["HX-Trigger"] == '{"theme": {"value": "light"}}'
    assert 'name="theme" value="dark"' in response.content.decode()


def test_an_unknown_theme_is_that_of_the_system(viewer_client: Client) -> None:
    viewer_client.post(reverse("theme"), {"theme": "pink"})
    assert Preference.objects.get().theme == "auto"
    assert viewer_client.get(reverse("theme")).status_code == 405
