"""Events for the tests of the audit, sealed as after their commit, and hands that are not the console's."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models import QuerySet

from tasks.audit import CONSOLE, Target, record
from tasks.auditing.sealing import seal_all
from tasks.auditing.verification import Finding, Walk, links
from tasks.models import AuditChain, AuditEvent


def make_events(count: int, *, sealed: bool = True, **fields: Any) -> list[AuditEvent]:
    """Record ``count`` events."""
    made = [
        record(CONSOLE, "check node", Target("node", f"node{number}"), after={"n": number}, **fields)
        for number in range(count)
    ]
    if sealed:
        seal_all()
    return made


def tamper(pk: int, **fields: Any) -> None:
    """Change an event as somebody who has the database."""
    assert QuerySet(AuditEvent).filter(pk=pk).update(**fields) == 1


def cut(*pks: int) -> None:
    """Delete events as somebody who has the database."""
    with connection.cursor() as cursor:
        for pk in pks:
            cursor.execute("DELETE FROM tasks_auditevent WHERE id = %s", [pk])


def verify() -> list[Finding]:
    """Verify the whole chain and return what does not hold."""
    end = AuditChain.current()
    walk = Walk.begin()
    for link in links(until=end.position):
        walk.take(link)
    walk.end(end.position, end.digest)
    return walk.findings


def what() -> list[tuple[str, int]]:
    """Return what kind of finding there is at which position."""
    return [(finding.what, finding.position) for finding in verify()]
