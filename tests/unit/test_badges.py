"""The badge of the list: the strongest proof that holds, and a warning where none does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.badges import badge
from tasks.models import BackupTask

NOW = datetime(2026, 6, 20, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def shown(**fields: Any) -> tuple[str, str, str]:
    found = badge(BackupTask(**{"check_after_days": 7, **fields}), NOW)
    return found.word, found.css.removeprefix("proof").strip(), found.why


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({}, "Not read back"),
        ({"last_verified_at": NOW - DAY}, "Verified"),
        ({"last_verified_at": NOW, "last_checked_at": NOW - DAY}, "Checked"),
        ({"last_verified_at": NOW, "last_checked_at": NOW, "last_rehearsed_at": NOW - 3 * DAY}, "Rehearsed"),
    ],
)
def test_the_strongest_proof_is_shown(fields: dict[str, Any], word: str) -> None:
    assert shown(**fields) == (word, "proof-ok" if fields else "", "")


def test_a_rehearsal_is_said_in_full() -> None:
    found = badge(BackupTask(last_rehearsed_at=NOW - 3 * DAY - timedelta(hours=5)), NOW)
    assert (found.full, found.icon) == ("Restorable, proven by rehearsal 3 days ago", "rehearsed")


def test_a_proof_that_is_too_old_gives_way_to_one_that_holds() -> None:
    assert shown(last_checked_at=NOW - 30 * DAY, last_verified_at=NOW - DAY) == ("Verified", "proof-ok", "")
    rehearsed = {"last_rehearsed_at": NOW - 40 * DAY, "rehearse_after_days": 30}
    assert shown(**rehearsed, last_checked_at=NOW - DAY) == ("Checked", "proof-ok", "")


def test_where_none_holds_the_strongest_is_a_warning() -> None:
    fields = {"last_checked_at": NOW - 9 * DAY, "last_verified_at": NOW - 8 * DAY}
    assert shown(**fields) == ("Checked", "proof-warn", "The limit is 7 days.")
    late = shown(last_rehearsed_at=NOW - 2 * DAY, rehearse_after_days=1)
    assert late == ("Rehearsed", "proof-warn", "The limit is 1 day.")


def test_a_proof_that_is_just_due_is_not_too_old_yet() -> None:
    assert shown(last_checked_at=NOW - 7 * DAY - timedelta(minutes=59))[1] == "proof-ok"
    assert shown(last_checked_at=NOW - 7 * DAY - timedelta(minutes=61))[1] == "proof-warn"


def test_without_a_limit_nothing_is_too_old() -> None:
    assert shown(last_verified_at=NOW - 900 * DAY, check_after_days=None)[1] == "proof-ok"


def test_a_problem_is_a_warning_whatever_was_proven() -> None:
    problem = "The set of 2026-06-18 03:00 +00:00 is damaged. It has 0 of 12 bytes."
    assert shown(last_rehearsed_at=NOW, proof_problem=problem) == ("Rehearsed", "proof-warn", problem)
    assert shown(proof_problem=problem) == ("Not read back", "proof-warn", problem)


def test_a_clock_that_was_ahead_makes_no_negative_age() -> None:
    assert badge(BackupTask(last_checked_at=NOW + DAY), NOW).full == "Every byte checked just now"
