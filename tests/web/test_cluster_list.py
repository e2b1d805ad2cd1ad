"""The list of clusters: figures of each, a search, and pages."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tasks.models import Cluster, Node, Service
from tests.conftest import Login, MakeRun, MakeTask
from tests.web.inventory_kit import client, page_of, text_of

__all__ = ["client"]


def names(client: Client, query: str = "") -> list[str]:
    """Return the clusters on a page, in their order."""
    page = page_of(client.get(f"/clusters/{query}"))
    return re.findall(r'<a class="name" href="/clusters/\d+/">([^<]+)</a>', page)


@pytest.fixture
def sixty(db: None) -> None:
    """Clusters c00 to c59; the note of c41 names a hall."""
    Cluster.objects.bulk_create(
        Cluster(name=f"c{number:02d}", note="Hall North" if number == 41 else "") for number in reversed(range(60))
    )


def test_pages_in_the_order_of_names(client: Client, sixty: None) -> None:
    assert names(client) == [f"c{number:02d}" for number in range(25)]
    text = text_of(client.get("/clusters/?page=2"))
    assert "60 clusters are registered." in text and "26 to 50 of 60 Previous Next" in text
    assert names(client, "?page=3") == [f"c{number:02d}" for number in range(50, 60)]
    assert 'rel="next"' not in page_of(client.get("/clusters/?page=3"))


@pytest.mark.parametrize("query", ["?page=99", "?page=3&q=%00"])
def test_a_page_too_far_is_the_last_one(client: Client, sixty: None, query: str) -> None:
    assert names(client, query) == [f"c{number:02d}" for number in range(50, 60)]


@pytest.mark.parametrize("query", ["?page=x", "?page=-3", "?page=0", "?page=99999999999999999999999"])
def test_a_page_that_is_none_is_the_first_one(client: Client, sixty: None, query: str) -> None:
    assert names(client, query)[0] == "c00"


def test_search_by_name_and_note(client: Client, sixty: None) -> None:
    assert names(client, "?q=C3") == [f"c{number}" for number in range(30, 40)]
    assert names(client, "?q=hall+north") == ["c41"]
    assert "60 clusters are registered." in text_of(client.get("/clusters/?q=hall"))
    assert 'href="?q=c&amp;page=2"' in page_of(client.get("/clusters/?q=c"))


def test_a_search_without_a_find_leads_back(client: Client, sixty: None) -> None:
    text = text_of(client.get("/clusters/?q=nowhere"))
    assert "No cluster matches the filter" in text and "Clear filter" in text
    assert "Register a cluster" in text


def test_a_short_list_has_neither_search_nor_pages(client: Client, cluster: Cluster) -> None:
    page = page_of(client.get("/clusters/"))
    assert 'type="search"' not in page and 'class="pager"' not in page


def test_tasks_are_not_counted_once_for_every_node(
    client: Client, node: Node, make_task: MakeTask, make_run: MakeRun
) -> None:
    Node.objects.create(service=node.service, name="node2", home="/opt/iotdb2")
    for _ in range(3):
        make_run(make_task())
    make_task("gone", deleted_at=timezone.now())
    assert re.search(r"plant IPv4 IoTDB 2 3 2026-06-01 \d\d:\d\d", text_of(client.get("/clusters/")))


def test_the_number_of_queries_does_not_grow(client: Client, login: Login) -> None:
    def fill(first: int, count: int) -> None:
        for number in range(first, first + count):
            service = Service.objects.create(cluster=Cluster.objects.create(name=f"c{number:03d}"), name="IoTDB")
            Node.objects.create(service=service, name="n", home="/opt/iotdb")

    def queries(query: str) -> int:
        with CaptureQueriesContext(connection) as found:
            assert client.get(f"/clusters/{query}").status_code == 200
        return len(found)

    fill(0, 2)
    few = [queries(""), queries("?q=c")]
    fill(2, 60)
    assert [queries(""), queries("?q=c")] == few
    assert queries("?page=2") == few[0]
