"""What became of an IoTDB between two inventories."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tasks.iotdb.base import COUNTS, NAMED, Summary
from tasks.iotdb.difference import LIST_LIMIT, alarming, difference, difference_words

BEFORE = Summary(
    version="2.0.1-beta",
    counts={"databases": 3, "tables": 2, "series": 47806, "devices": 900, "users": 2, "roles": 1},
    names={
        "databases": ["metering", "root.plant1", "root.plant2"],
        "tables": ["metering.a", "metering.b"],
        "users": ["anna", "root"],
        "roles": ["reader"],
    },
    series_of={"root.plant1": 47000, "root.plant2": 806},
    rights={"user anna": "a1", "user root": "r1", "role reader": "x1"},
)


def changed(**changes: object) -> Summary:
    """Return what was before with some fields changed; counts follow the names."""
    after = replace(BEFORE, **changes)  # type: ignore[arg-type]
    counts = dict(BEFORE.counts) | {kind: len(found) for kind, found in after.names.items()} | dict(after.counts)
    if "counts" not in changes:
        counts |= {kind: len(found) for kind, found in after.names.items()}
    return replace(after, counts=counts)


def test_two_equal_inventories_have_no_difference() -> None:
    assert difference(BEFORE, BEFORE) == {}
    assert difference_words({}) == "No change"


def test_growth_is_told_in_figures_and_alarms_nobody() -> None:
    after = changed(
        counts={"series": 48212},
        names={**BEFORE.names, "databases": [*BEFORE.names["databases"], "root.plant3"]},
    )
    after = replace(after, counts={**after.counts, "databases": 4})
    changes = difference(BEFORE, after)
    assert changes == {
        "counts": {"databases": [3, 4], "series": [47806, 48212]},
        "added": {"databases": ["root.plant3"]},
    }
    assert difference_words(changes) == "+1 database, +406 series"
    assert alarming(changes, BEFORE, after) == []


def test_loss_is_told_with_a_real_minus() -> None:
    after = changed(names={**BEFORE.names, "tables": []})
    changes = difference(BEFORE, after)
    assert changes["gone"] == {"tables": ["metering.a", "metering.b"]}
    assert difference_words(changes) == "−2 tables"


def test_a_swap_of_names_is_a_difference_although_the_number_is_the_same() -> None:
    after = changed(names={**BEFORE.names, "tables": ["metering.a", "metering.c"]})
    assert difference_words(difference(BEFORE, after)) == "+1 table, −1 table"


def test_changed_rights_name_the_account() -> None:
    after = changed(rights={"user anna": "a2", "user root": "r1", "role reader": "x2"})
    changes = difference(BEFORE, after)
    assert changes == {"changed": {"users": ["anna"], "roles": ["reader"]}}
    assert difference_words(changes) == "rights of 1 user changed, rights of 1 role changed"


def test_what_only_one_of_the_two_knows_is_no_difference() -> None:
    blind = Summary(version="2.0.1-beta", counts={"tables": 2}, names={"tables": ["metering.a", "metering.b"]})
    assert difference(BEFORE, blind) == {}
    assert difference(blind, BEFORE) == {}


def test_an_upgrade_is_told() -> None:
    assert difference_words(difference(BEFORE, replace(BEFORE, version="2.0.2"))) == "version 2.0.1-beta → 2.0.2"


def test_a_list_ends_at_its_limit_and_the_true_number_is_kept() -> None:
    many = [f"metering.t{number:05}" for number in range(LIST_LIMIT + 500)]
    after = replace(BEFORE, names={**BEFORE.names, "tables": many}, counts={**BEFORE.counts, "tables": len(many)})
    changes = difference(BEFORE, after)
    assert len(changes["added"]["tables"]) == LIST_LIMIT
    assert changes["left_off"] == {"added": {"tables": 500}}
    assert difference_words(changes) == "+1,500 tables, −2 tables"
    assert json.loads(json.dumps(changes)) == changes


def test_a_database_that_held_something_and_is_gone_alarms() -> None:
    after = replace(
        changed(names={**BEFORE.names, "databases": ["root.plant1"], "tables": []}),
        series_of={"root.plant1": 47000},
    )
    assert alarming(difference(BEFORE, after), BEFORE, after) == [
        "The database metering is gone; it held 2 tables.",
        "The database root.plant2 is gone; it held 806 series.",
    ]


def test_an_empty_database_that_is_gone_alarms_nobody() -> None:
    before = replace(BEFORE, series_of={"root.plant1": 47000, "root.plant2": 0})
    after = changed(names={**BEFORE.names, "databases": ["metering", "root.plant1"]})
    assert alarming(difference(before, after), before, after) == []


@pytest.mark.parametrize(
    ("was", "now", "alarms"),
    [
        (1000, 900, False),
        (1000, 899, True),
        (50, 41, False),
        (50, 40, True),
        (10, 0, True),
        (9, 0, False),
        (5, 500, False),
    ],
)
def test_more_than_a_tenth_and_at_least_ten_gone_alarm(was: int, now: int, alarms: bool) -> None:
    before, after = Summary(counts={"devices": was}), Summary(counts={"devices": now})
    assert bool(alarming(difference(before, after), before, after)) is alarms


def test_one_database_that_lost_much_alarms_although_all_in_all_little_is_gone() -> None:
    after = replace(
        BEFORE, series_of={"root.plant1": 47000, "root.plant2": 6}, counts={**BEFORE.counts, "series": 47006}
    )
    assert alarming(difference(BEFORE, after), BEFORE, after) == [
        "root.plant2 has 6 series; it had 806 (99 % are gone)."
    ]


def test_a_user_or_role_that_is_gone_alarms() -> None:
    after = changed(names={**BEFORE.names, "users": ["root"], "roles": []})
    assert alarming(difference(BEFORE, after), BEFORE, after) == [
        "The user anna is gone.",
        "The role reader is gone.",
    ]


def test_a_hundred_users_gone_do_not_fill_the_log() -> None:
    before = Summary(counts={"users": 100}, names={"users": [f"user{number:03}" for number in range(100)]})
    after = Summary(counts={"users": 0}, names={"users": []})
    sentences = alarming(difference(before, after), before, after)
    assert len(sentences) == 11
    assert sentences[-1] == "And 90 more of this kind."


def test_every_kind_that_is_counted_has_words() -> None:
    for kind in COUNTS:
        before, after = Summary(counts={kind: 5}), Summary(counts={kind: 6})
        assert difference_words(difference(before, after)).startswith("+1 ")
    assert set(NAMED) <= set(COUNTS)
