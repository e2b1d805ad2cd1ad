"""What the tests of the pages of alarms share."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from django.test import Client
from django.urls import reverse

from tasks import alarms
from tasks.models import Alarm

NOW = datetime(2026, 6, 1, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def raise_one(code: str = "backup-failed", subject: str = "task 1", **fields: object) -> Alarm:
    values: dict[str, object] = {"cause": "The quota is full.", "cure": "Raise it.", "place": "nightly", "now": NOW}
    return alarms.raise_alarm(code, subject, **(values | fields))  # type: ignore[arg-type]


def page(client: Client, query: str = "") -> str:
    response = client.get(reverse("alarms") + query)
    assert response.status_code == 200
    return response.content.decode()


def order(text: str) -> list[int]:
    return [int(number) for number in re.findall(r'<tr role="row" id="alarm-(\d+)"', text)]
