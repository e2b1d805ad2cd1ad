"""Events as files: CSV for a spreadsheet, JSON lines to keep and to verify, both written in a stream.

Each JSON line holds everything that was hashed and the digest of the event before, so that anybody can verify every
line by itself, also of a selection: ``sha256(previous + canonical JSON of the names in chain.SEALED)``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import tzinfo
from typing import Any

from django.db.models import F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from tasks import chain
from tasks.auditing.verification import Walk
from tasks.models import AuditEvent
from tasks.risks import Risk
from tasks.spreadsheets import neutral

BATCH = 500
_HEAD = (
    "Event", "Time", "Person", "Address", "Operation", "Risk level", "Kind", "Name", "Number", "Result", "Before",
    "After", "Note", "Hash",
)  # fmt: skip
Event = Mapping[str, Any]


def in_order_of_time(found: QuerySet[AuditEvent]) -> Iterator[list[dict[str, Any]]]:
    """Yield events in batches, the oldest first, each as ``chain.SEALED``, ``digest`` and ``previous``."""
    rest = _whole(found).order_by("at", "id")
    while batch := list(rest[:BATCH]):
        yield batch
        last = batch[-1]
        rest = _whole(found).filter(at__gte=last["at"]).exclude(at=last["at"], id__lte=last["id"]).order_by("at", "id")


def in_order_of_the_chain(found: QuerySet[AuditEvent]) -> Iterator[list[dict[str, Any]]]:
    """Yield the sealed ones of the events in batches, as they follow each other."""
    rest = _whole(found).filter(position__isnull=False).order_by("position")
    while batch := list(rest[:BATCH]):
        yield batch
        rest = rest.filter(position__gt=batch[-1]["position"])


def as_json_lines(batches: Iterable[list[dict[str, Any]]]) -> Iterator[bytes]:
    """Yield one JSON document for each event."""
    for batch in batches:
        yield "".join(f"{json.dumps(_document(event), ensure_ascii=False)}\n" for event in batch).encode()


def as_csv(batches: Iterable[list[dict[str, Any]]], zone: tzinfo) -> Iterator[bytes]:
    """Yield a head and a row for each event, times in ``zone``; no cell is taken for a formula."""
    # Spreadsheets take the mark at the beginning as a sign of UTF-8.
    yield b"\xef\xbb\xbf" + _csv([_HEAD])
    for batch in batches:
        yield _csv([_row(event, zone) for event in batch])


def verify_lines(lines: Iterable[bytes], expected: Mapping[int, str]) -> tuple[Walk, int]:
    """Verify JSON lines, each by itself and with the one before; return the walk and how many gaps there are.

    ``position`` of a finding is the number of its line. ``expected`` are digests by event, of checkpoints.
    """
    walk, gaps, unmet = Walk(), 0, dict(expected)
    for number, line in enumerate(lines, start=1):
        try:
            event = json.loads(line)
            computed = chain.digest(event["previous"], event)
            position, digest, key = int(event["position"]), event["digest"], int(event["id"])
        except (ValueError, KeyError, TypeError, AttributeError):
            walk.find("unreadable", number, None, f"Line {number:,} is not an event of the audit.", f"line {number}")
            continue
        follows = position == walk.position + 1
        fits = not follows or walk.count == 0 or event["previous"] == walk.digest
        if computed != digest or not fits or unmet.pop(key, digest) != digest:
            walk.find("changed", number, key, f"Event {key:,} on line {number:,} is not as it was written.", computed)
        gaps += not follows and walk.count > 0
        walk.position, walk.digest, walk.event = position, digest, key
        walk.count += 1
    for key in unmet:
        walk.find("missing", 0, key, f"Event {key:,} is not in the archive.", f"event {key}")
    return walk, gaps


def _whole(found: QuerySet[AuditEvent]) -> Any:
    before = AuditEvent.objects.filter(position=OuterRef("position") - Value(1)).values("digest")
    return found.annotate(previous=Coalesce(Subquery(before[:1]), Value(chain.GENESIS))).values(
        *chain.SEALED, "digest", previous=F("previous")
    )


def _document(event: Event) -> dict[str, Any]:
    return {**event, "at": chain.moment(event["at"])}


def _row(event: Event, zone: tzinfo) -> list[str]:
    told = (
        event["id"], event["at"].astimezone(zone).isoformat(sep=" ", timespec="seconds"), event["actor"],
        event["address"], event["verb"], Risk(event["risk"]).label, event["target_kind"], event["target"],
        event["target_id"], AuditEvent.Result(event["result"]).label, _values(event["before"]),
        _values(event["after"]), event["note"], event["digest"],
    )  # fmt: skip
    return [neutral("" if cell is None else str(cell)) for cell in told]


def _values(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, sort_keys=True) if values else ""


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
