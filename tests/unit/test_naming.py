"""Names as the seed has them, and names that no destination trips over."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.naming import (
    directory_name,
    file_name,
    manifest_name,
    name_problem,
    partial_name,
    partial_owner,
)

BERLIN = ZoneInfo("Europe/Berlin")
MOMENT = datetime(2026, 11, 24, 1, 0, 5, tzinfo=UTC)


def test_directory_and_file_are_the_seeds() -> None:
    assert directory_name("iotdb-east-daily", MOMENT, BERLIN) == "iotdb-east-daily_20261124020005"
    assert file_name("2.0.1-beta", "IoTDB-1", MOMENT, BERLIN) == "2.0.1-beta_IoTDB-1_20261124020005.tar.gz"


@pytest.mark.parametrize("name", ["a", "iotdb-east_daily.2", "0", "A" * 64])
def test_good_names(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a/b", "..", ".", ".hidden", "-x", "_x", "a" * 65, "naïve", "a\n", "a\0", "con", "NUL.x", "a."],
)
def test_bad_names_say_why(name: str) -> None:
    problem = name_problem(name)
    assert problem
    assert problem[0].isupper() or problem.startswith(name)


@given(version=st.text(max_size=30), source=st.text(max_size=30))
def test_file_names_are_safe_and_have_three_parts_whatever_comes_in(version: str, source: str) -> None:
    name = file_name(version, source, MOMENT, BERLIN)
    assert re.fullmatch(r"[A-Za-z0-9.-]+_[A-Za-z0-9.-]+_\d{14}\.tar\.gz", name)
    assert not name.startswith(".")


@given(run=st.integers(1, 10**12), attempt=st.integers(1, 99))
def test_partial_names_are_hidden_and_tell_their_run(run: int, attempt: int) -> None:
    name = partial_name("2.0.1-beta_IoTDB_20261124020005.tar.gz", run, attempt)
    assert name.startswith(".")
    assert partial_owner(name) == run


@pytest.mark.parametrize("name", ["x.partial-1", ".x.partial-", ".x.partial-1a", ".partial-1", "2.0_IoTDB_1.tar.gz"])
def test_foreign_names_are_not_taken_for_ours(name: str) -> None:
    assert partial_owner(name) is None


def test_the_manifest_lies_beside() -> None:
    assert manifest_name("a.tar.gz") == "a.tar.gz.manifest.json"
