"""SFTP's form besides the seed: the confirmed host key, and a private key instead of a password."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import paramiko
import pytest

from storage.fields import HostKeyField
from storage.registry import get_path_type
from storage.sftp.form import CONFIRM_AGAIN, CONFIRM_FIRST
from tests.unit.test_storage_forms import GOOD, HOST_KEY, error_of, form_of


@cache
def private_key(passphrase: str = "") -> str:
    """Return a fresh private key as it is pasted."""
    text = io.StringIO()
    paramiko.ECDSAKey.generate().write_private_key(text, passphrase or None)
    return text.getvalue()


# --- Host key -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", ["", None, "nonsense", "ssh-ed25519 SHA256:short", HOST_KEY + ' "><script>'])
def test_without_a_confirmed_key_nothing_is_saved(value: str | None) -> None:
    assert error_of("SFTP", "host_key", host_key=value) == CONFIRM_FIRST


@pytest.mark.parametrize("change", [{"server_ip": "fd12:20::19"}, {"port": 2222}])
def test_a_key_counts_for_the_server_that_it_was_confirmed_for(change: dict[str, Any]) -> None:
    assert error_of("SFTP", "host_key", **change) == CONFIRM_AGAIN


def test_the_stored_key_is_in_the_page_with_its_server() -> None:
    stored = GOOD["SFTP"] | {"host_key": HOST_KEY}
    form = get_path_type("SFTP").form_class(initial=stored, stored=True)
    page = form.as_p()
    assert f'value="{HostKeyField.bind(HOST_KEY, "fd12:20::18", 22)}"' in page
    assert f'<code class="mono">{HOST_KEY}</code>' in page


def test_a_key_that_was_never_confirmed_is_shown_as_such() -> None:
    assert "Not confirmed yet" in get_path_type("SFTP").form_class().as_p()


# --- Private key ----------------------------------------------------------------------------------------------------
def test_a_private_key_takes_the_place_of_the_password() -> None:
    form = form_of("SFTP", password=None, private_key=private_key().replace("\n", "\r\n"))
    assert form.is_valid(), form.errors
    assert form.cleaned_data["private_key"] == private_key()
    assert "PRIVATE KEY" not in form.as_p()


def test_a_locked_key_needs_its_passphrase() -> None:
    key = private_key("open sesame")
    assert form_of("SFTP", password=None, private_key=key, passphrase="open sesame").is_valid()
    assert "passphrase" in error_of("SFTP", "private_key", password=None, private_key=key)
    assert "passphrase" in error_of("SFTP", "private_key", password=None, private_key=key, passphrase="wrong")


def test_what_is_no_key_is_told_of() -> None:
    assert error_of("SFTP", "private_key", password=None, private_key="hello").startswith("The private key cannot be")


def test_password_and_key_together_are_refused() -> None:
    assert "Give one of the two" in error_of("SFTP", "private_key", private_key=private_key())


def test_a_passphrase_alone_opens_nothing() -> None:
    assert "no private key" in error_of("SFTP", "passphrase", passphrase="x")


def test_a_new_server_is_logged_in_to_with_the_new_key() -> None:
    key = f"{HOST_KEY} fd12:20::99 22"
    stored = GOOD["SFTP"] | {"host_key": HOST_KEY}
    moved = {"server_ip": "fd12:20::99", "host_key": key, "password": ""}
    assert "password" in form_of("SFTP", stored=True, initial=stored, **moved).errors
    assert form_of("SFTP", stored=True, initial=stored, **moved, private_key=private_key()).is_valid()


@pytest.mark.parametrize(
    ("typed", "result"),
    [
        ({}, {"private_key": "K", "passphrase": "P"}),
        ({"password": "p"}, {"password": "p"}),
        ({"private_key": "L"}, {"private_key": "L"}),
        ({"passphrase": "Q"}, {"private_key": "K", "passphrase": "Q"}),
    ],
)
def test_only_one_way_to_log_in_is_stored(typed: dict[str, str], result: dict[str, str]) -> None:
    stored = {"private_key": "K", "passphrase": "P"}
    assert get_path_type("SFTP").merge_secrets(stored, typed) == result
