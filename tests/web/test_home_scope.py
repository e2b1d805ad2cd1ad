"""Whoever is limited to some clusters sees these only on the homepage; it asks the same few questions at any size."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from storage.base import Space
from tasks import alarms
from tasks.engine import spaces
from tasks.models import BackupTask, Cluster, Person
from tasks.permissions import ADMINISTRATOR
from tasks.states import Mode, RunState
from tests.conftest import Login, MakeRun, MakeTask
from tests.web.home_kit import SFTP, heading, home, stop_the_clock, todos

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def now(db: None, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Noon."""
    return stop_the_clock(monkeypatch)


def busy(make_task: MakeTask, make_run: MakeRun, name: str) -> BackupTask:
    """Fill a cluster of that name with everything that the homepage shows."""
    now = timezone.now()
    cluster = Cluster.objects.create(name=name)
    failed = make_task(
        f"{name}-failed", cluster=cluster, path_type="SFTP", destination={**SFTP, "shared_path": f"/{name}"}
    )
    make_run(failed, at=now - 30 * HOUR)
    make_run(failed, RunState.FAILED, now - HOUR, error_code="authentication", reason=f"{name} refused it.")
    told = {"place": failed.name, "cluster": cluster, "link": "/backups/"}
    alarms.raise_alarm("backup-failed", f"task {failed.pk}", cause="x", **told)
    alarms.raise_alarm("rehearsal-failed", f"task {failed.pk}", cause="x", **told)
    spaces.record(spaces.Place.of("SFTP", failed.destination), Space(1, 100), now, failed.pk)
    make_run(make_task(f"{name}-late", cluster=cluster), RunState.POSTPONED, now - HOUR, reason="Postponed: late.")
    unproven = make_task(f"{name}-unproven", cluster=cluster, rehearse_after_days=30)
    make_run(unproven, at=now - HOUR, parameters={"read_back": False})
    make_task(f"{name}-new", cluster=cluster, mode=Mode.PERIODIC, started=now, next_run_at=now + HOUR)
    make_run(make_task(f"{name}-runs", cluster=cluster), RunState.RUNNING, now)
    make_run(make_task(f"{name}-waits", cluster=cluster), RunState.WAITING, now)
    Cluster.objects.create(name=f"{name}-bare")
    return failed


def limited(user: User, *clusters: Cluster) -> None:
    Person.objects.update_or_create(user=user, defaults={"limited": True})[0].clusters.set(clusters)


def test_a_limited_person_sees_the_own_clusters_only(
    login: Login, person: Callable[[str], User], make_task: MakeTask, make_run: MakeRun
) -> None:
    mine, theirs = (busy(make_task, make_run, name) for name in ("mine", "theirs"))
    client = login(ADMINISTRATOR)
    assert "theirs" in home(client)
    limited(person(ADMINISTRATOR), mine.cluster)
    for query in ("", "?space=all&todo=all", f"?chart=t{theirs.pk}", f"?chart=c{theirs.cluster_id}"):
        text = home(client, query)
        assert "theirs" not in text, query
        assert "mine-failed" in text
    assert heading(text) == "mine is not protected."
    assert "Last 24 hours: 3 runs," in text
    keys = f"{mine.pk},{theirs.pk}"
    assert "theirs" not in client.get(f"/home/news/?ids={keys}&chart=t{theirs.pk}").content.decode()


def test_a_person_limited_to_nothing_sees_nothing(
    login: Login, person: Callable[[str], User], make_task: MakeTask, make_run: MakeRun
) -> None:
    busy(make_task, make_run, "theirs")
    client = login(ADMINISTRATOR)
    limited(person(ADMINISTRATOR))
    text = home(client)
    assert "theirs" not in text
    assert todos(text) == []


def count(client: Client, url: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as found:
        assert client.get(url).status_code == 200
    return len(found)


def test_the_number_of_queries_does_not_depend_on_how_much_there_is(
    login: Login, make_task: MakeTask, make_run: MakeRun
) -> None:
    client = login(ADMINISTRATOR)
    first = busy(make_task, make_run, "a")
    busy(make_task, make_run, "b")
    urls = ["/", "/?todo=all&space=all", f"/?chart=c{first.cluster_id}&days=365", f"/home/news/?ids={first.pk}"]
    home(client)
    few = [count(client, url) for url in urls]
    for number in range(4):
        busy(make_task, make_run, f"c{number}")
    many = [count(client, url) for url in urls]
    # The first page of strips now holds fewer kinds of trouble, each of which is one query.
    assert all(later <= first for later, first in zip(many, few, strict=True)), (few, many)
    assert max(few) <= MOST_QUERIES, few


# With those of session, person and shell.
MOST_QUERIES = 45


def test_a_calm_page_asks_less(login: Login, task: BackupTask) -> None:
    client = login(ADMINISTRATOR)
    home(client)
    assert count(client, "/") <= 32
