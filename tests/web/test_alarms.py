"""O&M > Alarms: order, filter, pages, links, the counts in the shell, and what it costs."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tasks import alarms
from tasks.models import Alarm, BackupTask, Cluster
from tasks.permissions import ADMINISTRATOR, AUDITOR, BACKUP_ADMINISTRATOR, OPERATOR, VIEWER
from tests.conftest import Login
from tests.web.alarm_kit import HOUR, NOW, order, page, raise_one

pytestmark = pytest.mark.django_db


def test_no_alarms(operator_page: Client) -> None:
    text = page(operator_page)
    assert "<h2>No alarms</h2>" in text
    assert "None was cleared." in text
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


def test_a_severity_is_filtered_by_and_what_nobody_knows_is_passed_over(operator_page: Client) -> None:
    minor, major = raise_one("proof-overdue"), raise_one()
    assert order(page(operator_page, "?severity=minor")) == [minor.pk]
    for query in ("?severity=gigantic", "?type=made-up", "?cluster=x", "?from=2026-02-30", "?to=now", "?after=1.x"):
        assert order(page(operator_page, query)) == [major.pk, minor.pk], query
    text = page(operator_page, "?severity=critical")
    assert "No alarm matches the filter" in text and "Show all" in text


def test_type_cluster_and_words_are_filtered_by(operator_page: Client, cluster: Cluster) -> None:
    other = Cluster.objects.create(name="west")
    damaged = raise_one("set-damaged", "run 5", cluster=cluster, cause="A byte is wrong.", place="weekly")
    failed = raise_one(cluster=other)
    assert order(page(operator_page, "?type=set-damaged")) == [damaged.pk]
    assert order(page(operator_page, f"?cluster={other.pk}")) == [failed.pk]
    for words, found in (("BYTE", damaged), ("weekly", damaged), ("west", failed), ("12034", failed)):
        assert order(page(operator_page, f"?q={words}")) == [found.pk], words
    chips = page(operator_page, "?q=weekly")
    assert re.search(r'id="chip-all".*?<b>1</b>', chips) and 'href="/alarms/?q=weekly&amp;severity=major"' in chips


def test_what_was_cleared_within_a_day_stands_below(operator_page: Client) -> None:
    now = timezone.now()
    for number, hours in enumerate((30, 2, 1)):
        raise_one(subject=f"task {number}", place=f"t{number}", now=now - 40 * HOUR)
        alarms.clear("backup-failed", f"task {number}", "anna" if number == 1 else alarms.CONSOLE, now - hours * HOUR)
    text = page(operator_page)
    below = text[text.index('id="alarms-recent"') :]
    assert "by itself after 1 day 15 h" in below and "by anna after 1 day 14 h" in below
    assert below.index("t2") < below.index("t1") and "t0" not in below
    assert order(text) == []


def test_pages_follow_each_other_without_gap_or_double(operator_page: Client) -> None:
    raised = [raise_one(code, f"task {number}") for number in range(30) for code in ("backup-failed", "proof-overdue")]
    alarms.acknowledge(raised[0], "anna", "known", NOW)
    seen: list[int] = []
    query = ""
    while True:
        text = page(operator_page, query)
        seen += order(text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        if not following:
            break
        query = following[1].replace("&amp;", "&")
    ranked = sorted(raised[1:], key=lambda one: (one.severity != "major", -one.pk))
    assert seen == [one.pk for one in [*ranked, raised[0]]]
    assert "First page</a>" in text


def test_markup_in_a_cause_stays_text(operator_page: Client) -> None:
    raise_one(cause="<script>alert(1)</script>", place="<b>x</b>")
    text = page(operator_page)
    assert "<script>alert" not in text and "<b>x</b>" not in text


def test_moments_in_a_cause_are_told_in_the_zone_of_the_viewer(operator_page: Client) -> None:
    raise_one(cause="Last proven at 2026-06-01 03:00 +00:00.")
    assert "Last proven at <time" in page(operator_page)


# --- Whose alarms ----------------------------------------------------------------------------------------------------
def test_links_are_shown_to_those_who_may_follow_them(login: Login, cluster: Cluster, task: BackupTask) -> None:
    raise_one("no-remote-task", f"cluster {cluster.pk}", cluster=cluster, link=f"/backups/?cluster={cluster.pk}")
    raise_one("host-key-changed", "standby node", link="/system/nodes/")
    raise_one("clock-drift", f"task {task.pk}", link=f"/backups/{task.pk}/verify/")
    raise_one(subject=f"task {task.pk}", link="/gone/")
    words = ("Show tasks", "Create task", "Management nodes", "Verify again", "Configure task")
    for role, seen in (
        (VIEWER, {"Show tasks"}),
        (OPERATOR, {"Show tasks", "Verify again"}),
        (BACKUP_ADMINISTRATOR, {"Show tasks", "Create task", "Verify again", "Configure task"}),
        (ADMINISTRATOR, set(words)),
    ):
        text = page(login(role))
        assert {word for word in words if f">{word}</a>" in text} == seen, role
        assert "/gone/" not in text


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
        assert 'class="bar-count">1<' in text and "is-calm" not in text, url


def test_acknowledged_ones_are_counted_apart_and_not_in_red(operator_page: Client, task: object) -> None:
    alarms.acknowledge(raise_one(), "anna", "Mine.", NOW)
    text = operator_page.get("/backups/").content.decode()
    assert 'class="bar-count">' not in text and 'class="nav-count">' not in text
    assert text.count('class="nav-count is-calm"') == 2
    assert 'class="bar-count is-calm" title="Acknowledged">1<' in text
    assert 'aria-label="Alarms, 1 uncleared, 1 acknowledged"' in text
    raise_one("proof-overdue")
    text = page(operator_page)
    assert 'class="bar-count">1<' in text and 'is-calm" title="Acknowledged">1<' in text
    assert "2 uncleared alarms: 1 major, 1 minor; 1 acknowledged" in text


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
    for name in ("alarms-lede", "alarms-tabs", "alarms-raised", "alarms-recent", "pace"):
        assert re.search(rf'id="{name}"[^>]*hx-swap-oob="true"', news), name


def test_ten_thousand_alarms_cost_as_many_queries_as_none(operator_page: Client, cluster: Cluster) -> None:
    pages = ("/alarms/", "/alarms/news/", "/alarms/cleared/", "/alarms/rules/", "/alarms/?severity=major&q=x&type=x")

    def costs() -> list[int]:
        found = []
        for url in pages:
            with CaptureQueriesContext(connection) as captured:
                assert operator_page.get(url).status_code == 200
            found.append(len(captured))
        return found

    costs()
    none = costs()
    Alarm.objects.bulk_create(
        Alarm(code="backup-failed", subject=f"task {number}", severity="major", name="x", cause="x", cluster=cluster,
              link="/backups/", cleared_at=timezone.now() if number % 2 else None)
        for number in range(10_000)
    )  # fmt: skip
    assert all(after <= before for after, before in zip(costs(), none, strict=True)), (costs(), none)
