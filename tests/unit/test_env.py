"""Whole numbers from the environment."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from backupconsole.env import env_int


@pytest.mark.parametrize(("text", "number"), [("31", 31), ("0", 0), ("", 400)])
def test_a_number_may_be_at_least_so_much_or_0(monkeypatch: pytest.MonkeyPatch, text: str, number: int) -> None:
    monkeypatch.setenv("RECORDS_DAYS", text)
    assert env_int("RECORDS_DAYS", 400, least=31, or_zero=True) == number


def test_what_is_refused_is_named_with_what_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, said in (
        ("30", "RECORDS_DAYS: 30 is less than 31, and not 0."),
        ("-1", "RECORDS_DAYS: -1 is less than 31, and not 0."),
        ("a year", "RECORDS_DAYS: 'a year' is not a whole number."),
    ):
        monkeypatch.setenv("RECORDS_DAYS", text)
        with pytest.raises(ImproperlyConfigured) as refused:
            env_int("RECORDS_DAYS", 400, least=31, or_zero=True)
        assert str(refused.value) == said
    monkeypatch.setenv("RECORDS_DAYS", "0")
    with pytest.raises(ImproperlyConfigured, match="RECORDS_DAYS: 0 is less than 1"):
        env_int("RECORDS_DAYS", 400, least=1)
