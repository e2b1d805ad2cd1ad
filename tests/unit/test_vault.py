"""Secrets at rest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.vault import KeyLost, needs_resealing, seal, unseal


@given(secrets=st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=3))
def test_what_goes_in_comes_out(secrets: dict[str, str]) -> None:
    assert unseal(seal(secrets, "backup task 7"), "backup task 7") == secrets


def test_nothing_of_the_secret_is_seen() -> None:
    stored = seal({"password": "hunter2-hunter2"}, "backup task 7")
    assert "hunter2" not in stored
    assert stored != seal({"password": "hunter2-hunter2"}, "backup task 7")


def test_a_ciphertext_copied_to_another_row_does_not_open() -> None:
    with pytest.raises(KeyLost):
        unseal(seal({"password": "p"}, "backup task 7"), "backup task 8")


def test_a_changed_ciphertext_does_not_open() -> None:
    stored = seal({"password": "p"}, "row")
    for place in range(3, len(stored)):
        changed = stored[:place] + ("A" if stored[place] != "A" else "B") + stored[place + 1 :]
        if changed.rstrip("=")[:-1] == stored.rstrip("=")[:-1]:
            continue  # the last letter of base64 carries bits that count for nothing
        with pytest.raises(KeyLost):
            unseal(changed, "row")


@pytest.mark.parametrize("stored", ["x", "v1.x", "v1.a.b", "v2.a.b", "v1..", "v1.a.%%%"])
def test_rubbish_is_a_lost_key_not_a_crash(stored: str) -> None:
    with pytest.raises(KeyLost, match="key for secrets"):
        unseal(stored, "row")


def test_a_new_key_in_front_still_opens_the_old(settings: Any) -> None:
    settings.SECRETS_KEYS = ["old"]
    stored = seal({"password": "p"}, "row")
    settings.SECRETS_KEYS = ["new", "old"]
    assert unseal(stored, "row") == {"password": "p"}
    assert needs_resealing(stored)
    again = seal(unseal(stored, "row"), "row")
    assert not needs_resealing(again)
    settings.SECRETS_KEYS = ["new"]
    assert unseal(again, "row") == {"password": "p"}
    with pytest.raises(KeyLost):
        unseal(stored, "row")
