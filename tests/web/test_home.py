"""The homepage as a whole: where it is, what it says empty, its tiles, what protects a cluster, how it refreshes."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tasks.models import Alarm, BackupTask, Cluster, Maintenance, Run
from tasks.permissions import VIEWER
from tasks.states import Kind, Mode, RunState
from tests.conftest import Login, MakeRun, MakeTask
from tests.web.home_kit import DAY, HOUR, admin, heading, home, now, strips, todos, well, words
from tests.web.list_kit import squeezed

__all__ = ["admin", "now"]
GB = 10**9


# --- Where it is ----------------------------------------------------------------------------------------------------
def test_it_is_the_first_entry_and_the_page_after_login(admin: Client, person: Any) -> None:
    text = home(admin)
    menu = re.search(r'<nav aria-label="Main">(.*?)</nav>', text)
    assert menu
    assert re.findall(r'<a href="([^"]*)"', menu[1])[:2] == ["/", "/clusters/"]
    assert 'href="/" aria-current="page"' in menu[1] and "Homepage</a>" in menu[1]
    assert "<title>Homepage - Backup Console</title>" in text
    assert 'aria-label="Breadcrumb"' not in text
    person(VIEWER, "eva")
    response = Client().post("/login/", {"username": "eva", "password": "correct-horse-battery-9"})
    assert response.headers["Location"] == "/"


def test_maintenance_is_told_and_a_click_away(admin: Client, login: Login, task: BackupTask, now: datetime) -> None:
    assert "maintenance-notice" in news(admin, home(admin))
    Maintenance.objects.create(pk=1, since=now, set_by="anna", reason="The switch is replaced.")
    text = home(admin)
    assert "set by anna:</b> The switch is replaced." in text
    assert "The switch is replaced." in news(admin, text)
    button = f'href="{reverse("maintenance")}">'
    assert button in text.partition("page-actions")[2][:200]
    assert button not in home(login(VIEWER)).partition("page-actions")[2][:200]


# --- Nothing there yet ----------------------------------------------------------------------------------------------
def test_first_steps_without_a_cluster(admin: Client, login: Login) -> None:
    text = home(admin)
    assert heading(text) == "No cluster is registered yet."
    assert "First steps" in text and 'aria-current="step"' in text
    assert reverse("cluster-new") in text and reverse("task-new") not in text
    assert "A Backup Administrator can do it." in home(login(VIEWER))
    assert reverse("cluster-new") not in home(login(VIEWER))


def test_first_steps_without_a_task(admin: Client, cluster: Cluster) -> None:
    text = home(admin)
    assert heading(text) == "plant is not protected."
    assert "No backup tasks yet" in text and reverse("task-new") in text
    assert [todo.title for todo in todos(text)] == ["Nothing backs up plant"]


def test_unknown_values_in_the_address_are_passed_over(admin: Client, task: BackupTask) -> None:
    assert home(admin, "?page=-1&chart=x&days=7&space=b&todo=c")
    assert home(admin, "?page=99999999999999999999&chart=t99999999999999999999&days=%00")
    assert home(admin, f"?page=9&chart=t{task.pk + 1}")


# --- Figures --------------------------------------------------------------------------------------------------------
def tile(text: str, label: str) -> str:
    found = re.search(rf'<div class="tile"><dt>{label}</dt>(.*?)</div>', text)
    assert found, label
    return words(found[1].replace("</dd>", "; "))


def test_the_tiles(admin: Client, make_task: MakeTask, make_run: MakeRun, now: datetime) -> None:
    east, west = make_task("east"), make_task("west", cluster=Cluster.objects.create(name="west"))
    make_run(east, at=now - 49 * HOUR - HOUR / 60, size=3 * GB)
    make_run(west, at=now - HOUR, size=GB)
    make_run(west, at=now - HOUR / 2, size=GB)
    well(east, last_rehearsed_at=now - 3 * DAY)
    well(west, last_verified_at=None)
    text = home(admin)
    assert tile(text, "Clusters protected off host") == "2 of 2; All have a recent copy on another host;"
    assert tile(text, "Oldest last success") == "2 days 1 h ago; east;"
    assert tile(text, "Proven restorable") == "1 of 2; Last rehearsal 3 days ago;"
    assert tile(text, "Kept") == "3 sets; 5.00 GB;"


def test_the_tiles_where_there_is_nothing(admin: Client, task: BackupTask) -> None:
    text = home(admin)
    assert tile(text, "Clusters protected off host") == "0 of 1; 1 has no recent copy on another host;"
    assert tile(text, "Oldest last success") == "None; No periodic task has succeeded yet;"
    assert tile(text, "Proven restorable") == "0 of 1; No set was rehearsed yet;"
    assert tile(text, "Kept") == "0 sets; 0 B;"


@pytest.mark.parametrize(
    ("fields", "protected"),
    [
        ({}, True),
        ({"path_type": "LocalDir", "destination": {}}, False),
        ({"mode": Mode.MANUAL}, False),
        ({"suspended": True, "expected_at": None}, False),
        ({"sets_kept": 0}, False),
        ({"expected_at": datetime(2026, 1, 1, tzinfo=UTC)}, False),
    ],
    ids=["off host", "this host only", "by hand", "suspended", "no set", "overdue"],
)
def test_what_protects_a_cluster(
    fields: dict[str, Any], protected: bool, admin: Client, task: BackupTask, make_run: MakeRun, now: datetime
) -> None:
    make_run(task, at=now - HOUR)
    well(task, **fields)
    assert heading(home(admin)).startswith("plant is protected" if protected else "plant is not protected")


def test_whoever_is_content_with_this_host_said_so(
    admin: Client, task: BackupTask, make_run: MakeRun, now: datetime
) -> None:
    make_run(task, at=now - HOUR)
    well(task, path_type="LocalDir", destination={})
    told = {"cluster": task.cluster, "code": "no-remote-task", "severity": "major", "name": "No Task"}
    alarm = Alarm.objects.create(subject=f"cluster {task.cluster_id}", cause="x", **told)
    assert heading(home(admin)) == "plant is not protected."
    Alarm.objects.filter(pk=alarm.pk).update(acknowledged_at=now)
    assert heading(home(admin)) == "plant is protected."


def test_how_the_last_day_went(admin: Client, task: BackupTask, make_run: MakeRun, now: datetime) -> None:
    for state, hours in (("successful", 1), ("failed", 2), ("postponed", 3), ("successful", 23), ("failed", 25)):
        make_run(task, RunState(state), now - hours * HOUR)
    make_run(task, at=now - HOUR, kind=Kind.CHECK, subject=Run.objects.filter(task=task).first())
    assert "Last 24 hours: 4 runs, 2 successful, 1 failed, 1 postponed." in home(admin)


# --- It refreshes ---------------------------------------------------------------------------------------------------
def news(client: Client, text: str) -> str:
    poll = re.search(r'data-poll="([^"]*)"', text)
    assert poll
    response = client.get(poll[1].replace("&amp;", "&"), headers={"HX-Request": "true"})
    assert response.status_code == 200
    return squeezed(response.content.decode())


def test_what_is_sent_anew(admin: Client, make_task: MakeTask, make_run: MakeRun, now: datetime) -> None:
    good, other = make_task("a-good"), make_task("b-other")
    make_run(good, at=now - HOUR)
    text = home(admin, "?days=90")
    make_run(other, RunState.FAILED, now)
    fresh = news(admin, text)
    for key in ("home-verdict", "home-attention", "home-tiles", "home-agenda", "space", "pace", "chart-size"):
        assert re.search(rf'id="{key}"[^>]*hx-swap-oob="true"', fresh), key
    assert list(strips(fresh)) == ["a-good", "b-other"], "rows stay where they are being read"
    assert strips(fresh)["b-other"][0] == "1 hour failed"
    assert "<html" not in fresh and "days=90" in fresh
    assert list(strips(home(admin))) == ["b-other", "a-good"]


@pytest.mark.parametrize("ids", ["", "x", "1,,2", "9" * 30, "1" * 5000])
def test_nonsense_for_ids_is_answered(ids: str, admin: Client, task: BackupTask) -> None:
    assert admin.get("/home/news/", {"ids": ids}).status_code == 200


def test_a_proof_that_is_in_doubt_says_so_by_more_than_a_colour(
    admin: Client, make_task: MakeTask, make_run: MakeRun, now: datetime
) -> None:
    good, bad = make_task("good"), make_task("bad")
    for task in (good, bad):
        make_run(task)
        BackupTask.objects.filter(pk=task.pk).update(last_checked_at=now - HOUR, check_after_days=7)
    BackupTask.objects.filter(pk=bad.pk).update(proof_problem='The set of "Monday" & others is damaged')
    text = home(admin)
    lines = {name: re.search(rf">{name}</a>.*?</li>", text)[0] for name in ("good", "bad")}  # type: ignore[index]
    proofs = {name: line.partition('<span class="proof')[2] for name, line in lines.items()}
    assert "i-shieldx" in proofs["bad"] and "<svg" not in proofs["good"]
    assert "is damaged" not in proofs["good"]
    says = 'Every byte checked 1 h ago. The set of "Monday" & others is damaged'
    for place in ('title="([^"]*)"', '<span class="visually-hidden">([^<]*)<'):
        found = re.search(place, proofs["bad"])
        assert found and html.unescape(found[1]) == says
