"""Sessions: listed, seen, over by time, and ended from elsewhere; their keys are in no page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tasks.models import AuditEvent, PersonSession
from tasks.permissions import ADMINISTRATOR, OPERATOR, VIEWER
from tests.conftest import PASSWORD, Login
from tests.conftest import Person as MakePerson

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
PAGE = "/settings/sessions/"


def browser(name: str = "viewer", **more: Any) -> Client:
    """Log in as a browser does."""
    client = Client(**more)
    assert client.post("/login/", {"username": name, "password": PASSWORD}).status_code == 302
    return client


@pytest.fixture
def anna(person: MakePerson) -> User:
    return person(VIEWER)


def age(session: PersonSession, **minutes: int) -> None:
    now = timezone.now()
    values = {name: now - timedelta(minutes=number) for name, number in minutes.items()}
    PersonSession.objects.filter(pk=session.pk).update(**values)


# --- The list ---------------------------------------------------------------------------------------------------------
def test_where_one_is_logged_in(anna: User) -> None:
    here = browser(HTTP_USER_AGENT=FIREFOX, REMOTE_ADDR="10.0.0.1")
    browser(HTTP_USER_AGENT="curl/8", REMOTE_ADDR="10.0.0.2")
    text = here.get(PAGE).content.decode()
    assert "Firefox on Linux" in text and "curl" in text and "10.0.0.1" in text and "10.0.0.2" in text
    assert text.count("This session") == 1
    assert "after 1 h without a click, and after 12 h in any case" in text
    for row in PersonSession.objects.all():
        assert row.token not in text
    for key in Session.objects.values_list("session_key", flat=True):
        assert key not in text


def test_what_is_over_by_time_is_not_listed(anna: User) -> None:
    here = browser(HTTP_USER_AGENT=FIREFOX)
    PersonSession.objects.create(
        user=anna, token="idle", user_agent="Wget", seen_at=timezone.now() - timedelta(hours=2)
    )
    assert "Wget" not in here.get(PAGE).content.decode()
    # … and the next login of anybody sweeps it.
    browser()
    assert not PersonSession.objects.filter(token="idle").exists()


def test_a_user_agent_from_outside_is_only_text(anna: User) -> None:
    here = browser(HTTP_USER_AGENT="<script>alert(1)</script>" * 40)
    assert "<script>alert" not in here.get(PAGE).content.decode()


# --- Time -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("minutes", "reason", "words"),
    [
        ({"seen_at": 61}, "idle", "nothing was done for a while"),
        ({"since": 721}, "long", "Your session was long enough"),
    ],
)
def test_a_session_is_over_by_time(minutes: dict[str, int], reason: str, words: str, anna: User) -> None:
    client = browser()
    age(PersonSession.objects.get(), **minutes)
    response = client.get("/backups/?q=x")
    assert response["Location"] == f"/login/?next=%2Fbackups%2F%3Fq%3Dx&over={reason}"
    assert words in client.get(response["Location"]).content.decode()
    assert not PersonSession.objects.exists()
    assert client.get("/backups/")["Location"] == "/login/?next=/backups/"


def test_a_post_of_a_session_that_is_over_leads_to_no_address_of_its_own(anna: User) -> None:
    client = browser()
    age(PersonSession.objects.get(), seen_at=61)
    assert client.post(reverse("theme"), {"theme": "dark"})["Location"] == "/login/?over=idle"


@pytest.mark.parametrize("path", ["/login/", "/logout/"])
def test_the_way_in_and_out_is_open_when_a_session_is_over(path: str, anna: User) -> None:
    client = browser()
    age(PersonSession.objects.get(), seen_at=61)
    response = client.get(path) if path == "/login/" else client.post(path)
    assert response.status_code == (200 if path == "/login/" else 302)
    assert "over=" not in response.get("Location", "")


def test_the_limits_are_settings(anna: User, settings: Any) -> None:
    settings.SESSION_IDLE_MINUTES = 5
    client = browser()
    age(PersonSession.objects.get(), seen_at=6)
    assert client.get("/backups/").status_code == 302


def test_being_seen_is_written_once_a_minute_at_most(anna: User, django_assert_num_queries: Any) -> None:
    client = browser()
    session = PersonSession.objects.get()
    client.get(PAGE)
    assert PersonSession.objects.get().seen_at == session.seen_at
    age(session, seen_at=2)
    client.get(PAGE)
    assert timezone.now() - PersonSession.objects.get().seen_at < timedelta(minutes=1)


def test_an_open_page_that_refreshes_itself_keeps_nothing_alive(anna: User) -> None:
    client = browser()
    age(PersonSession.objects.get(), seen_at=50)
    before = PersonSession.objects.get().seen_at
    assert client.get("/backups/cells/?ids=1", headers={"HX-Request": "true"}).status_code == 200
    assert PersonSession.objects.get().seen_at == before
    client.post(reverse("theme"), {"theme": "dark"}, headers={"HX-Request": "true"})
    assert PersonSession.objects.get().seen_at > before


def test_a_refresh_after_the_end_loads_the_page_anew(anna: User) -> None:
    client = browser()
    PersonSession.objects.all().delete()
    response = client.get("/backups/cells/?ids=1", headers={"HX-Request": "true"})
    assert (response.status_code, response["HX-Refresh"]) == (204, "true")


def test_the_session_costs_no_query_of_its_own(anna: User, django_assert_num_queries: Any) -> None:
    """One read for session, limits and preferences; Django's own session and user; nothing else before the page."""
    client = browser()
    with django_assert_num_queries(3):
        client.get("/settings/theme/")


# --- Ending -----------------------------------------------------------------------------------------------------------
def test_one_ends_one_of_ones_own(anna: User) -> None:
    here, there = browser(), browser(HTTP_USER_AGENT=FIREFOX, REMOTE_ADDR="10.0.0.2")
    other = PersonSession.objects.exclude(user_agent="").get()
    page = here.post(reverse("session-end", args=[other.pk]), {"next": PAGE}, follow=True)
    assert "The session has ended: Firefox on Linux, 10.0.0.2." in page.content.decode()
    assert there.get("/backups/")["Location"].endswith("over=ended")
    assert here.get("/backups/").status_code == 200
    event = AuditEvent.objects.get(verb="end session")
    assert (event.target, event.note) == ("viewer", "Firefox on Linux, 10.0.0.2")
    page = here.post(reverse("session-end", args=[other.pk]))
    assert page.status_code == 404


def test_one_ends_all_others(anna: User) -> None:
    here, there = browser(), browser()
    assert "End all others" in here.get(PAGE).content.decode()
    page = here.post(reverse("sessions-end"), follow=True).content.decode()
    assert "1 other session has ended." in page and "End all others" not in page
    assert there.get("/backups/").status_code == 302


def test_nobody_ends_sessions_of_others(anna: User, person: MakePerson) -> None:
    client, operator = browser(), person(OPERATOR)
    other = PersonSession.objects.create(user=operator, token="t")
    assert client.post(reverse("session-end", args=[other.pk])).status_code == 404
    assert PersonSession.objects.filter(pk=other.pk).exists()


def test_an_administrator_ends_them(anna: User, login: Login) -> None:
    there, boss = browser(), login(ADMINISTRATOR)
    page = reverse("person", args=[anna.pk])
    assert "End all" in boss.get(page).content.decode()
    session = PersonSession.objects.get(user=anna)
    response = boss.post(reverse("session-end", args=[session.pk]), {"next": page})
    assert response["Location"] == page
    assert there.get("/backups/").status_code == 302
    browser()
    text = boss.post(reverse("person-sessions-end", args=[anna.pk]), follow=True).content.decode()
    assert "All sessions of viewer have ended." in text and "is not logged in anywhere" in text


def test_an_administrator_does_not_end_those_of_a_superuser(login: Login) -> None:
    root = User.objects.create_superuser("root", password=PASSWORD)
    browser("root")
    client = login(ADMINISTRATOR)
    session = PersonSession.objects.get(user=root)
    page = client.post(reverse("session-end", args=[session.pk]), follow=True).content.decode()
    assert "root is a superuser" in page
    assert PersonSession.objects.filter(pk=session.pk).exists()
    text = client.get(reverse("person", args=[root.pk])).content.decode()
    assert "Not yours to end" in text and "End all" not in text


def test_logging_out_and_in_leaves_no_row_behind(anna: User) -> None:
    client = browser()
    client.post("/logout/")
    assert not PersonSession.objects.exists()
    client.post("/login/", {"username": "viewer", "password": PASSWORD})
    assert PersonSession.objects.count() == 1


def test_a_session_from_before_the_upgrade_has_to_log_in_again(anna: User) -> None:
    client = browser()
    session = client.session
    del session["person_session"]
    session.save()
    assert client.get("/backups/")["Location"].endswith("over=ended")


def test_a_token_of_somebody_else_is_none(anna: User, person: MakePerson) -> None:
    client, operator = browser(), person(OPERATOR)
    session = client.session
    session["person_session"] = PersonSession.objects.create(user=operator, token="t").token
    session.save()
    assert client.get("/backups/")["Location"].endswith("over=ended")


def test_the_key_changes_at_the_login(anna: User) -> None:
    client = Client()
    client.get("/login/")
    session = client.session
    session["planted"] = "by a stranger"
    session.save()
    planted = session.session_key
    client.cookies["sessionid"] = planted
    client.post("/login/", {"username": "viewer", "password": PASSWORD})
    assert client.cookies["sessionid"].value != planted
    assert not Session.objects.filter(session_key=planted).exists()
