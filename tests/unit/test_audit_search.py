"""What the page of the audit finds: every filter, pages by key, how far it looks back, and dates that have events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from tasks.auditing import listing, search
from tasks.auditing.search import Cursor, Search, find
from tasks.models import AuditEvent, Cluster, Person

pytestmark = pytest.mark.django_db
START = datetime(2026, 11, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BERLIN = ZoneInfo("Europe/Berlin")


class Everybody(AnonymousUser):
    """Somebody without limits."""

    _clusters_in_sight = None


EVERYBODY = Everybody()
Make = Callable[..., AuditEvent]


def make(count: int = 1, **fields: Any) -> list[AuditEvent]:
    """Write events a minute apart from each other, the oldest first."""
    done = AuditEvent.objects.count()
    values = {"actor": "anna", "verb": "check node", "target_kind": "node", "target": "node1"} | fields
    events = [AuditEvent(**({"at": START + (done + number) * MINUTE} | values)) for number in range(count)]
    return list(QuerySet(AuditEvent).bulk_create(events))


def found(user: Any = EVERYBODY, **wanted: Any) -> list[int]:
    return [event.pk for event in find(Search(**wanted), user).events]


# --- Filters ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"actor": "berta"}, {"person": "berta"}),
        ({"verb": "log in"}, {"verb": "log in"}),
        ({"result": "refused"}, {"result": "refused"}),
        ({"risk": "critical"}, {"risk": "critical"}),
        ({"target_kind": "cluster"}, {"kind": "cluster"}),
        ({"target": "plant"}, {"name": "plant"}),
        ({"target_kind": "cluster", "target_id": 7}, {"kind": "cluster", "thing": 7}),
        ({"address": "10.0.0.7"}, {"address": "10.0.0.7"}),
        ({"cluster_id": 4}, {"cluster": 4}),
        ({"note": "Run 12 of it"}, {"q": "run 12"}),
        ({"target": "plant-nightly"}, {"q": "NIGHT"}),
        ({"address": "fd12::7"}, {"q": "fd12"}),
        ({"actor": "100%_sure"}, {"q": "0%_s"}),
        ({"at": START - 3 * MINUTE}, {"until": START - 2 * MINUTE}),
        ({"at": START + timedelta(days=2)}, {"since": START + timedelta(days=2)}),
    ],
)
def test_each_filter_lets_through_what_it_names(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    make(3)
    event = make(1, **fields)[0]
    make(3)
    assert found(**wanted) == [event.pk]
    assert [each.pk for each in search.whole(Search(**wanted), EVERYBODY)] == [event.pk]


def test_filters_add_up_whichever_of_them_leads() -> None:
    common = {"actor": "berta", "verb": "log in", "result": "refused", "risk": "major", "address": "::1"}
    both = make(1, **common, target_kind="user", target="berta", cluster_id=3)[0]
    make(2, **common)
    make(2, target_kind="user", target="berta", cluster_id=3)
    wanted = {"person": "berta", "verb": "log in", "result": "refused", "risk": "major", "address": "::1"}
    assert found(**wanted, kind="user", name="berta", cluster=3, q="berta") == [both.pk]
    assert found(person="berta", kind="user") == [both.pk]
    assert found(result="successful", person="berta") == []


def test_what_is_searched_for_is_told_for_the_record() -> None:
    told = Search(q="x", thing=7, since=START).told()
    assert told == {"q": "x", "thing": "7", "since": str(START)}
    assert Search().told() == {}


# --- Pages ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("wanted", [{}, {"person": "anna"}, {"person": "anna", "q": "node"}])
def test_pages_lose_nothing_and_repeat_nothing(monkeypatch: pytest.MonkeyPatch, wanted: dict[str, str]) -> None:
    monkeypatch.setattr(search, "PAGE_SIZE", 3)
    make(4)
    # Of the same moment, over the border of two pages.
    make(5, at=START + timedelta(hours=1))
    make(2)
    pages, before = [], None
    for _ in range(10):
        page = find(Search(**wanted), EVERYBODY, before)
        pages.append([event.pk for event in page.events])
        before = page.older and Cursor.read(str(page.older))
        if before is None:
            break
    ordered = list(AuditEvent.objects.order_by("-at", "-id").values_list("pk", flat=True))
    assert pages == [ordered[:3], ordered[3:6], ordered[6:9], ordered[9:]]


def test_the_first_page_counts_and_the_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "COUNT_LIMIT", 5)
    make(5)
    page = find(Search(), EVERYBODY)
    assert (page.total, page.more) == (5, False)
    make(1)
    page = find(Search(), EVERYBODY)
    assert (page.total, page.more) == (5, True)
    assert find(Search(), EVERYBODY, Cursor(START + 3 * MINUTE)).total is None


def test_a_search_looks_at_so_many_rows_and_goes_on_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "WINDOW", 4)
    hidden = make(1, note="needle")[0]
    make(9)
    before, looks = None, []
    for _ in range(5):
        page = find(Search(q="needle"), EVERYBODY, before)
        looks.append(([event.pk for event in page.events], page.looked_back_to))
        before = page.older
        if before is None:
            break
    assert [keys for keys, _ in looks] == [[], [hidden.pk]]
    assert looks[0][1] == START + 5 * MINUTE and looks[-1][1] is None
    # A stream has no such limit.
    assert [event.pk for event in search.whole(Search(q="needle"), EVERYBODY)] == [hidden.pk]


def test_a_page_that_is_full_before_the_rows_are_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "WINDOW", 6)
    monkeypatch.setattr(search, "PAGE_SIZE", 2)
    make(10, note="hay")
    page = find(Search(q="hay"), EVERYBODY)
    assert (len(page.events), page.looked_back_to, page.total, page.more) == (2, None, 7, True)


def test_the_number_of_queries_does_not_depend_on_the_number_of_events() -> None:
    def queries() -> list[int]:
        counts = []
        for wanted in ({}, {"person": "anna"}, {"person": "anna", "verb": "check node", "q": "node"}):
            with CaptureQueriesContext(
                connection,
            ) as captured:
                find(Search(**wanted), EVERYBODY)
            counts.append(len(captured))
        return counts

    make(3)
    before = queries()
    make(200)
    assert queries() == before
    assert max(before) <= 3


@pytest.mark.parametrize("text", ["", "1", "1-", "-1", "a-b", "1-2-3", "9" * 30 + "-1", "1-" + "9" * 30, "²-1"])
def test_places_that_are_none_are_passed_over(text: str) -> None:
    assert Cursor.read(text) is None


# --- Who sees what ----------------------------------------------------------------------------------------------------
def test_an_auditor_who_is_limited_sees_their_clusters_the_console_and_themselves(auditor: User) -> None:
    mine, other = Cluster.objects.create(name="mine"), Cluster.objects.create(name="other")
    Person.objects.create(user=auditor, limited=True).clusters.add(mine)
    seen = [
        make(1, cluster_id=mine.pk)[0],
        make(1, target_kind="management nodes", target="Management nodes")[0],
        make(1, target_kind="user", target="auditor", actor_id=auditor.pk)[0],
    ]
    make(1, cluster_id=other.pk)
    make(1, cluster_id=0)
    for kind in search.PERSONAL:
        make(1, target_kind=kind, target="somebody")
    assert found(auditor) == [event.pk for event in reversed(seen)]
    assert found(auditor, cluster=other.pk) == []
    assert listing.choices(auditor)["people"] == []
    assert listing.choices(EVERYBODY)["people"] == ["anna"]
