"""O&M > Alarms: order, filter, pages, clearing by hand, the counts in the shell, and what it costs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tasks import alarms
from tasks.models import Alarm, Cluster
from tasks.permissions import AUDITOR, OPERATOR, VIEWER
from tests.conftest import Login

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 1, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def operator_page(login: Login) -> Client:
    """An Operator's browser."""
    return login(OPERATOR)


def raise_one(code: str = "backup-failed", subject: str = "task 1", **fields: object) -> Alarm:
    values: dict[str, object] = {"cause": "The quota is full.", "cure": "Raise it.", "place": "nightly", "now": NOW}
    return alarms.raise_alarm(code, subject, **(values | fields))  # type: ignore[arg-type]


def page(client: Client, query: str = "") -> str:
    response = client.get(reverse("alarms") + query)
    assert response.status_code == 200
    return response.content.decode()


def order(text: str) -> list[int]:
    return [int(number) for number in re.findall(r'<tr role="row" id="alarm-(\d+)"', text)]


def test_no_alarms(operator_page: Client) -> None:
    text = page(operator_page)
    assert "<h2>No alarms</h2>" in text
    assert "None was cleared yet." in text
    assert "bar-count" not in text and "nav-count" not in text
    assert '<p class="page-lede" id="alarms-lede" data-state="0" data-say="No alarms">No alarms.' in text


def test_an_alarm_says_what_where_since_when_why_and_what_to_do(operator_page: Client, cluster: Cluster) -> None:
    raise_one(cluster=cluster, link="/backups/1/history/")
    text = page(operator_page)
    assert "Major</span>" in text
    assert "Periodical Backup Failure" in text
    assert "12034, plant, nightly" in text
    assert "2026-06-01 05:00</time>" in text
    assert "The quota is full." in text and "Raise it." in text
    assert "Cleared by the next success of the task." in text
    assert '<a href="/backups/1/history/" aria-label="View History: nightly, Periodical Backup Failure">' in text
    assert "1 uncleared alarm: 1 major" in text


def test_the_most_serious_come_first_and_of_these_the_newest(operator_page: Client) -> None:
    minor = raise_one("proof-overdue")
    major = raise_one("backup-failed")
    newer = raise_one("set-damaged", "run 5", now=NOW + HOUR)
    critical = raise_one("restoration-unknown", "cluster 1", now=NOW - HOUR)
    text = page(operator_page)
    assert order(text) == [critical.pk, newer.pk, major.pk, minor.pk]
    assert "4 uncleared alarms: 1 critical, 2 major, 1 minor" in text
    assert text.count(">4<") >= 3, "the bar and both navigations count them"


def test_a_severity_is_filtered_by_and_one_that_nobody_knows_is_passed_over(operator_page: Client) -> None:
    minor, major = raise_one("proof-overdue"), raise_one()
    assert order(page(operator_page, "?severity=minor")) == [minor.pk]
    assert order(page(operator_page, "?severity=gigantic")) == [major.pk, minor.pk]
    text = page(operator_page, "?severity=critical")
    assert "No alarms of this severity" in text and "Show all" in text


def test_what_is_cleared_stands_below_with_by_whom(operator_page: Client) -> None:
    raise_one()
    alarms.clear("backup-failed", "task 1", now=NOW + HOUR)
    raise_one(subject="task 2", place="weekly")
    alarms.clear("backup-failed", "task 2", "anna", NOW + 2 * HOUR)
    text = page(operator_page)
    below = text[text.index('id="alarms-cleared"') :]
    assert "by itself" in below and "by anna" in below
    assert below.index("weekly") < below.index("nightly")
    assert order(text) == []


def test_both_lists_have_pages(operator_page: Client) -> None:
    for number in range(30):
        raise_one(subject=f"task {number}")
        raise_one("set-damaged", f"run {number}")
        alarms.clear("set-damaged", f"run {number}")
    first = page(operator_page)
    assert len(order(first)) == 25
    assert "1 to 25 of 30" in first
    second = page(operator_page, "?page=2")
    assert len(order(second)) == 5 and not set(order(first)) & set(order(second))
    assert "26 to 30 of 30" in page(operator_page, "?cleared=2")
    assert len(order(page(operator_page, "?page=99"))) == 5


def test_markup_in_a_cause_stays_text(operator_page: Client) -> None:
    raise_one(cause="<script>alert(1)</script>", place="<b>x</b>")
    text = page(operator_page)
    assert "<script>alert" not in text and "<b>x</b>" not in text


def test_moments_in_a_cause_are_told_in_the_zone_of_the_viewer(operator_page: Client) -> None:
    raise_one(cause="Last proven at 2026-06-01 03:00 +00:00.")
    assert "Last proven at <time" in page(operator_page)


# --- Clearing by hand ------------------------------------------------------------------------------------------------
def test_an_operator_clears_one(operator_page: Client) -> None:
    alarm = raise_one()
    response = operator_page.post(reverse("alarm-clear", args=[alarm.pk]), follow=True)
    assert "Periodical Backup Failure of nightly cleared." in response.content.decode()
    alarm.refresh_from_db()
    assert alarm.cleared_by == "operator"
    again = operator_page.post(reverse("alarm-clear", args=[alarm.pk]), follow=True)
    assert "is cleared already" in again.content.decode()


def test_a_viewer_looks_and_clears_nothing(login: Login) -> None:
    alarm = raise_one()
    client = login(VIEWER)
    assert ">Clear</button>" not in page(client)
    assert client.post(reverse("alarm-clear", args=[alarm.pk])).status_code == 403


def test_who_does_not_see_the_console_sees_no_alarms(login: Login) -> None:
    raise_one()
    client = login(AUDITOR)
    assert client.get(reverse("alarms")).status_code == 403
    assert "bar-alarms" not in client.get("/settings/").content.decode()


# --- The shell -------------------------------------------------------------------------------------------------------
def test_every_page_counts_them(operator_page: Client, task: object) -> None:
    raise_one()
    for url in ("/backups/", "/clusters/", "/settings/"):
        text = operator_page.get(url).content.decode()
        assert text.count('class="nav-count"') == 2, url
        assert 'class="bar-count">1<' in text, url


def test_pages_that_refresh_bring_the_count_along(operator_page: Client, task: object) -> None:
    raise_one()
    for url in (reverse("task-cells"), reverse("alarm-news")):
        text = operator_page.get(url, headers={"HX-Request": "true"}).content.decode()
        for name in ("bar-alarms", "nav-alarms", "drawer-alarms"):
            assert re.search(rf'id="{name}"[^>]*hx-swap-oob="true"', text), (url, name)


def test_the_page_refreshes_itself(operator_page: Client) -> None:
    raise_one()
    text = page(operator_page, "?severity=major")
    assert 'data-poll="/alarms/news/?severity=major"' in text
    news = operator_page.get("/alarms/news/?severity=major").content.decode()
    for name in ("alarms-lede", "alarms-raised", "alarms-cleared", "pace"):
        assert re.search(rf'id="{name}"[^>]*hx-swap-oob="true"', news), name


def test_ten_thousand_alarms_cost_as_many_queries_as_none(operator_page: Client) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            page(operator_page)
        return len(captured)

    page(operator_page)
    none = cost()
    Alarm.objects.bulk_create(
        Alarm(code="backup-failed", subject=f"task {number}", severity="major", name="x", cause="x",
              cleared_at=timezone.now() if number % 2 else None)
        for number in range(10_000)
    )  # fmt: skip
    assert cost() <= none
