"""The sentence that the homepage opens with. Pure."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.home.verdict import in_letters, last_day, listed, verdict
from tasks.states import RunState


@pytest.mark.parametrize(
    ("counts", "names", "others", "attention", "says"),
    [
        ((4, 3), ["plant-west"], 0, 5, "Three of four clusters are protected. plant-west needs you."),
        ((4, 2), ["a", "b"], 0, 5, "Two of four clusters are protected. a and b need you."),
        ((9, 4), ["a", "b"], 3, 5, "Four of nine clusters are protected. a, b and three others need you."),
        ((9, 6), ["a", "b"], 1, 5, "Six of nine clusters are protected. a, b and one other need you."),
        ((4, 1), ["a"], 2, 5, "One of four clusters is protected. a and two others need you."),
        ((4, 4), ["a"], 0, 1, "All four clusters are protected. a needs you."),
        ((4, 4), [], 0, 1, "All four clusters are protected. One thing needs attention."),
        ((4, 4), [], 0, 3, "All four clusters are protected. Three things need attention."),
        ((4, 4), [], 0, 0, "All four clusters are protected."),
        ((2, 2), [], 0, 0, "Both clusters are protected."),
        ((2, 0), ["a", "b"], 0, 2, "Neither of the two clusters is protected. a and b need you."),
        ((3, 0), ["a", "b"], 1, 2, "None of the three clusters is protected. a, b and one other need you."),
        ((2000, 1999), ["a"], 0, 1, "1,999 of 2,000 clusters are protected. a needs you."),
        ((0, 0), [], 0, 0, "No cluster is registered yet."),
    ],
)
def test_the_verdict(counts: tuple[int, int], names: list[str], others: int, attention: int, says: str) -> None:
    assert verdict(*counts, names, others, attention).whole == says


@pytest.mark.parametrize(
    ("protected", "names", "attention", "says"),
    [
        (1, [], 0, "plant is protected."),
        (1, [], 2, "plant is protected. Two things need attention."),
        (1, ["plant"], 2, "plant is protected, and needs you."),
        (0, ["plant"], 2, "plant is not protected."),
        (0, [], 2, "plant is not protected."),
    ],
)
def test_one_cluster_is_called_by_its_name(protected: int, names: list[str], attention: int, says: str) -> None:
    assert verdict(1, protected, names, 0, attention, only="plant").whole == says


def test_silent_workers_come_before_everything() -> None:
    assert verdict(4, 4, [], 0, 1, silent=True).whole == "No backup starts: the workers are silent."


@pytest.mark.parametrize(
    ("ended", "says"),
    [
        ({}, "no run ended"),
        ({RunState.SUCCESSFUL: 1}, "1 run, successful"),
        ({RunState.SUCCESSFUL: 12}, "12 runs, all successful"),
        (
            {RunState.SUCCESSFUL: 3700, RunState.WARNINGS: 1, RunState.FAILED: 2, RunState.POSTPONED: 1},
            "3,704 runs, 3,700 successful, 1 with warnings, 2 failed, 1 postponed",
        ),
    ],
)
def test_how_the_last_day_went(ended: Any, says: str) -> None:
    assert last_day(ended) == says


def test_numbers_and_names() -> None:
    assert [in_letters(number) for number in (0, 1, 12, 13, 1300)] == ["no", "one", "twelve", "13", "1,300"]
    assert (listed([]), listed(["a"]), listed(["a", "b"]), listed(["a", "b"], True)) == ("", "a", "a and b", "a, b")
