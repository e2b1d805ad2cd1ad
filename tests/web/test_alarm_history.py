"""Cleared alarms, the rules, and the export."""

from __future__ import annotations

import csv
import html
import io
import re
from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse

from tasks import alarms
from tasks.models import Alarm, Cluster
from tests.web.alarm_kit import HOUR, NOW, order, raise_one

pytestmark = pytest.mark.django_db


def history(client: Client, query: str = "") -> str:
    response = client.get(reverse("alarms-cleared") + query)
    assert response.status_code == 200
    return response.content.decode()


def test_the_history_tells_how_long_each_lasted_and_who_cleared_it(operator_page: Client, cluster: Cluster) -> None:
    assert "None was cleared yet" in history(operator_page)
    raise_one(cluster=cluster)
    alarms.clear("backup-failed", "task 1", now=NOW + HOUR)
    raise_one(subject="task 2", place="weekly")
    alarms.clear("backup-failed", "task 2", "anna", NOW + 26 * HOUR)
    raise_one(subject="task 3")
    text = history(operator_page)
    assert "By itself after 1 h" in text and "By anna after 1 day 2 h" in text
    assert text.index("weekly") < text.index("12034, plant, nightly")
    assert len(order(text)) == 2


def test_the_history_is_filtered_by_the_days_on_which_an_alarm_was_raised(operator_page: Client) -> None:
    """It was raised on 1 June at 05:00 in the viewer's zone and cleared on 3 June at 00:30."""
    alarm = raise_one()
    alarms.clear("backup-failed", "task 1", now=datetime(2026, 6, 2, 22, 30, tzinfo=UTC))
    for query, found in (
        ("?from=2026-06-01&to=2026-06-01", True),
        ("?from=2026-06-02&to=2026-06-02", True),
        ("?from=2026-06-03", True),
        ("?from=2026-06-04", False),
        ("?to=2026-05-31", False),
        ("?from=2026-06-01&severity=minor", False),
        ("?from=2026-06-01&type=backup-failed&q=quota", True),
    ):
        assert order(history(operator_page, query)) == ([alarm.pk] if found else []), query


def test_the_pages_of_the_history_follow_each_other(operator_page: Client) -> None:
    for number in range(60):
        raise_one("set-damaged", f"run {number}")
        # Many of the same moment.
        alarms.clear("set-damaged", f"run {number}", now=NOW + number // 40 * HOUR)
    seen: list[int] = []
    query = "?type=set-damaged"
    while query:
        text = history(operator_page, query)
        seen += order(text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        query = following[1].replace("&amp;", "&") if following else ""
        assert "type=set-damaged" in query or not query
    ranked = Alarm.objects.order_by("-cleared_at", "-pk").values_list("pk", flat=True)
    assert seen == list(ranked)


# --- Rules and export ------------------------------------------------------------------------------------------------
def test_the_rules_name_every_type(operator_page: Client) -> None:
    raise_one()
    text = html.unescape(operator_page.get(reverse("alarm-rules")).content.decode())
    for known in alarms.ALARMS.values():
        assert known.name in text and known.cleared[1:] in text and known.raised[1:] in text
    assert 'href="/alarms/?type=backup-failed" aria-label="1 raised now: Periodical Backup Failure"' in text
    assert "A backup is overdue 1 h after its start was due" in text


def test_alarms_are_exported_as_they_are_filtered(operator_page: Client, cluster: Cluster) -> None:
    alarm = raise_one(cause='=HYPERLINK("http://x")', cluster=cluster, place="-nightly")
    alarms.acknowledge(alarm, "anna", "+49 30 1234", NOW)
    raise_one("proof-overdue", "task 2")
    raise_one(subject="task 3")
    alarms.clear("backup-failed", "task 3", "anna", NOW + HOUR)

    def rows(query: str) -> list[list[str]]:
        response = operator_page.get(reverse("alarms-export") + query)
        assert response["Content-Type"].startswith("text/csv") and ".csv" in response["Content-Disposition"]
        text = b"".join(response.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
        return list(csv.reader(io.StringIO(text)))[1:]

    [row] = rows("?severity=major")
    assert row[:6] == [
        "Major", "12034", "Periodical Backup Failure", "plant", "'-nightly", "2026-06-01 05:00:00+02:00",
    ]  # fmt: skip
    assert row[10:13] == ["anna", "'+49 30 1234", '\'=HYPERLINK("http://x")']
    assert len(rows("")) == 2
    assert [row[8] for row in rows("?cleared=yes")] == ["anna"]
