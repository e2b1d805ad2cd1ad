"""Figures as people read them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tasks.units import format_distance, format_duration, format_size, format_speed


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (12_345, "12.3 kB"),
        (612_000_000, "612 MB"),
        (999_600, "1.00 MB"),
        (1_810_000_000, "1.81 GB"),
        (9_999_999, "10.0 MB"),
        (10**18, "1000 PB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert format_size(count) == text


def test_speed() -> None:
    assert format_speed(24_600_000) == "24.6 MB/s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "under 1 s"),
        (9, "9 s"),
        (59.6, "1 min"),
        (72, "1 min 12 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (3601, "1 h"),
        (90_000, "1 day 1 h"),
        (200_000, "2 days 7 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
    assert format_duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "under 1 min"), (-65, "1 min"), (66_000, "18 h 20 min"), (3 * 86_400, "3 days")]
)
def test_distances(seconds: float, text: str) -> None:
    assert format_distance(seconds) == text
