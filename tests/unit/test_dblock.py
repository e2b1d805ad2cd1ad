"""Who holds the database: read from the kernel, and blamed only where it is one of the group and for long."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from backupconsole import dblock
from backupconsole.dblock import LockWatch, writers_of
from backupconsole.processes import lock_holders
from tests.unit.test_watch import Clock, Group

HOLD = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA journal_mode=WAL")
database.execute("CREATE TABLE IF NOT EXISTS t (x)")
database.execute(sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


class Held:
    """A database, and processes that have it open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.processes: list[subprocess.Popen[str]] = []

    def by(self, statement: str) -> int:
        """Let a process of its own do ``statement`` and stay; return its id."""
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(self.path), statement],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        assert process.stdout and process.stdout.readline() == "held\n"
        return process.pid

    def writers(self) -> set[int]:
        """Return who holds it, as the kernel says."""
        return writers_of(self.path)

    def end(self) -> None:
        """End them all."""
        for process in self.processes:
            process.communicate()


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    """A database that only the test's processes know."""
    held = Held(tmp_path / "console.sqlite3")
    yield held
    held.end()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Clock:
    """A clock to move, with the default times."""
    settings.STALL_SECONDS = 15
    clock = Clock()
    monkeypatch.setattr(dblock, "time", clock)
    return clock


def test_who_writes_is_known_and_who_reads_is_not_blamed(held: Held) -> None:
    assert held.writers() == set()
    held.by("BEGIN")
    writer = held.by("BEGIN IMMEDIATE")
    assert held.writers() == {writer}
    assert lock_holders(Path(f"{held.path}-shm"), 121) == set(), "nobody moves the log into the database"
    held.end()
    assert held.writers() == set()


def test_a_member_that_holds_it_at_each_look_is_told_of(held: Held, clock: Clock) -> None:
    group = Group(clock)
    watch = LockWatch(group, held.writers)  # type: ignore[arg-type]
    writer = held.by("BEGIN IMMEDIATE")
    group.pids = {writer}
    assert watch.look() == ""
    clock.now += 29
    assert watch.look() == ""
    clock.now += 1
    assert watch.look() == f"process {writer} has kept the database locked for 30 s"
    watch.usable()
    assert watch.look() == "", "one that let go in between begins anew"


def test_somebody_else_who_holds_it_is_no_reason(held: Held, clock: Clock) -> None:
    """Nothing is gained by new workers, and what they work on is lost."""
    watch = LockWatch(Group(clock), held.writers)  # type: ignore[arg-type]
    held.by("BEGIN IMMEDIATE")
    for _ in range(3):
        assert watch.look() == ""
        clock.now += 600


@pytest.mark.django_db
def test_nobody_waits_for_a_lock_for_ever() -> None:
    said = []
    with connection.cursor() as cursor:
        questions = {
            "sqlite": ["PRAGMA busy_timeout"],
            "postgresql": ["SHOW lock_timeout", "SHOW idle_in_transaction_session_timeout"],
        }
        for question in questions[connection.vendor]:
            cursor.execute(question)
            said.append(cursor.fetchone()[0])
    assert said == ([20_000] if connection.vendor == "sqlite" else ["20s", "1min"])
