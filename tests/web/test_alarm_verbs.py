"""Alarms are cleared by hand, acknowledged, and that is taken back; by whom, and what is refused."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from tasks import alarms
from tasks.models import Alarm, AuditEvent
from tasks.permissions import VIEWER
from tests.conftest import Login
from tests.web.alarm_kit import NOW, order, page, raise_one

pytestmark = pytest.mark.django_db


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
    for name in ("alarm-clear", "alarm-acknowledge", "alarm-take-back"):
        assert client.post(reverse(name, args=[alarm.pk])).status_code == 403


def test_what_the_tick_would_raise_again_is_acknowledged_and_not_cleared(operator_page: Client) -> None:
    alarm = raise_one("task-overdue")
    assert ">Clear</button>" not in page(operator_page)
    text = operator_page.post(reverse("alarm-clear", args=[alarm.pk]), follow=True).content.decode()
    assert "would come back within a minute" in text
    alarm.refresh_from_db()
    assert alarm.cleared_at is None


# --- Acknowledging ---------------------------------------------------------------------------------------------------
def test_an_alarm_is_acknowledged_with_a_comment(operator_page: Client) -> None:
    pressing, alarm = raise_one("proof-overdue", "task 2"), raise_one()
    url = reverse("alarm-acknowledge", args=[alarm.pk])
    text = operator_page.get(f"{url}?next=/alarms/").content.decode()
    assert "Acknowledge Periodical Backup Failure?" in text and "The quota is full." in text
    assert "<dialog" in operator_page.get(url, headers={"HX-Request": "true"}).content.decode()
    done = operator_page.post(url, {"comment": " Disk <b>ordered</b>. ", "next": "/alarms/?severity=major"})
    assert (done.status_code, done["Location"]) == (302, "/alarms/?severity=major")
    alarm.refresh_from_db()
    assert (alarm.acknowledged_by, alarm.comment) == ("operator", "Disk <b>ordered</b>.")
    text = page(operator_page)
    assert order(text) == [pressing.pk, alarm.pk], "a minor one that nobody sees to comes before"
    assert re.search(r"Acknowledged by operator, <time[^>]*>[^<]+</time>: Disk &lt;b&gt;ordered&lt;/b&gt;\.", text)
    assert f'id="take-back-{alarm.pk}"' in text and f'id="acknowledge-{alarm.pk}"' not in text
    event = AuditEvent.objects.get(verb="acknowledge alarm")
    assert (event.actor, event.target_id, event.after) == ("operator", alarm.pk, {"comment": "Disk <b>ordered</b>."})


def test_a_comment_has_to_be_given(operator_page: Client) -> None:
    alarm = raise_one()
    for comment, words in (("  ", "Say who sees to it"), ("x" * 501, "500 characters at the most")):
        text = operator_page.post(reverse("alarm-acknowledge", args=[alarm.pk]), {"comment": comment}).content.decode()
        assert words in text and "<title>Error: Acknowledge" in text
    alarm.refresh_from_db()
    assert alarm.acknowledged_at is None


def test_who_comes_second_is_told_who_was_first(operator_page: Client) -> None:
    alarm = raise_one()
    alarms.acknowledge(alarm, "anna", "Mine.", NOW)
    url = reverse("alarm-acknowledge", args=[alarm.pk])
    text = operator_page.post(url, {"comment": "No, mine."}, follow=True).content.decode()
    assert "anna acknowledged the alarm of nightly" in text and "Mine." in text
    alarms.clear("backup-failed", "task 1")
    text = operator_page.post(url, {"comment": "Late."}, follow=True).content.decode()
    assert "is cleared already" in text


def test_an_acknowledgement_is_taken_back(operator_page: Client) -> None:
    alarm = raise_one()
    alarms.acknowledge(alarm, "anna", "Mine.", NOW)
    url = reverse("alarm-take-back", args=[alarm.pk])
    assert "is no longer acknowledged" in operator_page.post(url, follow=True).content.decode()
    alarm.refresh_from_db()
    assert (alarm.acknowledged_at, alarm.acknowledged_by, alarm.comment) == (None, "", "")
    event = AuditEvent.objects.get(verb="take back acknowledgement")
    assert event.before == {"comment": "Mine.", "acknowledged_by": "anna"}
    assert "is not acknowledged" in operator_page.post(url, follow=True).content.decode()


def test_it_stays_acknowledged_until_it_is_cleared(operator_page: Client) -> None:
    alarms.acknowledge(raise_one(), "anna", "Mine.", NOW)
    assert raise_one(cause="Again.").acknowledged_by == "anna"
    alarms.clear("backup-failed", "task 1")
    assert raise_one().acknowledged_at is None
    text = operator_page.get(reverse("alarms-cleared")).content.decode()
    assert "Acknowledged by anna" in text and "Mine." in text


# --- Several at once -------------------------------------------------------------------------------------------------
def test_all_that_a_filter_lets_through_are_acknowledged_with_one_comment(operator_page: Client) -> None:
    minor = raise_one("proof-overdue", "task 9")
    taken, *failed = [raise_one(subject=f"task {number}", place=f"t{number}") for number in range(12)]
    alarms.acknowledge(taken, "anna", "Mine.", NOW)
    assert "Acknowledge all 12</a>" in page(operator_page)
    text = page(operator_page, "?severity=major")
    assert 'href="/alarms/acknowledge/?severity=major&amp;next=%2Falarms%2F%3Fseverity%3Dmajor"' in text
    url = "/alarms/acknowledge/?severity=major"
    text = operator_page.get(url).content.decode()
    assert "Acknowledge 11 alarms?" in text and "12034, Console, t11" in text and "and 3 more" in text
    assert "<dialog" in operator_page.get(url, headers={"HX-Request": "true"}).content.decode()
    later = raise_one(subject="task 99")
    data = {"newest": failed[-1].pk, "comment": "NFS server is down.", "next": "/alarms/?severity=major"}
    assert operator_page.post(url, data)["Location"] == "/alarms/?severity=major"
    assert set(Alarm.objects.filter(comment="NFS server is down.")) == set(failed)
    taken.refresh_from_db()
    assert taken.comment == "Mine."
    assert set(alarms.uncleared().filter(acknowledged_at__isnull=True)) == {minor, later}
    assert AuditEvent.objects.filter(verb="acknowledge alarm").count() == 11


def test_several_need_a_comment_as_well(operator_page: Client) -> None:
    raise_one()
    text = operator_page.post("/alarms/acknowledge/", {"comment": " "}).content.decode()
    assert "Say who sees to it" in text and "<title>Error: Acknowledge" in text
    assert not Alarm.objects.filter(acknowledged_at__isnull=False).exists()


def test_five_hundred_are_acknowledged_at_once_and_the_most_serious_first(operator_page: Client) -> None:
    minor = raise_one("proof-overdue", "task 0")
    Alarm.objects.bulk_create(
        Alarm(code="backup-failed", subject=f"task {number}", severity="major", name="x", cause="x")
        for number in range(500)
    )
    assert "the 500 most serious" in operator_page.get("/alarms/acknowledge/").content.decode()
    text = operator_page.post("/alarms/acknowledge/", {"comment": "Known."}, follow=True).content.decode()
    assert "500 alarms acknowledged" in text
    assert list(alarms.uncleared().filter(acknowledged_at__isnull=True)) == [minor]


def test_nobody_to_be_acknowledged(operator_page: Client) -> None:
    assert "There is none that nobody sees to" in operator_page.get("/alarms/acknowledge/").content.decode()
    text = operator_page.post("/alarms/acknowledge/", {"comment": "Known."}, follow=True).content.decode()
    assert "0 alarms acknowledged" in text
