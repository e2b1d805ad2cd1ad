"""Writing the audit: every verb, by whom, from where, with secrets masked (design.md, decision 12)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Model
from django.http import HttpRequest

from tasks.addresses import address_in
from tasks.auditing.sealing import seal_after_commit
from tasks.models import AuditEvent
from tasks.permissions import Asker
from tasks.risks import risk_of
from tasks.scope import cluster_of, covers

_SECRET = re.compile(r"password|secret|token|private_key|passphrase", re.IGNORECASE)
MASK = "******"


@dataclass(frozen=True)
class Actor:
    """Who does something: a person behind a request, or the console itself."""

    name: str
    user: Any = None
    address: str = ""

    def may(self, permission: str) -> bool:
        """Tell whether the actor has ``permission``; the console itself has all."""
        asker: Asker | None = self.user
        return asker is None or asker.has_perm(permission)

    def sees(self, thing: Model) -> bool:
        """Tell whether ``thing`` belongs to a cluster that the actor may see, or to none; the console sees all."""
        return self.user is None or covers(self.user, cluster_of(thing))


CONSOLE = Actor("console")


def actor_of(request: HttpRequest) -> Actor:
    """Return the person behind ``request``."""
    user: AbstractBaseUser | AnonymousUser = request.user
    return Actor(user.get_username(), user, address_of(request))


def address_of(request: HttpRequest) -> str:
    """Return the address a request came from, as ``address_in`` finds it."""
    return address_in(request.META)


@dataclass(frozen=True)
class Target:
    """What something was done to, where that is no row: ``Target("page", "/clusters/new/")``."""

    kind: str
    name: str
    key: int | None = None
    cluster_id: int | None = None

    @classmethod
    def of(cls, thing: Model) -> Target:
        """Return ``thing`` as it is written down."""
        return cls(str(thing._meta.verbose_name), str(thing), thing.pk, cluster_of(thing))


def record(
    actor: Actor,
    verb: str,
    target: Model | Target,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    note: str = "",
    result: str = AuditEvent.Result.SUCCESSFUL,
) -> AuditEvent:
    """Append one event; it becomes part of the chain when the transaction is committed.

    ``before`` and ``after`` hold plain values; what looks like a secret by its name is masked.
    """
    event = _event(actor, verb, Entry(target, before or {}, after or {}, note, result))
    event.save()
    seal_after_commit()
    return event


@dataclass(frozen=True)
class Entry:
    """What an event says of one target; see ``record``."""

    target: Model | Target
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    result: str = AuditEvent.Result.SUCCESSFUL


def record_many(actor: Actor, verb: str, entries: Iterable[Entry]) -> None:
    """Append an event for each entry, all with the same verb, as ``record`` does one; one query."""
    AuditEvent.objects.bulk_create([_event(actor, verb, entry) for entry in entries])
    seal_after_commit()


def _event(actor: Actor, verb: str, entry: Entry) -> AuditEvent:
    of = entry.target if isinstance(entry.target, Target) else Target.of(entry.target)
    return AuditEvent(
        actor=_text(actor.name)[:150],
        actor_id=getattr(actor.user, "pk", None),
        address=actor.address,
        verb=verb,
        risk=risk_of(verb),
        target_kind=of.kind,
        target_id=of.key,
        target=_text(of.name)[:255],
        cluster_id=of.cluster_id,
        before=mask(entry.before),
        after=mask(entry.after),
        note=_text(entry.note),
        result=entry.result,
    )


def mask(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy whose secrets are replaced, at every depth."""
    return {_text(key): MASK if _SECRET.search(key) and value else _masked(value) for key, value in values.items()}


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return mask(value)
    if isinstance(value, list | tuple):
        return [_masked(one) for one in value]
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    """Return ``text`` without what a database may not be able to keep: NUL, and bytes of names that are no UTF-8."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
