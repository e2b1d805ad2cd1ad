"""Progress in words: per cent, time left, amount, speed, places in line."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.progress import place_in_line, progress_of


def test_a_run_under_way_tells_all_four_figures() -> None:
    progress = progress_of(1_116_000_000, 1_800_000_000, timedelta(seconds=44))
    assert progress.per_cent == 62
    assert progress.left == "27 s left"
    assert progress.amount == "1.12 of 1.80 GB"
    assert progress.speed == "25.4 MB/s"


def test_without_an_estimate_nothing_is_promised() -> None:
    progress = progress_of(5_000_000, 0, timedelta(seconds=10))
    assert progress.per_cent is None
    assert progress.left == ""
    assert progress.amount == "5.00 MB read"


def test_the_first_seconds_give_no_speed() -> None:
    progress = progress_of(1_000_000, 9_000_000, timedelta(seconds=1))
    assert (progress.left, progress.speed) == ("", "")


def test_everything_read_is_not_done_yet() -> None:
    progress = progress_of(9_000_000, 9_000_000, timedelta(seconds=3))
    assert (progress.per_cent, progress.left) == (99, "finishing")


def test_a_source_that_grew_does_not_go_past_the_whole() -> None:
    progress = progress_of(12_000_000, 9_000_000, timedelta(seconds=3))
    assert progress.per_cent == 99
    assert progress.amount == "12.0 of 12.0 MB"


def test_different_units_are_both_said() -> None:
    assert progress_of(612_000, 1_800_000_000, timedelta(0)).amount == "612 kB of 1.80 GB"


@given(st.integers(0, 10**15), st.integers(0, 10**15), st.floats(0, 10**6))
def test_any_figures_give_words(read: int, expected: int, seconds: float) -> None:
    progress = progress_of(read, expected, timedelta(seconds=seconds))
    assert progress.per_cent is None or 0 <= progress.per_cent <= 99
    assert progress.amount


@pytest.mark.parametrize(
    ("place", "words"),
    [(1, "First in line"), (2, "2nd in line"), (3, "3rd in line"), (4, "4th in line"), (11, "11th in line"),
     (12, "12th in line"), (13, "13th in line"), (21, "21st in line"), (112, "112th in line")],
)  # fmt: skip
def test_places_in_line(place: int, words: str) -> None:
    assert place_in_line(place) == words
