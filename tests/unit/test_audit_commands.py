"""verifyaudit: what it says, with which status it ends, and what is accepted."""

from __future__ import annotations

import pytest

from tasks.alarms import uncleared
from tasks.auditing import checkpoint, protection
from tasks.models import AuditChain, AuditEvent
from tests.unit.audit_kit import checkpoint_in, cut, make_events, rewrite_from, run, tamper

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def protected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protection, "is_installed", lambda: True)


# --- verifyaudit ------------------------------------------------------------------------------------------------------
def test_a_whole_audit_is_told_with_a_checkpoint() -> None:
    event = make_events(3, sealed=False)[-1]
    out, err, failure = run("verifyaudit")
    assert out.startswith("3 events verified in ") and "all whole." in out
    assert checkpoint_in(out).startswith(f"{event.pk}:")
    assert (err, failure) == ("", "")
    assert run("verifyaudit", "--expect", checkpoint_in(out))[2] == ""


def test_an_empty_audit_has_no_checkpoint() -> None:
    assert run("verifyaudit")[0].startswith("0 events verified")
    assert "Checkpoint" not in run("verifyaudit")[0]


def test_a_broken_audit_names_every_finding_and_fails_with_the_first() -> None:
    events = make_events(5)
    tamper(events[1].pk, note="x")
    cut(events[3].pk)
    _, err, failure = run("verifyaudit")
    assert failure == f"The audit is broken. Event {events[1].pk:,} is not as it was written."
    assert f"An event is missing after event {events[2].pk:,}." in err
    assert uncleared().get().code == "audit-broken"
    assert AuditChain.current().findings


def test_a_cut_or_a_rewritten_audit_is_told_by_a_checkpoint_from_elsewhere() -> None:
    events = make_events(4)
    mark = checkpoint_in(run("verifyaudit")[0])
    cut(events[3].pk)
    third = AuditEvent.objects.get(pk=events[2].pk)
    AuditChain.objects.update(position=third.position, digest=third.digest)
    assert run("verifyaudit")[2] == ""
    assert "was cut off" in run("verifyaudit", "--expect", mark)[2]
    tamper(events[1].pk, note="x")
    mark = checkpoint_in(run("verifyaudit", "--accept")[0])
    rewrite_from(2)
    assert "was written anew" in run("verifyaudit", "--expect", mark)[2]


def test_the_checkpoint_of_the_host_counts_without_being_named() -> None:
    events = make_events(2)
    run_tick_checkpoint()
    cut(events[1].pk)
    AuditChain.objects.update(position=1, digest=AuditEvent.objects.get().digest)
    assert run("verifyaudit")[2].endswith("was cut off. So says the checkpoint of this host.")


def run_tick_checkpoint() -> None:
    end = checkpoint.present()
    assert end is not None
    checkpoint.keep(end)


@pytest.mark.parametrize("text", ["", "12", "12:abc", "a:" + "0" * 64])
def test_a_checkpoint_that_is_none_is_refused(text: str) -> None:
    assert f"--expect: {text!r} is no checkpoint. Give ID:HASH" in run("verifyaudit", "--expect", text)[2]


def test_missing_triggers_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protection, "is_installed", lambda: False)
    assert "its triggers are missing. Run manage.py migrate." in run("verifyaudit")[1]


# --- Accepting --------------------------------------------------------------------------------------------------------
def test_what_is_accepted_is_on_record_and_found_no_more() -> None:
    events = make_events(6)
    tamper(events[1].pk, note="x")
    cut(events[3].pk, events[4].pk)
    run("verifyaudit")
    out, err, failure = run("verifyaudit", "--accept")
    assert (failure, "all whole." in out) == ("", True)
    assert f"Event {events[1].pk:,} is not as it was written." in err
    event = AuditEvent.objects.get(verb="accept audit findings")
    assert (event.actor, event.risk, len(event.after["findings"])) == ("console", "critical", 2)
    assert not uncleared().exists()
    assert run("verifyaudit")[2] == ""


def test_what_is_changed_again_at_the_same_place_is_found_again() -> None:
    events = make_events(3)
    tamper(events[1].pk, note="x")
    run("verifyaudit", "--accept")
    tamper(events[1].pk, note="y")
    assert "is not as it was written" in run("verifyaudit")[2]


def test_a_database_of_yesterday_can_be_accepted() -> None:
    events = make_events(4)
    run_tick_checkpoint()
    cut(events[2].pk, events[3].pk)
    second = AuditEvent.objects.get(pk=events[1].pk)
    AuditChain.objects.update(position=second.position, digest=second.digest)
    assert run("verifyaudit")[2]
    out, _, failure = run("verifyaudit", "--accept")
    assert failure == ""
    assert str(checkpoint.kept()) == checkpoint_in(out)
    assert "was cut off" in str(AuditEvent.objects.get(verb="accept audit findings").after)


def test_an_end_that_is_another_one_can_be_accepted() -> None:
    make_events(3)
    AuditChain.objects.update(digest="f" * 64)
    assert "does not end as it did" in run("verifyaudit")[2]
    assert run("verifyaudit", "--accept")[2] == ""
    make_events(2)
    assert run("verifyaudit")[2] == ""
