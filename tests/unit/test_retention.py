"""The plan of retention, as laws."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tasks.engine.retention import Plan, SetInfo, plan

START = datetime(2026, 1, 1, tzinfo=UTC)
sets = st.lists(
    st.builds(
        SetInfo,
        run_id=st.integers(1, 10_000),
        taken_at=st.integers(0, 500).map(lambda hours: START + timedelta(hours=hours)),
        whole=st.just(True),
        healthy=st.sampled_from((None, True)),
    ),
    unique_by=lambda one: one.run_id,
    max_size=40,
)
mixed = st.lists(
    st.builds(
        SetInfo,
        run_id=st.integers(1, 10_000),
        taken_at=st.just(START),
        whole=st.booleans(),
        healthy=st.sampled_from((None, True, False)),
    ),
    unique_by=lambda one: one.run_id,
    max_size=40,
)


def test_the_oldest_goes() -> None:
    known = [SetInfo(number, START + timedelta(days=number)) for number in range(1, 5)]
    decided = plan(known, 3)
    assert [one.run_id for one in decided.keep] == [4, 3, 2]
    assert [one.run_id for one in decided.remove] == [1]


@given(known=sets, copies=st.integers(0, 50))
def test_laws(known: list[SetInfo], copies: int) -> None:
    decided = plan(known, copies)
    assert sorted(one.run_id for one in (*decided.keep, *decided.remove)) == sorted(one.run_id for one in known)
    assert len(decided.keep) == min(len(known), max(1, copies))
    if decided.remove:
        assert min(one.run_id for one in decided.keep) > max(one.run_id for one in decided.remove)


@given(known=sets.filter(bool), copies=st.integers(0, 50))
def test_the_newest_is_never_taken(known: list[SetInfo], copies: int) -> None:
    newest = max(known, key=lambda one: one.run_id)
    assert newest in plan(known, copies).keep


@given(known=sets, copies=st.integers(1, 50))
def test_doing_it_twice_changes_nothing(known: list[SetInfo], copies: int) -> None:
    once = plan(known, copies)
    assert plan(once.keep, copies).remove == ()


# --- Sick services, and sets that are not whole ----------------------------------------------------------------------
def known_sets(*kinds: str) -> list[SetInfo]:
    """Return sets from the oldest to the newest: ``h`` healthy, ``s`` sick, ``d`` damaged, ``?`` nobody could ask."""
    health = {"h": True, "s": False, "?": None, "d": None}
    return [SetInfo(number, START, kind != "d", health[kind]) for number, kind in enumerate("".join(kinds), 1)]


def numbers(sets: tuple[SetInfo, ...]) -> list[int]:
    return [one.run_id for one in sets]


def test_a_sick_service_never_pushes_a_healthy_set_out() -> None:
    decided = plan(known_sets("hhh", "sssss"), 3)
    assert numbers(decided.keep) == [8, 7, 6, 3, 2, 1]
    assert numbers(decided.remove) == [5, 4]
    assert decided.sick == 3


def test_healthy_sets_push_sick_ones_out() -> None:
    assert numbers(plan(known_sets("ss", "hhh"), 3).keep) == [5, 4, 3]
    assert numbers(plan(known_sets("sh", "s?"), 2).keep) == [4, 3, 2]


def test_what_nobody_could_ask_counts_as_healthy() -> None:
    assert numbers(plan(known_sets("hh", "??"), 2).keep) == [4, 3]


def test_damaged_sets_count_for_nothing() -> None:
    decided = plan(known_sets("hh", "dd"), 2)
    assert (numbers(decided.keep), numbers(decided.spare), decided.remove) == ([2, 1], [4, 3], ())
    assert numbers(plan(known_sets("dd", "sh"), 2).remove) == [2, 1]


@given(known=mixed, copies=st.integers(0, 50))
def test_laws_of_mixed_sets(known: list[SetInfo], copies: int) -> None:
    decided = plan(known, copies)
    wanted = max(1, copies)
    assert sorted(numbers((*decided.keep, *decided.remove, *decided.spare))) == sorted(one.run_id for one in known)
    assert all(one.whole for one in decided.keep) and not any(one.whole for one in decided.spare)
    healthy = [one for one in known if one.whole and not one.sick]
    kept_healthy = [one for one in decided.keep if not one.sick]
    newest_first = sorted(healthy, key=lambda one: -one.run_id)
    assert kept_healthy == newest_first[:wanted], "a healthy set went although not enough healthy ones are newer"
    assert decided.sick <= wanted
    for gone in decided.remove:
        newer = [one for one in decided.keep if one.run_id > gone.run_id]
        assert len(newer) >= wanted
        if gone.whole and not gone.sick:
            assert sum(not one.sick for one in newer) >= wanted
    if any(one.whole for one in known):
        assert decided.keep


@given(known=mixed, copies=st.integers(1, 50))
def test_doing_it_twice_changes_nothing_of_mixed_sets(known: list[SetInfo], copies: int) -> None:
    once = plan(known, copies)
    assert plan((*once.keep, *once.spare), copies) == Plan(once.keep, (), once.spare)
