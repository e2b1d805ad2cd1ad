"""The homepage as a whole: where it is, its figures, strips, charts, what comes next, space, and what it says empty."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from storage.base import Space
from tasks.engine import spaces
from tasks.models import BackupTask, Cluster, DestinationSpace, Run
from tasks.permissions import ADMINISTRATOR, VIEWER
from tasks.states import Kind, Mode, RunState
from tests.conftest import Login, MakeRun, MakeTask
from tests.web.home_kit import SFTP, heading, home, stop_the_clock, todos, well, words
from tests.web.list_kit import squeezed

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
GB = 10**9


@pytest.fixture(autouse=True)
def now(db: None, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Noon."""
    return stop_the_clock(monkeypatch)


@pytest.fixture
def admin(login: Login) -> Client:
    """The browser of somebody who may do everything."""
    return login(ADMINISTRATOR)


def part(text: str, key: str) -> str:
    """Return the section with that id."""
    found = re.search(rf'<(section|dl)[^>]*id="{key}".*?</\1>', text)
    assert found, key
    return found[0]


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
    from tasks.models import Alarm

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


# --- Strips ---------------------------------------------------------------------------------------------------------
def strips(text: str) -> dict[str, list[str]]:
    found = re.findall(r'<svg class="strip" role="img" aria-label="(.*?), last (24 hours|30 days): (.*?)"', text)
    named: dict[str, list[str]] = {}
    for name, _, says in found:
        named.setdefault(name, []).append(says)
    return named


def test_strips_of_each_task_with_trouble_first(
    admin: Client, make_task: MakeTask, make_run: MakeRun, now: datetime
) -> None:
    good, bad = make_task("a-good"), make_task("b-bad")
    for age in range(4, -1, -1):
        make_run(good, at=now - age * DAY)
        make_run(bad, RunState.FAILED if age < 2 else RunState.SUCCESSFUL, now - age * DAY)
    make_task("c-new")
    text = part(home(admin), "home-strips")
    assert strips(text) == {
        "b-bad": ["1 hour failed", "2 days failed, 3 days successful"],
        "a-good": ["1 hour successful", "5 days successful"],
        "c-new": ["no runs", "no runs"],
    }
    assert "strip-fail" in text and "style=" not in text
    table = re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td><td>(.*?)</td>', text)
    assert table[0][2].endswith(": 2026-11-23 failed, 2026-11-24 failed")


def test_a_page_of_strips_at_a_time(admin: Client, make_task: MakeTask) -> None:
    for number in range(23):
        make_task(f"t-{number:02}")
    first = part(home(admin), "home-strips")
    assert list(strips(first)) == [f"t-{number:02}" for number in range(10)]
    assert "1 to 10 of 23" in first and 'rel="next" href="?page=2#home-strips"' in first
    last = part(home(admin, "?page=3"), "home-strips")
    assert list(strips(last)) == ["t-20", "t-21", "t-22"]
    assert 'rel="prev" href="/?page=2#home-strips"' in last and 'rel="next"' not in last


def test_a_run_that_is_under_way_is_in_the_strip(admin: Client, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, RunState.RUNNING, timezone.now())
    assert strips(home(admin))["task-1"] == ["one run under way", "one run under way"]


# --- Charts ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def grown(make_task: MakeTask, make_run: MakeRun, now: datetime) -> BackupTask:
    """A task whose set grew by 10 MB a day for forty days."""
    task = make_task("east-daily")
    for age in range(40, 0, -1):
        began = now - age * DAY + HOUR / 60
        ended = began + timedelta(seconds=60 + age)
        make_run(task, at=began, size=1_900_000_000 - age * 10_000_000, ended_at=ended, verified_at=ended)
    return task


def test_sizes_and_durations_of_a_task(admin: Client, grown: BackupTask, now: datetime) -> None:
    text = part(home(admin), "home-growth")
    says = "The set of east-daily rose from 1.60 GB on 2026-10-25 to 1.89 GB on 2026-11-23."
    assert f'<figcaption id="size-says">{says}</figcaption>' in text
    assert "A run of east-daily fell from 1 min 30 s on 2026-10-25 to 1 min 1 s on 2026-11-23." in text
    assert 'role="img" aria-labelledby="size-says"' in text
    assert text.count("<polyline") == 2 and ">1.70 GB</text>" in text
    rows = re.findall(r'<th scope="row"><time [^>]*>(.*?)</time></th><td>(.*?)</td>', text)
    assert rows[0] == ("2026-11-23", "1.89 GB")
    assert len(rows) == 60
    assert f'<option value="t{grown.pk}" selected>east-daily</option>' in text


def test_a_longer_time(admin: Client, grown: BackupTask) -> None:
    text = part(home(admin, f"?chart=t{grown.pk}&days=90"), "home-growth")
    assert "rose from 1.50 GB" in text
    assert '<option value="90" selected>' in text


def test_the_days_of_a_cluster(admin: Client, grown: BackupTask, make_task: MakeTask, make_run: MakeRun) -> None:
    other = make_task("other")
    make_run(other, at=timezone.now() - DAY, size=GB)
    text = part(home(admin, f"?chart=c{grown.cluster_id}"), "home-growth")
    assert "All sets of plant in a day rose from 1.60 GB" in text and "to 2.89 GB" in text
    assert "Duration of the runs of a day" in text
    assert f'<option value="c{grown.cluster_id}" selected>plant</option>' in text


def test_nothing_to_draw_is_said(admin: Client, task: BackupTask) -> None:
    text = part(home(admin), "home-growth")
    assert "The set of task-1: nothing in this time." in text
    assert "<svg" not in text and "Show as table" not in text


def test_a_task_of_another_page_can_be_chosen(admin: Client, make_task: MakeTask) -> None:
    tasks = [make_task(f"t-{number:02}") for number in range(12)]
    text = part(home(admin, f"?chart=t{tasks[11].pk}"), "home-growth")
    assert f'<option value="t{tasks[11].pk}" selected>t-11</option>' in text


# --- Now and next ---------------------------------------------------------------------------------------------------
def test_now_and_next(admin: Client, make_task: MakeTask, make_run: MakeRun, now: datetime) -> None:
    running = make_task("running")
    run = make_run(running, RunState.RUNNING, now - timedelta(minutes=1), bytes_expected=100, bytes_read=62)
    for number in range(6):
        make_run(make_task(f"waits-{number}"), RunState.WAITING, now - timedelta(seconds=50 - number))
    for number in range(9):
        make_task(f"next-{number}", mode=Mode.PERIODIC, started=now, next_run_at=now + (number + 1) * HOUR)
    make_task("paused", mode=Mode.PERIODIC, suspended=True, next_run_at=None)
    text = part(home(admin), "home-agenda")
    assert '<progress class="bar" max="100" value="62" aria-label="Progress of running">' in text
    assert re.findall(r"<b>(.*?)</b>", text) == ["running", "waits-0", "waits-1", "waits-2", "waits-3"]
    assert re.findall(r"after ([\w-]+)<", text) == ["running", "waits-0", "waits-1", "waits-2"]
    assert "2 more wait" in text
    assert re.findall(r">(next-\d)</a>", text) == [f"next-{number}" for number in range(7)]
    assert "1 task is suspended" in text
    assert run.pk and 'data-every="3"' in home(admin)


def test_a_check_says_what_it_is(admin: Client, task: BackupTask, make_run: MakeRun, now: datetime) -> None:
    subject = make_run(task, at=now - DAY)
    make_run(task, RunState.RUNNING, now, kind=Kind.CHECK, subject=subject, step="Reading back")
    text = part(home(admin), "home-agenda")
    assert '<b>task-1</b> <span class="muted">Check set</span>' in text and "Reading back" in text


def test_nothing_runs_and_nothing_will(admin: Client, task: BackupTask) -> None:
    text = home(admin)
    assert "Nothing runs, and no task is started by the system." in text
    assert 'data-every="30"' in text


# --- Space ----------------------------------------------------------------------------------------------------------
def test_space_per_destination(admin: Client, make_task: MakeTask, now: datetime, settings: Any) -> None:
    settings.SPACE_LOW_DAYS, settings.SPACE_LOW_PERCENT = 14, 5

    def used(name: str, server: str, *free: float | None) -> None:
        task = make_task(name, path_type="SFTP", destination={**SFTP, "server_ip": server})
        for place, each in enumerate(free):
            at = now - (len(free) - 1 - place) * DAY
            space = None if each is None else Space(int(each * GB), 100 * GB)
            spaces.record(spaces.Place.of("SFTP", task.destination), space, at, task.pk)

    used("a", "10.0.0.1", 60, 60, 60, 60, 60)
    used("b", "10.0.0.2", 14.5, 13.5, 12.5, 11.5, 10.5)
    used("c", "10.0.0.3", 0)
    used("d", "10.0.0.4", None)
    used("e", "10.0.0.5", 50)
    used("f", "10.0.0.6", 70, 69.9, 69.8, 69.7)
    text = part(home(admin), "space")
    rows = re.findall(r'<b>(?:<span class="seg">)?(.*?) .*?<span class="num ([^"]*)">(.*?)</span>', text)
    assert [(name, css.split()[0], left) for name, css, left in rows] == [
        ("10.0.0.2", "ico-warn", "10 days left"),
        ("10.0.0.3", "ico-fail", "Full"),
        ("10.0.0.6", "muted", "Over a year left"),
        ("10.0.0.1", "muted", "Not growing"),
        ("10.0.0.4", "muted", "Unknown"),
        ("10.0.0.5", "muted", "Days left not known yet"),
    ]
    assert "89.5 GB of 100 GB used" in text and "The destination does not tell its space." in text
    assert text.count("<progress") == 5


def test_the_most_urgent_destinations_and_all(admin: Client, task: BackupTask, now: datetime) -> None:
    for number in range(11):
        DestinationSpace.objects.create(
            key=f"{number}", label=f"disk-{number:02}", own=True, read_at=now, free_bytes=5, total_bytes=10
        )
    text = part(home(admin), "space")
    assert text.count("<li") == 8 and "3 more with more room" in text
    assert 'href="?space=all#space"' in text
    every = part(home(admin, "?space=all"), "space")
    assert every.count("<li") == 11 and 'href="/#space"' in every


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


def test_nothing_of_the_page_needs_inline_style_or_script(admin: Client, grown: BackupTask) -> None:
    text = home(admin)
    assert not re.search(r"\sstyle=|<script(?![^>]*src=)|\son\w+=", text)
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
