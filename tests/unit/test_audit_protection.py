"""The database itself refuses to change or delete an event, and lets it be sealed once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction
from django.db.models import QuerySet
from django.db.models.signals import post_migrate

from tasks.audit import CONSOLE, Target, record
from tasks.auditing import protection
from tasks.auditing.sealing import seal_all
from tasks.models import AuditEvent
from tests.unit.audit_kit import cut, make_events, tamper, verify

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def protected(db: None) -> Iterator[None]:
    protection.install()
    yield
    protection.remove()


def refused(change: str, *values: object) -> bool:
    with pytest.raises(DatabaseError, match="Audit events are never"), transaction.atomic(), connection.cursor() as at:
        at.execute(change, values)
    return True


def test_events_are_recorded_and_sealed_as_ever() -> None:
    make_events(3)
    assert protection.is_installed()
    assert verify() == []


@pytest.mark.parametrize("column", [field.column for field in AuditEvent._meta.concrete_fields if field.name != "id"])
def test_no_column_of_a_sealed_event_can_be_changed(column: str) -> None:
    event = make_events(1)[0]
    name = connection.ops.quote_name(column)
    assert refused(f"UPDATE tasks_auditevent SET {name} = {name} WHERE id = %s", event.pk)


def test_an_event_that_is_not_sealed_yet_cannot_be_changed_either() -> None:
    event = record(CONSOLE, "log in", Target("user", "anna"), after={"a": 1})
    assert refused("UPDATE tasks_auditevent SET actor = 'berta' WHERE id = %s", event.pk)
    assert refused("UPDATE tasks_auditevent SET cluster_id = 4, position = 1 WHERE id = %s", event.pk)
    seal_all()
    assert verify() == []


def test_nothing_can_be_deleted() -> None:
    sealed = make_events(1)[0]
    fresh = make_events(1, sealed=False)[0]
    for event in (sealed, fresh):
        assert refused("DELETE FROM tasks_auditevent WHERE id = %s", event.pk)
    if connection.vendor == "postgresql":
        assert refused("TRUNCATE tasks_auditevent")
    assert AuditEvent.objects.count() == 2


def test_the_app_refuses_before_the_database_does() -> None:
    event = make_events(1)[0]
    for attempt in (event.delete, event.save, AuditEvent.objects.all().delete):
        with pytest.raises(TypeError, match="Audit events are never"):
            attempt()
    with pytest.raises(TypeError, match="Audit events are never"):
        AuditEvent.objects.update(actor="berta")


def test_every_migrate_puts_the_triggers_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    protection.remove()
    assert not protection.is_installed()
    protection.after_migrate(None, using="default")
    assert protection.is_installed()
    # For another database, and on the table of an earlier release, there is nothing to do.
    protection.remove()
    protection.after_migrate(None, using="elsewhere")
    monkeypatch.setattr(protection, "_columns", lambda: {"id", "at"})
    protection.after_migrate(None, using="default")
    assert not protection.is_installed()


def test_migrations_find_no_trigger_in_their_way(monkeypatch: pytest.MonkeyPatch) -> None:
    protection.before_migrate(None, using="default", plan=[])
    protection.before_migrate(None, using="elsewhere", plan=["one"])
    assert protection.is_installed()
    protection.before_migrate(None, using="default", plan=["one"])
    assert not protection.is_installed()


def test_before_the_first_migration_there_is_nothing_to_protect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AuditEvent._meta, "db_table", "tasks_not_there")
    protection.before_migrate(None, using="default", plan=["one"])
    protection.after_migrate(None, using="default")
    monkeypatch.undo()
    assert protection.is_installed()


def test_the_app_has_it_done() -> None:
    config = apps.get_app_config("tasks")
    config.ready()
    try:
        assert protection.after_migrate in _receivers()
    finally:
        post_migrate.disconnect(dispatch_uid=protection.PROTECT, sender=config)


def _receivers() -> list[object]:
    live, _ = post_migrate._live_receivers(apps.get_app_config("tasks"))
    return list(live)


def test_without_them_events_can_be_changed() -> None:
    event = make_events(1)[0]
    protection.remove()
    tamper(event.pk, note="put right")
    cut(event.pk)
    assert not QuerySet(AuditEvent).exists()
