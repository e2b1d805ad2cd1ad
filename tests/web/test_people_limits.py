"""People and oneself: what a limited administrator gives and learns, and one's own profile."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tasks.models import Cluster
from tasks.permissions import ADMINISTRATOR, VIEWER
from tests.conftest import PASSWORD, Login
from tests.conftest import Person as MakePerson
from tests.web.people_kit import LIST, NEW, data
from tests.web.scope_kit import limit
from tests.web.taskform_kit import text_of


@pytest.fixture
def local(person: MakePerson, cluster: Cluster) -> Client:
    """The browser of an administrator of one cluster."""
    client = Client()
    client.force_login(limit(person(ADMINISTRATOR, "local"), cluster))
    return client


# --- Limited administrators -------------------------------------------------------------------------------------------
def test_a_limited_administrator_gives_only_what_they_have(local: Client, cluster: Cluster) -> None:
    other = Cluster.objects.create(name="other")
    page = local.get(NEW).content.decode()
    assert re.search(r'<input type="radio" name="limited" value="all"[^>]*disabled', page)
    assert "You are limited to some clusters yourself" in page and ">other<" not in page
    for wanted in ({"limited": "all"}, {"limited": "some", "clusters": [other.pk]}):
        assert "<title>Error:" in local.post(NEW, data(VIEWER) | wanted).content.decode()
    assert not User.objects.filter(username="carla").exists()
    assert "User carla created" in text_of(local.post(NEW, data(VIEWER, limited="some", clusters=[cluster.pk])))


def test_a_limited_administrator_does_not_learn_of_other_clusters(local: Client, person: MakePerson) -> None:
    hidden = Cluster.objects.create(name="hidden-one")
    anna = limit(person(VIEWER, "anna"), hidden, Cluster.objects.get(name="plant"))
    for url in (LIST, reverse("person", args=[anna.pk])):
        text = text_of(local.get(url))
        assert "hidden-one" not in text and "1 other cluster" in text
    assert "anna sees clusters that you do not see." in text_of(local.get(reverse("person", args=[anna.pk])))
    page = local.post(reverse("person-password", args=[anna.pk]), follow=True)
    assert "sees clusters that you do not see" in text_of(page)
    assert User.objects.get(pk=anna.pk).check_password(PASSWORD)


# --- Own profile ------------------------------------------------------------------------------------------------------
def test_names_and_mail_address_of_ones_own(login: Login) -> None:
    client = login(VIEWER)
    address = reverse("preferences")
    page = client.post(address, {"profile": "change", "first_name": "Vera", "last_name": "", "email": "v@example.org"})
    assert page.status_code == 302
    viewer = User.objects.get(username="viewer")
    assert (viewer.first_name, viewer.email) == ("Vera", "v@example.org")
    text = client.post(address, {"profile": "change", "first_name": "", "last_name": "", "email": "nobody"})
    assert "Give a mail address such as anna@example.org." in text.content.decode()
    assert "<title>Error: preferences" in text.content.decode()
    assert User.objects.get(username="viewer").first_name == "Vera"


def test_the_tabs_of_ones_own_pages(login: Login) -> None:
    client = login(VIEWER)
    for name in ("preferences", "password", "sessions"):
        page = client.get(reverse(name)).content.decode()
        assert f'<a href="{reverse(name)}" aria-current="page">' in page
