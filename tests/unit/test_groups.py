"""Slow tests come to the process that has what they share."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests import groups
from tests.servers.iotdb_ports import share_of_offsets

DB, EMPTIED = pytest.mark.django_db.mark, pytest.mark.django_db(transaction=True).mark
SERVER, BROWSER, PROCESS = pytest.mark.server.mark, pytest.mark.browser.mark, pytest.mark.process.mark


class Item:
    """A test as far as the groups look at it."""

    def __init__(self, *marks: Any, fixtures: tuple[str, ...] = ()) -> None:
        self.marks = list(marks)
        self.fixturenames = fixtures

    def get_closest_marker(self, name: str) -> Any:
        return next((mark for mark in self.marks if mark.name == name), None)

    def add_marker(self, marker: Any, append: bool) -> None:
        self.marks.insert(len(self.marks) if append else 0, marker.mark)


def item(*marks: Any, fixtures: tuple[str, ...] = ()) -> pytest.Item:
    return cast(pytest.Item, Item(*marks, fixtures=fixtures))


@pytest.mark.parametrize(
    ("found", "group"),
    [
        (item(SERVER, DB, pytest.mark.xdist_group("openssh").mark), "untouched"),
        (item(SERVER, fixtures=("db", "openssh")), "untouched"),
        (item(SERVER, EMPTIED, pytest.mark.xdist_group("openssh").mark, fixtures=("db",)), "openssh"),
        (item(SERVER, fixtures=("db", "transactional_db", "samba")), "samba"),
        (item(BROWSER, SERVER, pytest.mark.xdist_group("openssh").mark, fixtures=("page", "openssh")), "browser"),
        (item(PROCESS, SERVER), "workers"),
        (item(SERVER, fixtures=("tmp_path", "portmapper")), "nfs"),
        (item(SERVER, fixtures=("hdfs_pair",)), "hdfs"),
        (item(SERVER, EMPTIED), "iotdb"),
    ],
)
def test_the_group_of_a_slow_test(found: pytest.Item, group: str) -> None:
    assert groups.group_of(found) == group
    groups.mark([found])
    assert found.get_closest_marker("xdist_group").args == (group,)  # type: ignore[union-attr]


def test_groups_keep_the_order_within_and_quick_tests_stay_where_they_are() -> None:
    samba, browser, first, second = item(SERVER, fixtures=("samba",)), item(BROWSER), item(SERVER), item(SERVER)
    items = [samba, browser, first, second]
    groups.put_in_order(items)
    assert items == [first, second, browser, samba]
    quick = item()
    with_quick = [samba, quick, first]
    groups.mark(with_quick)
    groups.put_in_order(with_quick)
    assert with_quick == [samba, quick, first] and not quick.get_closest_marker("xdist_group")


def test_two_processes_never_take_the_same_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = []
    for worker in ("gw0", "gw1"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
        shares.append(set(share_of_offsets()))
    assert not shares[0] & shares[1] and min(map(len, shares)) > 1000
    monkeypatch.delenv("PYTEST_XDIST_WORKER")
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT")
    assert set(share_of_offsets()) == shares[0] | shares[1]
