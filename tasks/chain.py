"""The chain of the audit: what of an event is hashed, and how each event holds on to the one before it.

``digest`` is plain SHA-256 over canonical JSON, so that anybody can compute it anew from an archive. ``stamp`` is an
HMAC with the console's key for secrets, taken when the event is written: what was put into the table by somebody who
has the database and not the key is told by it, before it becomes part of the chain.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

# The digest before the first event.
GENESIS = "0" * 64
# What is hashed; one name more or less, and every chain there is would be broken.
CONTENT = (
    "id", "at", "actor_id", "actor", "address", "verb", "risk", "target_kind", "target_id", "target", "cluster_id",
    "result", "before", "after", "note",
)  # fmt: skip
SEALED = (*CONTENT, "position", "foreign", "stamp")


def digest(previous: str, values: Mapping[str, Any]) -> str:
    """Return the digest of an event that follows the one with the digest ``previous``.

    ``values`` holds everything that ``SEALED`` names; ``at`` may be a moment or what ``canonical`` made of it.
    """
    return hashlib.sha256(previous.encode() + canonical(values, SEALED)).hexdigest()


def stamp(values: Mapping[str, Any], key: str = "") -> str:
    """Return the HMAC of the content, but for the id, which the database gives only afterwards."""
    return hmac.new(_key(key or settings.SECRETS_KEYS[0]), canonical(values, CONTENT[1:]), hashlib.sha256).hexdigest()


def is_genuine(values: Mapping[str, Any]) -> bool:
    """Tell whether the stamp of an event was made with one of the console's keys over its present content."""
    return any(hmac.compare_digest(stamp(values, key), values["stamp"]) for key in settings.SECRETS_KEYS)


def canonical(values: Mapping[str, Any], names: tuple[str, ...]) -> bytes:
    """Return the named values as JSON that is the same wherever and whenever it is written."""
    chosen = {name: _plain(values[name]) for name in names}
    return json.dumps(chosen, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def moment(at: datetime) -> str:
    """Return a moment as it is hashed and archived: in UTC, to the microsecond."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _plain(value: Any) -> Any:
    """Return ``value`` without what one database keeps and another does not: 1e16 comes back as a whole number."""
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _key(key: str) -> bytes:
    return hashlib.sha256(b"backup-console audit " + key.encode()).digest()
