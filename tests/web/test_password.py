"""The own password: changing it, and that nothing else is open before a one-time one was changed."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tasks.models import AuditEvent, Person, PersonSession
from tasks.permissions import ADMINISTRATOR, VIEWER
from tests.conftest import PASSWORD, Login
from tests.conftest import Person as MakePerson
from tests.web.routes_kit import routes
from tests.web.test_permission_matrix import MATRIX

PAGE = "/settings/password/"
NEW = "another-good-pass-7"


@pytest.fixture
def viewer_client(login: Login) -> Client:
    """A Viewer's browser."""
    return login(VIEWER)


def change(client: Client, old: str, new: str, again: str) -> str:
    """Ask for a new password and return the page that follows."""
    data = {"old_password": old, "new_password1": new, "new_password2": again}
    return client.post(PAGE, data, follow=True).content.decode()


# --- By one's own wish ------------------------------------------------------------------------------------------------
def test_a_new_password(person: MakePerson) -> None:
    person(VIEWER)
    here, elsewhere = Client(), Client()
    for browser in (here, elsewhere):
        browser.post("/login/", {"username": "viewer", "password": PASSWORD})
    assert "Password changed." in change(here, PASSWORD, NEW, NEW)
    assert User.objects.get(username="viewer").check_password(NEW)
    assert here.get("/backups/").status_code == 200
    assert elsewhere.get("/backups/").status_code == 302
    assert PersonSession.objects.count() == 1
    event = AuditEvent.objects.get(verb="change own password")
    assert NEW not in str(event.after) + str(event.before) + event.note


@pytest.mark.parametrize(
    ("old", "new", "again", "words"),
    [
        ("wrong", NEW, NEW, "This is not your present password. Type it again."),
        (PASSWORD, NEW, "different-pass-8", "The two new passwords differ."),
        (PASSWORD, "1234567890123", "1234567890123", "entirely numeric"),
        (PASSWORD, "short-one", "short-one", "at least 10 characters"),
        (PASSWORD, PASSWORD, PASSWORD, "You had this password before."),
        (PASSWORD, "", "", "New password is missing."),
    ],
)
def test_a_bad_new_password_changes_nothing(
    viewer_client: Client, person: MakePerson, old: str, new: str, again: str, words: str
) -> None:
    page = change(viewer_client, old, new, again)
    assert words in page and "<title>Error: password" in page
    assert f'value="{old}"' not in page and (not new or f'value="{new}"' not in page)
    assert person(VIEWER).check_password(PASSWORD)
    assert not AuditEvent.objects.filter(verb="change own password").exists()


def test_the_rules_stand_beside_the_field(viewer_client: Client) -> None:
    text = viewer_client.get(PAGE).content.decode()
    assert "At least 10 characters, not only digits" in text and "one of your last 5" in text


# --- After a one-time password ----------------------------------------------------------------------------------------
@pytest.fixture
def newcomer(person: MakePerson) -> Client:
    """Somebody who may do everything and logged in with a password for one login."""
    user = person(ADMINISTRATOR)
    Person.objects.create(user=user, must_change_password=True)
    client = Client()
    client.post("/login/", {"username": user.username, "password": PASSWORD})
    return client


def test_nothing_else_is_open(newcomer: Client) -> None:
    """Every route, by both methods, and addresses that are none."""
    open_to_them = {"password", "theme"}
    for route in routes():
        if route.name not in MATRIX or route.name in open_to_them:
            continue
        url = reverse(route.name, args=[1] if "pk" in route.pattern.converters else [])
        for method in (newcomer.get, newcomer.post):
            assert method(url).get("Location") == PAGE, route.name
    for url in ("/admin/", "/admin/tasks/run/", "/no/such/page/"):
        assert newcomer.get(url)["Location"] == PAGE


def test_what_htmx_asks_for_loads_the_page_anew(newcomer: Client) -> None:
    response = newcomer.get("/backups/cells/?ids=1", headers={"HX-Request": "true"})
    assert (response.status_code, response["HX-Refresh"]) == (204, "true")
    assert response.content == b""


def test_the_page_tells_nothing_of_the_console(newcomer: Client) -> None:
    text = newcomer.get(PAGE).content.decode()
    assert "Choose your own password" in text and "Backup Management" not in text and "Present password" not in text


def test_the_present_one_is_not_taken_again(newcomer: Client) -> None:
    text = newcomer.post(PAGE, {"new_password1": PASSWORD, "new_password2": PASSWORD}).content.decode()
    assert "You had this password before." in text and "<title>Error: choose a password" in text
    assert newcomer.get("/backups/")["Location"] == PAGE


def test_a_password_of_ones_own_opens_the_rest(newcomer: Client) -> None:
    response = newcomer.post(PAGE, {"new_password1": NEW, "new_password2": NEW}, follow=True)
    assert response.redirect_chain[0][0] == "/"
    assert "Password changed." in response.content.decode()
    assert newcomer.get("/backups/").status_code == 200
    assert "Present password" in newcomer.get(PAGE).content.decode()


def test_one_may_log_out_instead(newcomer: Client) -> None:
    assert newcomer.post("/logout/").status_code == 302
    assert not PersonSession.objects.exists()


def test_people_from_before_the_upgrade_need_no_change(login: Login) -> None:
    assert login(VIEWER).get("/backups/").status_code == 200
