"""The page of the audit: what it shows, what it says of the chain, and what is taken along."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tasks.audit import CONSOLE, Actor, Target, record
from tasks.auditing import archive, search
from tasks.auditing.sealing import seal_all
from tasks.models import AuditChain, AuditEvent, Cluster, Person
from tasks.permissions import AUDITOR, VIEWER
from tests.conftest import Login
from tests.unit.audit_kit import cut, make_events, run, tamper
from tests.web.list_kit import squeezed

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(login: Login) -> Client:
    """An auditor, whose own login is not in the way of what a test counts."""
    found = login(AUDITOR)
    cut(*AuditEvent.objects.values_list("pk", flat=True))
    return found


def read(client: Client, url: str = "/audit/") -> str:
    response = client.get(url)
    assert response.status_code == 200, url
    return squeezed(response.content.decode())


def rows(text: str) -> list[int]:
    return [int(number) for number in re.findall(r'id="event-(\d+)"', text)]


def body(response: HttpResponse) -> bytes:
    assert response.status_code == 200
    return b"".join(response.streaming_content)  # type: ignore[attr-defined]


# --- The list ---------------------------------------------------------------------------------------------------------
def test_an_auditor_lands_on_the_page_and_finds_it_in_the_navigation(client: Client) -> None:
    assert client.get("/")["Location"] == "/audit/"
    text = read(client)
    assert '<a href="/audit/" aria-current="page">' in text
    assert "/backups/" not in text


def test_events_stand_there_with_who_what_and_from_where(client: Client) -> None:
    actor = Actor("anna", None, "10.0.0.7")
    event = record(actor, "delete task", Target("backup task", "plant-nightly"), note="3 sets are kept")
    text = read(client)
    for words in ("anna", "10.0.0.7", "Delete task", "plant-nightly", "Backup task", "Major", "3 sets are kept"):
        assert words in text, words
    assert f'href="/audit/{event.pk}/" data-unfold="detail-{event.pk}"' in text


def test_filters_and_dates_stay_in_the_url_of_every_link(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PAGE_SIZE", 2)
    make_events(5)
    text = read(client, "/audit/?verb=check+node&kind=node&from=2000-01-01T00:00")
    assert len(rows(text)) == 2
    older = re.search(r'rel="next" href="\?([^"]+)"', text)
    assert older and "verb=check+node&amp;kind=node&amp;from=2000-01-01T00%3A00&amp;before=" in older[1]
    year = timezone.localdate().year
    assert f'href="?verb=check+node&amp;kind=node&amp;from=2000-01-01T00%3A00&amp;date={year}"' in text
    following = read(client, "/audit/?" + older[1].replace("&amp;", "&"))
    assert not set(rows(following)) & set(rows(text))
    assert '<a class="btn btn-quiet btn-sm" rel="first" href="/audit/?verb=check+node' in following


def test_a_date_that_is_chosen(client: Client) -> None:
    make_events(1)
    day = timezone.localdate()
    text = read(client, f"/audit/?date={day}")
    assert len(rows(text)) == 1
    assert f'aria-current="true">{day.day}</a>' in text and f'name="date" value="{day}"' in text
    assert rows(read(client, "/audit/?date=2001")) == []
    # What is no date is passed over.
    assert rows(read(client, "/audit/?date=2026-99"))


def test_the_minute_that_is_named_belongs_to_the_stretch(client: Client) -> None:
    event = make_events(1)[0]
    tamper(event.pk, at=datetime(2026, 11, 24, 9, 30, 59, tzinfo=UTC))
    stretch = "/audit/?from=2026-11-24T10:30&to=2026-11-24T10:30&kind=node"
    assert rows(read(client, stretch)) == [event.pk]
    assert rows(read(client, "/audit/?to=2026-11-24T10:29&kind=node")) == []


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("from=yesterday", "Give day and time as 2026-11-24T10:30."),
        ("from=2026-11-24T10:30&to=2026-11-24T10:29", "This is before From. Give a later time."),
        ("to=1999-01-01T00:00", "Give a day of the years 2000 to 2099."),
        ("result=maybe", "is not one of the available choices"),
        ("risk=huge", "is not one of the available choices"),
    ],
)
def test_filters_that_cannot_be_used_are_told_and_nothing_is_shown(client: Client, query: str, words: str) -> None:
    make_events(1)
    text = read(client, f"/audit/?{query}")
    assert words in text and "<title>Error: Audit" in text
    assert rows(text) == []
    assert "Export CSV" not in text


def test_what_is_not_there_is_told(client: Client) -> None:
    assert "No events yet" in read(client)
    make_events(1)
    assert "No event matches the filter" in read(client, "/audit/?q=nowhere")
    for nonsense in ("thing=x&kind=node", "cluster=x", "before=x", "q=%00", "thing=7"):
        assert len(rows(read(client, f"/audit/?{nonsense}"))) == 1, nonsense


def test_a_search_says_how_far_it_looked(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "WINDOW", 2)
    make_events(6)
    text = read(client, "/audit/?q=nowhere")
    assert "Nothing found so far" in text and "Searched back to" in text and "Search further back" in text


def test_the_number_of_queries_is_constant(client: Client) -> None:
    def queries(url: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            read(client, url)
        return len(captured)

    urls = ("/audit/", "/audit/?q=node&verb=check+node", f"/audit/?date={timezone.localdate():%Y-%m}")
    make_events(2)
    before = [queries(url) for url in urls]
    make_events(120)
    assert [queries(url) for url in urls] == before
    assert max(before) < 25


def test_others_may_not_look(login: Login) -> None:
    event = make_events(1)[0]
    client = login(VIEWER)
    for url in ("/audit/", f"/audit/{event.pk}/"):
        assert client.get(url).status_code == 403
    assert client.post("/audit/export/", {"format": "csv"}).status_code == 403
    assert "/audit/" not in squeezed(client.get("/alarms/").content.decode())


# --- One event --------------------------------------------------------------------------------------------------------
def test_an_event_unfolds_to_its_differences(client: Client) -> None:
    before, after = {"copies": 7, "place": {"port": 22}}, {"copies": 14, "place": {"port": 22}, "password": "x"}
    event = record(CONSOLE, "configure task", Target("backup task", "daily", 7), before=before, after=after)
    seal_all()
    alone = read(client, f"/audit/{event.pk}/")
    part = squeezed(client.get(f"/audit/{event.pk}/", headers={"HX-Request": "true"}).content.decode())
    assert "<html" in alone and "<html" not in part
    for text in (alone, part):
        assert '<th scope="row">copies</th><td class="gone">7</td><td class="come">14</td>' in text
        assert '<th scope="row">place.port</th><td>22</td><td>22</td>' in text
        assert '<td>Not there</td><td class="come">******</td>' in text
        assert "Link 1 holds" in text
        assert "/audit/?kind=backup+task&amp;thing=7" in text


def test_an_event_that_was_changed_says_so(client: Client) -> None:
    event = make_events(2)[1]
    tamper(event.pk, note="not so")
    assert "Link 2 is broken" in read(client, f"/audit/{event.pk}/")
    tamper(event.pk, foreign=True)
    assert "Not written by this console" in read(client, f"/audit/{event.pk}/")
    fresh = make_events(1, sealed=False)[0]
    assert "Not sealed yet" in read(client, f"/audit/{fresh.pk}/")


def test_events_out_of_sight_are_not_found(client: Client, auditor: User) -> None:
    Person.objects.create(user=auditor, limited=True).clusters.add(Cluster.objects.create(name="mine"))
    event = record(CONSOLE, "log in", Target("user", "berta"))
    assert client.get(f"/audit/{event.pk}/").status_code == 404
    assert client.get("/audit/999999/").status_code == 404
    assert rows(read(client)) == []
    assert "You see the events of your clusters" in read(client)
    assert client.get(f"/admin/tasks/auditevent/{event.pk}/change/").status_code == 302


# --- The chain --------------------------------------------------------------------------------------------------------
def test_the_state_of_the_chain(client: Client) -> None:
    assert "The chain is verified for the first time within minutes" in read(client)
    make_events(1)
    chain = AuditChain.load()
    chain.verified_at, chain.verified_event = timezone.now() - timezone.timedelta(hours=3), 48_212
    chain.save()
    assert re.search(r"Chain verified <time[^>]+>3 h ago</time> to event 48,212: whole\.", read(client))
    make_events(1, sealed=False)
    assert "1 event waits to be sealed." in read(client)
    chain.findings, chain.checkpoints = [{"text": "Event 7 is not as it was written."}], {"mgmt-1": "It was cut off."}
    chain.save()
    text = read(client)
    for words in ("The audit is broken", "Event 7 is not as it was written.", "So says the checkpoint of mgmt-1"):
        assert words in text


# --- Export -----------------------------------------------------------------------------------------------------------
def test_what_is_found_is_exported_as_csv_for_the_viewer(client: Client) -> None:
    event = make_events(2)[0]
    tamper(event.pk, at=datetime(2026, 11, 24, 9, 30, tzinfo=UTC), target="=1+1", address="@x")
    response = client.post("/audit/export/", {"format": "csv", "name": "=1+1"})
    assert re.fullmatch(r'attachment; filename="audit_\d{14}\.csv"', response["Content-Disposition"])
    lines = list(csv.DictReader(io.StringIO(body(response).decode("utf-8-sig"))))
    assert [line["Name"] for line in lines] == ["'=1+1"]
    assert (lines[0]["Time"], lines[0]["Address"]) == ("2026-11-24 10:30:00+01:00", "'@x")


def test_json_lines_are_the_events_and_verify(client: Client, tmp_path: Any) -> None:
    make_events(3)
    file = tmp_path / "audit.jsonl"
    file.write_bytes(body(client.post("/audit/export/", {"format": "jsonl", "verb": "check node"})))
    assert [json.loads(line)["after"]["n"] for line in file.read_text().splitlines()] == [0, 1, 2]
    assert run("verifyaudit", "--archive", str(file))[2] == ""


def test_an_export_is_on_record_with_its_filters(client: Client, auditor: User) -> None:
    make_events(1)
    client.post("/audit/export/", {"format": "csv", "q": "node", "from": "2026-11-24T10:30"})
    event = AuditEvent.objects.get(verb="export audit")
    assert (event.actor_id, event.address, event.target_kind) == (auditor.pk, "127.0.0.1", "audit")
    assert event.after == {"format": "CSV", "filters": {"q": "node", "since": "2026-11-24 09:30:00+00:00"}}


def test_an_export_that_makes_no_sense_is_refused_and_not_on_record(client: Client) -> None:
    for data in ({"format": "xls"}, {}, {"format": "csv", "from": "yesterday"}):
        assert client.post("/audit/export/", data).status_code == 400
    assert client.get("/audit/export/").status_code == 405
    assert not AuditEvent.objects.filter(verb="export audit").exists()


def test_an_export_holds_what_its_reader_may_see_and_no_batch_at_once(
    client: Client, auditor: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "BATCH", 2)
    mine = Cluster.objects.create(name="mine")
    Person.objects.create(user=auditor, limited=True).clusters.add(mine)
    for number in range(5):
        record(CONSOLE, "create task", Target("backup task", f"t{number}", number, mine.pk))
        record(CONSOLE, "create task", Target("backup task", "other", number, mine.pk + 1))
    seal_all()
    response = client.post("/audit/export/", {"format": "jsonl"})
    chunks = [len(chunk.splitlines()) for chunk in response.streaming_content]  # type: ignore[attr-defined]
    assert chunks == [2, 2, 1]


# --- Django's admin ---------------------------------------------------------------------------------------------------
def test_the_list_in_djangos_admin_keeps_its_filters_and_dates(client: Client) -> None:
    make_events(2)
    text = read(client, "/admin/tasks/auditevent/?risk__exact=notice")
    assert "By risk" in text and "By result" in text and "toplinks" in text
    assert len(re.findall(r'class="field-at', text)) == 2
