"""Events for the tests of the audit, sealed as after their commit, and hands that are not the console's."""

from __future__ import annotations

import io
from typing import Any

from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import QuerySet

from tasks import chain
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


def run(*arguments: str) -> tuple[str, str, str]:
    """Return what a command wrote to its output and to its errors, and the error it ended with."""
    out, err, failure = io.StringIO(), io.StringIO(), ""
    try:
        call_command(*arguments, stdout=out, stderr=err)
    except CommandError as error:
        assert error.returncode == 1
        failure = str(error)
    return out.getvalue(), err.getvalue(), failure


def checkpoint_in(text: str) -> str:
    """Return the checkpoint that verifyaudit printed."""
    return text.split("Checkpoint: ")[1].split()[0]


def rewrite_from(position: int) -> None:
    """Compute every digest anew from a position on, as somebody who knows the program and has the database."""
    events = QuerySet(AuditEvent)
    previous = events.get(position=position - 1).digest if position > 1 else chain.GENESIS
    for link in list(links(position - 1)):
        previous = chain.digest(previous, link)
        events.filter(pk=link["id"]).update(digest=previous)
    AuditChain.objects.update(digest=previous)
