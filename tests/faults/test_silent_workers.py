"""F9: what ticks stands still. The page says so, the alarm is raised by whoever looks, and the tick ends it."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import time
from contextlib import closing
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from tasks import alarms
from tasks.engine import dispatch
from tasks.engine.watches import silence
from tasks.engine.watches.silence import Lookout
from tasks.models import Alarm, Pulse
from tasks.permissions import VIEWER, seed_roles
from tests.faults.conftest import Workers, until, with_signal

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("workers")]


def raised() -> bool:
    return alarms.uncleared().filter(code="workers-silent").exists()


def test_workers_that_stand_still_are_told_of_by_a_page_until_they_go_on(
    workers: Workers, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "WEB", Lookout())
    seed_roles(apps)
    user = User.objects.create_user("viewer")
    user.groups.add(Group.objects.get(name=VIEWER))
    client = Client()
    client.force_login(user)
    supervisor = workers.start_ready(TICK_SILENCE_SECONDS="120", STALL_SECONDS="120")
    assert "Workers running" in client.get("/alarms/").content.decode()

    # Only now: on a busy machine the first page alone may take as long.
    settings.TICK_SILENCE_SECONDS = 4
    everybody = freeze(workers, supervisor.pid)
    try:
        until(lambda: "The workers have been silent" in client.get("/alarms/").content.decode(), 20, "the notice")
        until(lambda: bool(client.get("/alarms/news/")) and raised(), 20, "the alarm")
    finally:
        for pid in everybody:
            with_signal(pid, signal.SIGCONT)
    # Not waiting for the minute.
    dispatch.request_tick()
    until(lambda: not raised(), 90, "a tick that clears it")
    assert Alarm.objects.get(code="workers-silent").cleared_by == alarms.CONSOLE
    assert os.path.exists(f"/proc/{supervisor.pid}")


def test_a_supervisor_whose_workers_do_not_tick_raises_it(workers: Workers) -> None:
    """The group is started anew again and again, and never comes as far as to tick."""
    workers.start_ready(TICK_SILENCE_SECONDS="4", STALL_SECONDS="120")
    freeze(workers)
    until(raised, 60, "the alarm")


def test_a_worker_that_holds_the_database_for_ever_is_replaced(workers: Workers) -> None:
    """Nobody else can write meanwhile: neither the supervisor that would have to say so nor a page."""
    workers.start_ready()
    hold_the_database(workers, seconds=20)
    dispatch.request_tick()
    until(lambda: is_locked(workers), 20, "a tick that holds the database")
    workers.wait_tick(timezone.now(), 120)
    told = r"database is locked; process (\d+) writes\b(.|\n)*: process \1 has kept the database locked for"
    assert re.search(told, workers.text())
    assert not is_locked(workers)


def freeze(workers: Workers, *others: int) -> list[int]:
    """Let everything that works, and ``others``, stand still, and nobody in the middle of writing; return who does."""

    def attempt() -> list[int]:
        everybody = [*others, *(process.pid for process in workers.processes())]
        for pid in everybody:
            with_signal(pid, signal.SIGSTOP)
        if not is_locked(workers):
            return everybody
        for pid in everybody:
            with_signal(pid, signal.SIGCONT)
        return []

    found: list[int] = until(attempt, 30, "workers that do not write")
    return found


def hold_the_database(workers: Workers, seconds: int) -> None:
    """Let a tick that begins within the next ``seconds`` write for ever: its transaction comes to no end."""
    with closing(sqlite3.connect(workers.data_dir / "console.sqlite3")) as database:
        database.execute(
            f"""CREATE TRIGGER endless BEFORE UPDATE ON {Pulse._meta.db_table}
                WHEN NEW.name = 'tick' AND unixepoch() < {int(time.time()) + seconds}
                BEGIN SELECT count(*) FROM
                (WITH RECURSIVE more(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more) SELECT n FROM more); END"""
        )


def is_locked(workers: Workers) -> bool:
    """Tell whether somebody keeps others from writing for half a second."""
    with closing(sqlite3.connect(workers.data_dir / "console.sqlite3", timeout=0.5)) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        return False
