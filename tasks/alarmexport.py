"""Alarms as CSV: one row each, sent as they are read, however many there are."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime, tzinfo

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone

from tasks import moments
from tasks.alarms import ALARMS
from tasks.models import Alarm
from tasks.spreadsheets import neutral

HEAD = (
    "Severity", "Number", "Alarm", "Cluster", "Place", "Raised", "Raised again", "Cleared", "Cleared by",
    "Acknowledged", "Acknowledged by", "Comment", "Cause", "Cure",
)  # fmt: skip


def response(found: QuerySet[Alarm], now: datetime) -> StreamingHttpResponse:
    """Return the alarms as a download, newest first, times in the viewer's zone with their distance from UTC."""
    name = f"alarms-{timezone.localtime(now):%Y%m%d-%H%M%S}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    zone = timezone.get_current_timezone()
    return StreamingHttpResponse(_lines(found, zone), content_type="text/csv; charset=utf-8", headers=headers)


class _Echo:
    """Gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _lines(found: QuerySet[Alarm], zone: tzinfo) -> Iterator[str]:
    writer = csv.writer(_Echo())
    # The mark tells a spreadsheet that this is UTF-8.
    yield "\ufeff" + writer.writerow(HEAD)
    for alarm in found.select_related("cluster").order_by("-pk").iterator(chunk_size=500):
        # This is made after the view has returned, when its zone is active no more.
        with timezone.override(zone):
            cells = [neutral(cell) for cell in _cells(alarm)]
        yield writer.writerow(cells)


def _cells(alarm: Alarm) -> Iterator[str]:
    known = ALARMS.get(alarm.code)
    yield str(alarm.get_severity_display())
    yield known.number if known else ""
    yield alarm.name
    yield alarm.cluster.name if alarm.cluster else "Console"
    yield alarm.place
    yield _time(alarm.raised_at)
    yield _time(alarm.renewed_at) if alarm.renewed_at != alarm.raised_at else ""
    yield _time(alarm.cleared_at)
    yield alarm.cleared_by
    yield _time(alarm.acknowledged_at)
    yield alarm.acknowledged_by
    yield alarm.comment
    yield moments.retold(alarm.cause)
    yield moments.retold(alarm.cure)


def _time(moment: datetime | None) -> str:
    return timezone.localtime(moment).isoformat(" ", "seconds") if moment else ""
