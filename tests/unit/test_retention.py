"""The plan of retention, as laws."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tasks.engine.retention import SetInfo, plan

START = datetime(2026, 1, 1, tzinfo=UTC)
sets = st.lists(
    st.builds(
        SetInfo,
        run_id=st.integers(1, 10_000),
        taken_at=st.integers(0, 500).map(lambda hours: START + timedelta(hours=hours)),
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
