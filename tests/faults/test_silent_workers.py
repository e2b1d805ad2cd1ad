"""F9: what ticks stands still. The page says so, the alarm is raised by whoever looks, and the tick ends it."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.test import Client

from tasks import alarms
from tasks.engine import dispatch
from tasks.engine.watches import silence
from tasks.engine.watches.silence import Lookout
from tasks.models import Alarm
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
    everybody = [supervisor.pid, *(process.pid for process in workers.processes())]
    for pid in everybody:
        with_signal(pid, signal.SIGSTOP)
    try:
        until(lambda: "The workers have been silent" in client.get("/alarms/").content.decode(), 20, "the notice")
        until(lambda: bool(client.get("/alarms/news/")) and raised(), 20, "the alarm")
    finally:
        for pid in everybody:
            with_signal(pid, signal.SIGCONT)
    # Not waiting for the minute.
    dispatch.request_tick()
    until(lambda: not raised(), 90, f"a tick that clears it\n{workers.text()}")
    assert Alarm.objects.get(code="workers-silent").cleared_by == alarms.CONSOLE
    assert os.path.exists(f"/proc/{supervisor.pid}")


def test_a_supervisor_whose_workers_do_not_tick_raises_it(workers: Workers) -> None:
    """The group is started anew again and again, and never comes as far as to tick."""
    workers.start_ready(TICK_SILENCE_SECONDS="4", STALL_SECONDS="120")
    for process in workers.processes():
        with_signal(process.pid, signal.SIGSTOP)
    until(raised, 60, f"the alarm\n{workers.text()}")
