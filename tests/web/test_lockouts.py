"""What a person sees who is locked out, and how an administrator lets them try again."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from tasks import services
from tasks.audit import Actor
from tasks.errors import Refused
from tasks.lockout.standing import lockouts_of, minutes_left
from tasks.models import AuditEvent, Lockout
from tasks.permissions import ADMINISTRATOR, OPERATOR
from tests.conftest import PASSWORD, Login
from tests.web.list_kit import squeezed

pytestmark = pytest.mark.django_db
ADDRESS = "203.0.113.9"


def try_in_vain(name: str = "operator", times: int = 5, address: str = ADDRESS) -> Any:
    """Give so many wrong passwords, and return the last answer."""
    client = Client()
    for _ in range(times):
        response = client.post("/login/", {"username": name, "password": "wrong"}, REMOTE_ADDR=address)
    return response


def read(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return squeezed(response.content.decode())


def actor(user: User) -> Actor:
    return Actor(user.username, user)


def run(*arguments: str) -> tuple[str, str]:
    out = io.StringIO()
    try:
        call_command("endlockout", *arguments, stdout=out)
    except CommandError as error:
        return out.getvalue(), str(error)
    return out.getvalue(), ""


# --- The login page ---------------------------------------------------------------------------------------------------
def test_the_login_page_says_when_to_try_again_and_who_can_help(operator: User) -> None:
    assert try_in_vain(times=4).status_code == 200
    response = try_in_vain(times=1)
    text = squeezed(response.content.decode())
    assert (response.status_code, response["Retry-After"]) == (429, "900")
    for words in ("Error: log in", "Try again in 15 min", "An administrator can end this sooner", "endlockout"):
        assert words in text, words
    assert 'value="operator"' in text and "wrong" not in text.replace("wrong passwords", "")
    assert "Username or password is wrong" not in text


def test_an_address_that_is_locked_out_is_told_so(settings: Any, operator: User) -> None:
    settings.LOCKOUT_ADDRESS_FAILURES = 3
    text = squeezed(try_in_vain(times=3).content.decode())
    assert "came from your address" in text


def test_minutes_are_rounded_up() -> None:
    now = timezone.now()
    for seconds, minutes in ((900, 15), (899, 15), (61, 2), (60, 1), (1, 1), (-5, 1)):
        assert minutes_left(Lockout(until=now + timedelta(seconds=seconds)), now) == minutes


def test_the_login_of_djangos_admin_is_locked_out_as_well(operator: User) -> None:
    try_in_vain()
    data = {"username": "operator", "password": PASSWORD}
    assert Client().post("/admin/login/", data, REMOTE_ADDR=ADDRESS).status_code == 429


def test_django_axes_has_no_pages_of_its_own(login: Login) -> None:
    client = login(ADMINISTRATOR)
    User.objects.update(is_superuser=True, is_staff=True)
    for name in ("accessattempt", "accesslog", "accessfailurelog"):
        assert client.get(f"/admin/axes/{name}/").status_code == 404


# --- Pages of the administrator ---------------------------------------------------------------------------------------
def test_lockouts_are_listed_and_ended(login: Login, operator: User) -> None:
    client = login(ADMINISTRATOR)
    assert "Nobody is locked out" in read(client, "/lockouts/")
    try_in_vain()
    try_in_vain(name="nobody at all")
    Lockout.objects.create(rule="address", address="198.51.100.7", until=timezone.now() + timedelta(minutes=5))
    text = read(client, "/lockouts/")
    for words in ("operator", ADDRESS, "A name that no user has", "Everybody at this address", "198.51.100.7"):
        assert words in text, words
    assert "nobody at all" not in text
    for lockout in Lockout.objects.all():
        assert client.post(f"/lockouts/{lockout.pk}/end/").status_code == 302
    assert "Nobody is locked out" in read(client, "/lockouts/")
    assert not AccessAttempt.objects.exists()
    ended = AuditEvent.objects.filter(verb="end lockout", actor="administrator").order_by("pk")
    assert {event.target for event in ended} == {"operator", "unknown account", "198.51.100.7"}
    assert try_in_vain(times=1).status_code == 200


def test_the_page_of_a_person_says_so_and_lets_them_try_again(login: Login, operator: User) -> None:
    client = login(ADMINISTRATOR)
    page = f"/people/{operator.pk}/"
    assert "Locked out" not in read(client, page)
    try_in_vain()
    assert f"too many wrong passwords at {ADDRESS}" in read(client, page)
    assert client.post(f"{page}lockouts/end/")["Location"] == page
    text = read(client, page)
    assert "operator can try to log in again." in text and "Locked out" not in text
    client.post(f"{page}lockouts/end/")
    assert "operator is not locked out." in read(client, page)


def test_what_is_over_cannot_be_ended(administrator: User) -> None:
    lockout = Lockout.objects.create(rule="address", address="10.0.0.1", until=timezone.now() - timedelta(seconds=1))
    with pytest.raises(Refused, match="over already"):
        services.end_lockout(actor(administrator), lockout)


def test_others_may_not(operator: User, administrator: User) -> None:
    try_in_vain()
    with pytest.raises(PermissionDenied):
        services.end_lockouts(actor(operator), operator)
    with pytest.raises(PermissionDenied):
        services.end_lockout(actor(operator), Lockout.objects.get())
    assert lockouts_of(operator).count() == 1
    assert [lockout.address for lockout in services.end_lockouts(actor(administrator), operator)] == [ADDRESS]


def test_an_operator_does_not_see_the_pages(login: Login) -> None:
    assert login(OPERATOR).get("/lockouts/").status_code == 403


# --- The command line -------------------------------------------------------------------------------------------------
def test_a_person_from_the_command_line(operator: User) -> None:
    try_in_vain()
    try_in_vain(address="198.51.100.7")
    out, failure = run("operator")
    assert failure == ""
    assert f"Ended: the lockout of operator at {ADDRESS}." in out and "198.51.100.7" in out
    assert run("operator") == ("operator is not locked out.\n", "")
    assert AuditEvent.objects.filter(verb="end lockout", actor="console").count() == 2


def test_an_address_from_the_command_line(operator: User) -> None:
    try_in_vain(address="2001:db8::7")
    assert run("--address", "2001:db8::99")[0] == "Ended: the lockout of operator at 2001:db8::.\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Give either the username"),
        (("anna", "--address", ADDRESS), "Give either the username"),
        (("anna",), "There is no user called anna."),
        (("--address", "here"), "is no IP address"),
    ],
)
def test_what_is_missing_or_wrong_is_told(arguments: tuple[str, ...], words: str) -> None:
    assert words in run(*arguments)[1]
