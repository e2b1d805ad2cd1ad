"""The export of what a person found in the audit, as a stream; that it was exported is itself on record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.audit import Actor, Target, record
from tasks.models import AuditEvent

FORMATS = {"csv": "CSV", "jsonl": "JSON lines"}


def record_export(actor: Actor, form: str, filters: Mapping[str, Any], note: str = "") -> AuditEvent:
    """Put on record that ``actor`` takes events away, in which form, and which: ``filters`` as the page has them."""
    after = {"format": FORMATS[form], **({"filters": dict(filters)} if filters else {})}
    return record(actor, "export audit", Target("audit", "Audit"), after=after, note=note)
