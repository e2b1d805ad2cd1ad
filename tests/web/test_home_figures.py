"""The homepage's strips, charts, agenda and space."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from storage.base import Space
from tasks.engine import spaces
from tasks.models import BackupTask, DestinationSpace
from tasks.states import Kind, Mode, RunState
from tests.conftest import MakeRun, MakeTask
from tests.web.home_kit import DAY, HOUR, SFTP, admin, home, now, part, strips

__all__ = ["admin", "now"]
GB = 10**9


# --- Strips ---------------------------------------------------------------------------------------------------------
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


def test_nothing_of_the_page_needs_inline_style_or_script(admin: Client, grown: BackupTask) -> None:
    text = home(admin)
    assert not re.search(r"\sstyle=|<script(?![^>]*src=)|\son\w+=", text)
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
