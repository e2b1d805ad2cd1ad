"""What all verbs share: asking for the permission, and plain values for the audit."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Model

from tasks.audit import Actor
from tasks.auditing.refusals import OnRecord, record_refusal


def require(actor: Actor, permission: str, verb: str, target: Model) -> None:
    """Raise ``PermissionDenied``, with the attempt on record, unless the actor has ``permission``.

    The cluster of ``target`` has to be one that the actor may see: pages do not find others, and this is the second
    guard behind them.
    """
    if actor.may(permission):
        if actor.sees(target):
            return
        note = "the cluster is not one of theirs"
    else:
        note = f"needs {permission}"
    record_refusal(actor, verb, target, note)
    raise OnRecord(f"{actor.name} may not do this: {verb} {target}.")


def values_of(thing: Model, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the named fields of ``thing`` as values that JSON can hold."""
    return {name: _plain(getattr(thing, name)) for name in fields}


def changes(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the two halves of what differs, so that the audit names what changed and nothing else."""
    differing = [key for key in after if before.get(key) != after[key]]
    return {key: before.get(key) for key in differing}, {key: after[key] for key in differing}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Model):
        return str(value)
    return value
