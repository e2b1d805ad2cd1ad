"""Whether an IoTDB is what an inventory says."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.iotdb.base import COUNTS, Summary
from tasks.iotdb.compare import compared, not_compared, unequal, unsteady

EXPECTED = Summary(
    counts={"databases": 2, "tables": 1, "series": 100, "users": 2},
    names={"databases": ["root.a", "root.b"], "tables": ["m.t"], "users": ["anna", "root"]},
    series_of={"root.a": 60, "root.b": 40},
    rights={"user anna": "1", "user root": "2"},
)


def test_what_came_back_as_it_was_is_equal() -> None:
    assert unequal(EXPECTED, EXPECTED) == []
    assert compared(EXPECTED, EXPECTED) == 4
    assert not_compared(EXPECTED, EXPECTED) == []


def test_each_count_name_and_right_that_differs_has_a_sentence() -> None:
    found = Summary(
        counts={"databases": 2, "tables": 0, "series": 61, "users": 2},
        names={"databases": ["root.a", "root.c"], "tables": [], "users": ["anna", "root"]},
        series_of={"root.a": 60, "root.b": 1},
        rights={"user anna": "9", "user root": "2"},
    )
    assert unequal(EXPECTED, found) == [
        "Databases: missing root.b; new root.c.",
        "Tables: 1 expected, 0 found; missing m.t.",
        "Time series: 100 expected, 61 found.",
        "Time series of root.b: 40 expected, 1 found.",
        "The rights of the user anna are not as expected.",
    ]


def test_what_one_side_could_not_ask_is_passed_over_and_named() -> None:
    found = Summary(counts={"series": 100})
    assert unequal(EXPECTED, found) == []
    assert compared(EXPECTED, found) == 1
    assert not_compared(EXPECTED, found) == ["Databases", "Tables", "Users"]


def test_a_count_that_changed_while_the_copy_was_made_may_lie_between() -> None:
    after = replace(EXPECTED, counts={**EXPECTED.counts, "series": 130}, series_of={"root.a": 90, "root.b": 40})
    expected = replace(EXPECTED, unsteady=unsteady(EXPECTED, after))
    assert expected.unsteady == {"series": 130, "series of root.a": 90}
    for total, of_a in ((100, 60), (117, 77), (130, 90)):
        found = replace(EXPECTED, counts={**EXPECTED.counts, "series": total}, series_of={"root.a": of_a, "root.b": 40})
        assert unequal(expected, found) == []
    found = replace(EXPECTED, counts={**EXPECTED.counts, "series": 131}, series_of={"root.a": 91, "root.b": 40})
    assert unequal(expected, found) == [
        "Time series: 100 expected, 131 found.",
        "Time series of root.a: 60 expected, 91 found.",
    ]


def test_names_that_changed_while_the_copy_was_made_are_not_compared() -> None:
    after = replace(EXPECTED, names={**EXPECTED.names, "tables": ["m.u"]})
    expected = replace(EXPECTED, unsteady=unsteady(EXPECTED, after))
    assert expected.unsteady == {"tables": 1}
    assert unequal(expected, after) == []
    assert unequal(EXPECTED, after) == ["Tables: missing m.t; new m.u."]


def test_rights_that_changed_while_the_copy_was_made_are_not_compared() -> None:
    after = replace(EXPECTED, rights={"user anna": "other", "user root": "2"})
    expected = replace(EXPECTED, unsteady=unsteady(EXPECTED, after))
    assert unequal(expected, after) == []


def test_long_lists_of_names_are_cut() -> None:
    expected = Summary(counts={"tables": 9}, names={"tables": [f"m.t{number}" for number in range(9)]})
    found = Summary(counts={"tables": 0}, names={"tables": []})
    assert unequal(expected, found) == ["Tables: 9 expected, 0 found; missing m.t0, m.t1, m.t2, m.t3, m.t4 and 4 more."]


counts = st.dictionaries(st.sampled_from(sorted(COUNTS)), st.integers(0, 10**6))


@settings(deadline=None)
@given(counts, counts, counts)
def test_a_count_outside_both_values_never_passes_and_one_between_always_does(
    before: dict[str, int], after: dict[str, int], found: dict[str, int]
) -> None:
    expected = Summary(counts=before, unsteady=unsteady(Summary(counts=before), Summary(counts=after)))
    sentences = unequal(expected, Summary(counts=found))
    for kind in before.keys() & found.keys():
        low, high = sorted((before[kind], after.get(kind, before[kind])))
        told = any(sentence.startswith(f"{COUNTS[kind]}: ") for sentence in sentences)
        assert told is not (low <= found[kind] <= high)
