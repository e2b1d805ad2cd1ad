"""Zones by their clocks."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tasks.zones import same_clock

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("UTC", "Etc/UTC", True),
        ("Europe/Berlin", "Europe/Paris", True),
        ("Europe/London", "UTC", False),
        ("Africa/Abidjan", "Europe/London", False),
        ("Asia/Tokyo", "Europe/Berlin", False),
    ],
)
def test_clocks_are_compared_in_every_season(one: str, other: str, same: bool) -> None:
    assert same_clock(ZoneInfo(one), ZoneInfo(other), NOW) is same
