"""The chain of the audit: sealed without gap or fork, and whatever is done to it is found."""

from __future__ import annotations

import hashlib
import itertools
import json
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps.registry import Apps
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.models import QuerySet

from tasks import chain
from tasks.audit import CONSOLE, Target, record
from tasks.auditing import sealing
from tasks.auditing.sealing import seal_all
from tasks.auditing.verification import links
from tasks.models import AuditChain, AuditEvent
from tests.file_database import copy_test_database, using_file_database
from tests.unit.audit_kit import cut, make_events, tamper, verify, what
from tests.unit.test_lease import at_once

pytestmark = pytest.mark.django_db
MIGRATION = "0010_audit"


# --- Sealing ----------------------------------------------------------------------------------------------------------
def test_each_event_carries_the_hash_of_its_content_and_of_the_one_before() -> None:
    make_events(3)
    rows = list(AuditEvent.objects.order_by("position").values())
    previous = "0" * 64
    for position, row in enumerate(rows, start=1):
        # As anybody would compute it who has the table and not this program.
        content = {name: row[name] for name in chain.CONTENT} | {name: row[name] for name in ("foreign", "stamp")}
        content |= {"position": position, "at": row["at"].isoformat(timespec="microseconds")}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        assert row["digest"] == hashlib.sha256(f"{previous}{text}".encode()).hexdigest()
        previous = row["digest"]
    head = AuditChain.current()
    assert (head.position, head.digest) == (3, previous)
    assert verify() == []


def test_sealing_again_changes_nothing() -> None:
    make_events(2)
    before = list(AuditEvent.objects.values())
    assert seal_all() == 0
    assert list(AuditEvent.objects.values()) == before


def test_more_than_a_batch_is_sealed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "BATCH", 2)
    make_events(5, sealed=False)
    assert seal_all() == 5
    assert verify() == []


@pytest.mark.django_db(transaction=True)
def test_an_event_is_sealed_by_its_commit_and_not_before() -> None:
    with transaction.atomic():
        event = record(CONSOLE, "log in", Target("user", "anna"))
        assert AuditEvent.objects.get(pk=event.pk).position is None
    assert AuditEvent.objects.get(pk=event.pk).position == 1
    record(CONSOLE, "log out", Target("user", "anna"))
    assert AuditChain.current().position == 2


@pytest.mark.django_db(transaction=True)
def test_what_is_undone_leaves_no_gap() -> None:
    make_events(1)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        record(CONSOLE, "log in", Target("user", "anna"))
        raise ZeroDivisionError
    make_events(1)
    assert list(AuditEvent.objects.order_by("pk").values_list("position", flat=True)) == [1, 2]
    assert verify() == []


def test_many_at_the_same_moment_make_one_chain(transactional_db: None, tmp_path: Path) -> None:
    copy_test_database(tmp_path / "test.sqlite3")
    numbers = itertools.count()

    def work() -> None:
        name = f"person {next(numbers)}"
        for turn in range(10):
            with transaction.atomic():
                record(CONSOLE, "log in", Target("user", name), note=str(turn))

    with using_file_database(tmp_path / "test.sqlite3"):
        at_once(6, work)
        seal_all()
        positions = list(AuditEvent.objects.order_by("position").values_list("position", flat=True))
        assert positions == list(range(1, 61))
        assert verify() == []


def test_a_seal_that_fails_does_not_fail_the_verb(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    from django.db import OperationalError

    def fail() -> int:
        raise OperationalError("database is locked")

    monkeypatch.setattr(sealing, "seal_all", fail)
    sealing._seal_quietly()
    assert "could not be sealed now" in caplog.text


# --- What is done to it -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "changes",
    [
        {"actor": "anna"},
        {"at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"after": {"n": 7}},
        {"note": "x"},
        {"result": "refused"},
        {"address": "10.0.0.9"},
        {"risk": "major"},
        {"cluster_id": 5},
        {"target_id": 9},
        {"foreign": True},
        {"stamp": "0" * 64},
        {"digest": "0" * 64},
    ],
)
def test_a_change_is_found_where_it_was_made(changes: dict[str, Any]) -> None:
    events = make_events(4)
    tamper(events[1].pk, **changes)
    found = what()
    assert found[0][0] in ("changed", "foreign")
    # Another digest does not fit what follows either.
    assert {position for _, position in found} <= {2, 3}
    assert ("changed", 2) in found


def test_the_first_broken_event_is_told() -> None:
    events = make_events(5)
    tamper(events[2].pk, actor="anna")
    finding = verify()[0]
    assert finding.event == events[2].pk
    assert finding.text == f"Event {events[2].pk:,} is not as it was written."


def test_deletion_in_the_middle_is_found() -> None:
    events = make_events(5)
    cut(events[1].pk, events[2].pk)
    finding = verify()[0]
    assert (finding.what, finding.position) == ("missing", 2)
    assert finding.text == f"2 events are missing after event {events[0].pk:,}."


def test_deletion_of_the_beginning_is_found() -> None:
    events = make_events(3)
    cut(events[0].pk)
    assert verify()[0].text == "An event is missing after the beginning."


def test_deletion_of_the_tail_is_found_at_once_and_when_there_is_a_new_one() -> None:
    events = make_events(5)
    cut(events[3].pk, events[4].pk)
    assert what() == [("missing", 4)]
    make_events(2)
    assert what() == [("missing", 4)]


def test_what_somebody_else_inserts_is_found() -> None:
    make_events(2)
    copied = AuditEvent.objects.values().last() | {"id": None, "position": None, "digest": "", "note": "not so"}
    QuerySet(AuditEvent).bulk_create([AuditEvent(**copied)])
    make_events(1)
    finding = verify()[0]
    assert (finding.what, finding.position) == ("foreign", 3)
    assert finding.text.endswith("was not written by this console.")


def test_what_somebody_else_inserts_as_sealed_is_found() -> None:
    make_events(2)
    head = AuditChain.current()
    forged = AuditEvent.objects.values().last() | {"id": 9_999, "position": 3, "foreign": False}
    QuerySet(AuditEvent).bulk_create([AuditEvent(**(forged | {"digest": chain.digest(head.digest, forged)}))])
    make_events(2)
    # Sealing goes on behind it, and puts on record what it found.
    assert what() == [("foreign", 3)]
    assert AuditEvent.objects.get(verb="find foreign events").after == {"positions": [3]}
    assert AuditChain.current().position == 6


def test_two_events_that_change_places_are_found() -> None:
    events = make_events(4)
    tamper(events[1].pk, position=999)
    tamper(events[2].pk, position=2)
    tamper(events[1].pk, position=3)
    assert {position for _, position in what()} == {2, 3, 4}


def test_numbers_that_a_database_writes_otherwise_break_nothing() -> None:
    record(CONSOLE, "check node", Target("node", "n"), after={"a": 1e16, "b": 0.1, "c": [1.0, {"d": None}], "e": "ü\0"})
    seal_all()
    assert verify() == []
    assert AuditEvent.objects.get().after["e"] == "ü\ufffd"


def test_another_key_for_secrets_breaks_nothing_that_is_sealed(settings: Any) -> None:
    make_events(2)
    make_events(1, sealed=False)
    settings.SECRETS_KEYS = ["a new key", *settings.SECRETS_KEYS]
    seal_all()
    settings.SECRETS_KEYS = ["a new key"]
    make_events(1)
    assert verify() == []


# --- What was on record before ----------------------------------------------------------------------------------------
def apps_then() -> Apps:
    found: Apps = MigrationLoader(connection).project_state(("tasks", MIGRATION)).apps
    return found


def test_what_was_on_record_is_chained_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    apps = apps_then()
    old = apps.get_model("tasks", "AuditEvent").objects
    for verb in ("create task", "delete task", "create task"):
        old.create(actor="anna", verb=verb, target_kind="backup task", target="daily", after={"copies": 7})
    with connection.schema_editor() if connection.vendor != "sqlite" else _Editor() as editor:
        import_module(f"tasks.migrations.{MIGRATION}").chain_events(apps, editor)
    assert verify() == []
    assert [link["position"] for link in links()] == [1, 2, 3]
    assert list(AuditEvent.objects.order_by("pk").values_list("risk", flat=True)) == ["minor", "major", "minor"]
    make_events(1)
    assert verify() == []
    tamper(AuditEvent.objects.order_by("pk").values_list("pk", flat=True)[1], actor="berta")
    assert what() == [("changed", 2)]


class _Editor:
    """SQLite's own editor wants to be outside of a transaction."""

    connection = connection

    def __enter__(self) -> _Editor:
        return self

    def __exit__(self, *args: Any) -> None:
        pass
