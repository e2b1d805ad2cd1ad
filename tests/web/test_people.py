"""System > People: the list, a person's page, the form, and the passwords that are shown once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tasks.models import AuditEvent, Cluster, Person, PersonSession
from tasks.permissions import ADMINISTRATOR, MAY, OPERATOR, ROLES, VIEWER
from tests.conftest import PASSWORD, Login
from tests.conftest import Person as MakePerson
from tests.web.people_kit import LIST, NEW, data, shown_password
from tests.web.scope_kit import limit
from tests.web.taskform_kit import text_of


@pytest.fixture
def boss(login: Login) -> Client:
    """An administrator's browser."""
    return login(ADMINISTRATOR)


# --- The list ---------------------------------------------------------------------------------------------------------
def test_the_list(boss: Client, person: MakePerson, cluster: Cluster) -> None:
    anna = limit(person(OPERATOR, "anna"), cluster)
    User.objects.filter(pk=anna.pk).update(first_name="Anna", email="anna@example.org")
    gone = person("", "gone")
    User.objects.filter(pk=gone.pk).update(is_active=False)
    text = text_of(boss.get(LIST))
    assert "administrator You Administrator All" in text
    assert "anna Anna anna@example.org Operator plant Never Active" in text
    assert "gone None All Never Disabled" in text
    assert "All 3 Active 2 Disabled 1" in text
    assert reverse("person-edit", args=[anna.pk]) in boss.get(LIST).content.decode()


@pytest.mark.parametrize(
    ("query", "there"),
    [
        ("q=ANN", {"anna"}),
        ("q=example", {"bert"}),
        ("q=nothing", set()),
        ("state=disabled", {"gone"}),
        ("state=change", {"bert"}),
        ("state=nonsense", {"administrator", "anna", "bert", "gone"}),
        ("role=x&page=99", {"administrator", "anna", "bert", "gone"}),
    ],
)
def test_the_filter(query: str, there: set[str], boss: Client, person: MakePerson) -> None:
    person(OPERATOR, "anna")
    bert, gone = person(VIEWER, "bert"), person("", "gone")
    User.objects.filter(pk=bert.pk).update(email="b@example.org")
    Person.objects.create(user=bert, must_change_password=True)
    User.objects.filter(pk=gone.pk).update(is_active=False)
    page = boss.get(f"{LIST}?{query}").content.decode()
    assert set(re.findall(r'<a class="name" href="[^"]+">([^<]+)<', page)) == there
    assert ("Nobody matches the filter" in page) == (not there)


def test_the_filter_by_role(boss: Client, person: MakePerson) -> None:
    person(OPERATOR, "anna")
    role = Group.objects.get(name=OPERATOR)
    text = text_of(boss.get(f"{LIST}?role={role.pk}"))
    assert "anna" in text and "1 to 1 of 1" in text and "Clear filter" in text


def test_pages_and_a_constant_number_of_queries(boss: Client, cluster: Cluster) -> None:
    def make(numbers: range) -> None:
        for number in numbers:
            user = User.objects.create(username=f"user-{number:03}")
            user.groups.set(Group.objects.all())
            limit(user, cluster)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert boss.get(LIST).status_code == 200
        return len(captured)

    make(range(2))
    few = queries()
    make(range(2, 40))
    assert queries() == few
    page = boss.get(LIST).content.decode()
    assert "1 to 25 of 41" in page and 'rel="next" href="?page=2"' in page
    assert "26 to 41 of 41" in boss.get(f"{LIST}?page=2").content.decode()


def test_the_navigation(boss: Client, login: Login) -> None:
    assert f'<a href="{LIST}" aria-current="page">People</a>' in boss.get(LIST).content.decode()
    assert LIST not in login(VIEWER).get("/backups/").content.decode()


# --- A person's page --------------------------------------------------------------------------------------------------
def test_what_a_person_may_do_and_see(boss: Client, person: MakePerson, cluster: Cluster) -> None:
    anna = limit(person(OPERATOR, "anna"), cluster)
    text = text_of(boss.get(reverse("person", args=[anna.pk])))
    assert MAY["tasks.run_task"] in text and MAY["tasks.manage_task"] not in text
    assert "Clusters plant Nothing of other clusters is shown or done." in text
    assert "Set a new password" in text and "Disable" in text and "is not logged in anywhere" in text


def test_ones_own_page_leads_to_the_preferences(boss: Client) -> None:
    me = User.objects.get(username="administrator")
    text = text_of(boss.get(reverse("person", args=[me.pk])))
    assert "This is you." in text and "Disable" not in text and "This session" in text
    page = boss.get(reverse("person-edit", args=[me.pk]), follow=True)
    assert "This is you." in text_of(page)


def test_who_is_above_is_shown_and_not_changed(boss: Client) -> None:
    root = User.objects.create_superuser("root")
    text = text_of(boss.get(reverse("person", args=[root.pk])))
    assert "root is a superuser and may do everything" in text and "Set a new password" not in text
    for name in ("person-edit", "person-password", "person-disable", "person-enable", "person-sessions-end"):
        page = boss.post(reverse(name, args=[root.pk]), data(), follow=True)
        assert "Superusers are changed by superusers" in text_of(page), name
    assert User.objects.get(pk=root.pk).is_active
    page = boss.get(reverse("person-disable", args=[root.pk])).content.decode()
    assert re.search(r'<button class="btn btn-danger" type="submit" disabled>', page)


def test_nobody_is_found_by_a_number_that_is_none(boss: Client) -> None:
    assert boss.get(reverse("person", args=[999])).status_code == 404


# --- Making one -------------------------------------------------------------------------------------------------------
def test_what_each_role_may_do_stands_beside_it(boss: Client) -> None:
    text = text_of(boss.get(NEW))
    position = 0
    for name, rights in ROLES.items():
        position = text.index(f" {name} ", position)
        for right in rights:
            assert right not in MAY or MAY[right] in text[position:]
    assert "All clusters Also those that are registered later" in text


def test_a_user_is_made_and_logs_in(boss: Client, cluster: Cluster) -> None:
    response = boss.post(NEW, data(VIEWER, limited="some", clusters=[cluster.pk], email="c@example.org"))
    page = response.content.decode()
    password = shown_password(page)
    assert "User carla created" in page and "shown this once" in page
    assert "no-store" in response["Cache-Control"]
    carla = User.objects.get(username="carla")
    for url in (LIST, reverse("person", args=[carla.pk]), "/admin/tasks/auditevent/"):
        assert password not in boss.get(url).content.decode()
    assert password not in str(AuditEvent.objects.values())
    client = Client()
    assert client.post("/login/", {"username": "carla", "password": password})["Location"] == "/"
    assert client.get("/backups/")["Location"] == reverse("password")
    new = {"new_password1": "a-password-of-carla", "new_password2": "a-password-of-carla"}
    assert client.post(reverse("password"), new).status_code == 302
    assert client.get(reverse("cluster", args=[cluster.pk])).status_code == 200


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"username": ""}, "Give the user a name to log in with."),
        ({"username": "two words"}, "Use letters, digits and @ . + - _ only."),
        ({"username": "Administrator"}, "Another user is already called Administrator."),
        ({"email": "nobody"}, "Give a mail address such as anna@example.org."),
        ({"limited": ""}, "Choose All clusters or Only these clusters."),
        ({"limited": "some"}, "Choose at least one cluster, or choose All clusters."),
    ],
)
def test_bad_input_names_the_field_and_the_cure(changes: dict[str, Any], words: str, boss: Client) -> None:
    page = text_of(boss.post(NEW, data(VIEWER) | changes))
    assert words in page and "Error: Create a user" in page
    assert User.objects.count() == 1


def test_a_name_that_was_taken_meanwhile(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    boss.post(NEW, data(VIEWER))
    monkeypatch.setattr("tasks.forms.person.PersonForm.clean_username", lambda form: "carla")
    page = text_of(boss.post(NEW, data(VIEWER)))
    assert "Another user is already called carla. Choose a different name." in page


# --- Changing one -----------------------------------------------------------------------------------------------------
def test_a_change(boss: Client, person: MakePerson, cluster: Cluster) -> None:
    anna = person(VIEWER, "anna")
    address = reverse("person-edit", args=[anna.pk])
    page = boss.get(address).content.decode()
    assert 'name="version" value="1"' in page and 'name="username"' not in page
    wanted = data(OPERATOR, limited="some", clusters=[cluster.pk], first_name="Anna", version=1)
    assert "User anna saved." in text_of(boss.post(address, wanted, follow=True))
    anna.refresh_from_db()
    assert (anna.first_name, [role.name for role in anna.groups.all()]) == ("Anna", [OPERATOR])
    assert list(anna.person.clusters.all()) == [cluster]


def test_two_people_change_one_person(boss: Client, person: MakePerson, cluster: Cluster) -> None:
    anna = person(VIEWER, "anna")
    address = reverse("person-edit", args=[anna.pk])
    boss.post(address, data(OPERATOR, version=1))
    mine = data(VIEWER, limited="some", clusters=[cluster.pk], first_name="Mine", version=1)
    response = boss.post(address, mine)
    text = text_of(response)
    assert response.status_code == 409
    assert "First name differs Mine Empty" in text and "Roles differs Viewer Operator" in text
    assert "Clusters differs plant All clusters" in text and "Mail address Empty Empty" in text
    hidden: dict[str, Any] = {}
    for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', response.content.decode()):
        hidden.setdefault(name, []).append(value)
    assert hidden["version"] == ["2"]
    editing = boss.post(address, hidden | {"keep_editing": "1"}).content.decode()
    assert 'value="Mine"' in editing and "is-invalid" not in editing
    assert boss.post(address, hidden).status_code == 302
    assert User.objects.get(pk=anna.pk).first_name == "Mine"


# --- Password, disable, enable ----------------------------------------------------------------------------------------
def test_a_new_password_is_asked_for_and_shown_once(boss: Client, person: MakePerson) -> None:
    anna = person(VIEWER, "anna")
    there = Client()
    there.post("/login/", {"username": "anna", "password": PASSWORD})
    address = reverse("person-password", args=[anna.pk])
    text = text_of(boss.get(address))
    assert "Set a new password for anna?" in text and "1 open session ends at once" in text
    assert User.objects.get(pk=anna.pk).check_password(PASSWORD)
    response = boss.post(address)
    assert "no-store" in response["Cache-Control"]
    password = shown_password(response.content.decode())
    assert User.objects.get(pk=anna.pk).check_password(password)
    assert there.get("/backups/").status_code == 302
    client = Client()
    client.post("/login/", {"username": "anna", "password": password})
    assert client.get("/backups/")["Location"] == reverse("password")


def test_disabling_is_asked_ends_sessions_and_is_undone(boss: Client, person: MakePerson) -> None:
    anna = person(VIEWER, "anna")
    there = Client()
    there.post("/login/", {"username": "anna", "password": PASSWORD})
    address = reverse("person-disable", args=[anna.pk])
    assert "1 open session ends at once" in text_of(boss.get(address))
    assert User.objects.get(pk=anna.pk).is_active
    assert "anna is disabled and cannot log in." in text_of(boss.post(address, follow=True))
    assert there.get("/backups/").status_code == 302
    assert there.post("/login/", {"username": "anna", "password": PASSWORD}).status_code == 200
    page = boss.post(reverse("person-enable", args=[anna.pk]), follow=True)
    assert "anna is active again" in text_of(page)
    assert there.get("/backups/").status_code == 302, "the old session must not come back"
    assert not PersonSession.objects.filter(user=anna).exists()
