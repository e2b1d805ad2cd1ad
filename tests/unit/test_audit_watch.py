"""What the tick does for the audit: verification once a day in slices, the checkpoint outside, and the alarm."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db.models import QuerySet

from tasks.alarms import uncleared
from tasks.auditing import checkpoint, verification
from tasks.auditing.watch import look_after
from tasks.models import AuditChain, AuditEvent
from tests.unit.audit_kit import cut, make_events, rewrite_from, tamper

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def alarm_text() -> str:
    """Return the cause of the alarm; nothing where none is raised."""
    return "".join(uncleared().filter(code="audit-broken").values_list("cause", flat=True))


def every_event_takes(seconds: float) -> Callable[[], float]:
    """Return a clock that is asked once before the first event and once after each."""
    asked = iter(range(10**6))
    return lambda: next(asked) * seconds


# --- Daily verification -----------------------------------------------------------------------------------------------
def test_a_whole_chain_is_verified_and_told() -> None:
    events = make_events(3, sealed=False)
    assert look_after(NOW) == "3"
    state = AuditChain.current()
    assert (state.verified_at, state.verified_event, state.findings) == (NOW, events[-1].pk, [])
    assert not alarm_text()


def test_an_audit_without_events_is_whole() -> None:
    assert look_after(NOW) == "0"
    assert (AuditChain.current().verified_at, AuditChain.current().verified_event) == (NOW, None)


def test_it_is_verified_once_a_day() -> None:
    make_events(1)
    look_after(NOW)
    look_after(NOW + DAY - MINUTE)
    assert AuditChain.current().verified_at == NOW
    look_after(NOW + DAY)
    assert AuditChain.current().verified_at == NOW + DAY
    # A clock that was set back.
    look_after(NOW - DAY)
    assert AuditChain.current().verified_at == NOW - DAY


def test_it_is_verified_in_slices_over_several_ticks() -> None:
    events = make_events(7)
    tamper(events[1].pk, actor="anna")
    for turn in range(3):
        state = AuditChain.current()
        assert state.verified_at is None, turn
        look_after(NOW + turn * MINUTE, every_event_takes(1.0))
    state = AuditChain.current()
    assert (state.verified_at, state.verified_event) == (NOW + 2 * MINUTE, events[-1].pk)
    assert [finding["event"] for finding in state.findings] == [events[1].pk]
    assert (state.pass_began_at, state.pass_position, state.pass_findings) == (None, 0, [])


def test_events_that_come_between_two_slices_are_verified_too() -> None:
    make_events(4)
    look_after(NOW, every_event_takes(1.0))
    assert AuditChain.current().verified_at is None
    new = make_events(1)
    look_after(NOW + MINUTE)
    assert AuditChain.current().verified_event == new[-1].pk


# --- The alarm --------------------------------------------------------------------------------------------------------
def test_a_broken_chain_raises_one_critical_alarm_that_is_not_renewed_every_minute() -> None:
    events = make_events(3)
    look_after(NOW)
    tamper(events[1].pk, note="it was somebody else")
    assert look_after(NOW + DAY) == "0 broken"
    alarm = uncleared().get()
    assert (alarm.code, alarm.severity, alarm.link) == ("audit-broken", "critical", "/audit/")
    assert alarm.cause == f"Event {events[1].pk:,} is not as it was written."
    assert "verifyaudit" in alarm.cure
    look_after(NOW + DAY + MINUTE)
    assert uncleared().get().renewed_at == NOW + DAY


def test_it_says_how_much_more_there_is() -> None:
    events = make_events(4)
    tamper(events[0].pk, note="x")
    tamper(events[2].pk, note="x")
    look_after(NOW)
    assert alarm_text().endswith(" There is more: 1 finding.")


def test_it_is_cleared_by_the_next_verification_that_finds_the_chain_whole() -> None:
    events = make_events(2)
    tamper(events[0].pk, note="x")
    look_after(NOW)
    tamper(events[0].pk, note="")
    look_after(NOW + MINUTE)
    assert alarm_text()
    look_after(NOW + DAY)
    assert not alarm_text()


def test_a_table_that_was_changed_as_a_whole_is_not_told_event_by_event() -> None:
    make_events(verification.MOST + 5)
    QuerySet(AuditEvent).update(note="x")
    look_after(NOW)
    assert len(AuditChain.current().findings) == verification.MOST


# --- The checkpoint ---------------------------------------------------------------------------------------------------
def test_the_checkpoint_moves_with_the_end_and_is_for_the_console_only() -> None:
    make_events(2)
    look_after(NOW)
    first = checkpoint.kept()
    events = make_events(1)
    look_after(NOW + MINUTE)
    assert checkpoint.kept() == checkpoint.present() != first
    path = settings.DATA_DIR / "audit-checkpoint"
    assert path.read_text().startswith(f"{events[0].pk}:")
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_end_that_is_cut_off_together_with_its_record_is_found_within_a_minute() -> None:
    events = make_events(4)
    look_after(NOW)
    cut(events[3].pk)
    third = AuditEvent.objects.get(pk=events[2].pk)
    AuditChain.objects.update(position=third.position, digest=third.digest)
    look_after(NOW + MINUTE)
    told = f"Event {events[3].pk:,} and what followed it is missing: the end of the audit was cut off."
    assert alarm_text() == f"{told} So says the checkpoint of {settings.HOST_NAME}."
    # It stays, although new events follow and the chain is whole by itself.
    make_events(3)
    assert look_after(NOW + DAY) == "0 broken"


def test_an_audit_that_is_written_anew_is_found_within_a_minute() -> None:
    events = make_events(4)
    look_after(NOW)
    tamper(events[1].pk, actor="anna")
    rewrite_from(2)
    look_after(NOW + MINUTE)
    assert alarm_text().startswith(f"Event {events[3].pk:,} is not the one that it was: the audit was written anew.")


def test_an_emptied_audit_is_found_within_a_minute() -> None:
    events = make_events(2)
    look_after(NOW)
    cut(*(event.pk for event in events))
    AuditChain.objects.all().delete()
    look_after(NOW + MINUTE)
    assert "was cut off" in alarm_text()


def test_what_one_host_objects_to_is_not_forgotten_by_another(settings: Any) -> None:
    events = make_events(2)
    look_after(NOW)
    cut(events[1].pk)
    AuditChain.objects.update(position=1, digest=AuditEvent.objects.get().digest)
    look_after(NOW + MINUTE)
    (settings.DATA_DIR / "audit-checkpoint").unlink()
    settings.HOST_NAME = "mgmt-2"
    look_after(NOW + 2 * MINUTE)
    assert alarm_text()
    assert list(AuditChain.current().checkpoints) != ["mgmt-2"]


@pytest.mark.parametrize("text", ["", "rubbish", "12:abc", f"x:{'0' * 64}", f"{'9' * 30}:{'0' * 64}", "\xff"])
def test_a_checkpoint_that_cannot_be_read_is_made_anew(text: str) -> None:
    make_events(1)
    (settings.DATA_DIR / "audit-checkpoint").write_text(text, encoding="latin-1")
    look_after(NOW)
    assert checkpoint.kept() == checkpoint.present() is not None
