"""Child processes: started in a group of their own, ended as a whole, and never left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from backupconsole.children import Child

SLEEPER = "import time; time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
FAMILY = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); time.sleep(60)"


@pytest.fixture
def children() -> Iterator[list[Child]]:
    made: list[Child] = []
    yield made
    for child in made:
        child.stop(0)


def child_of(children: list[Child], code: str) -> Child:
    child = Child("helper", [sys.executable, "-c", code], os.environ)
    children.append(child)
    child.start()
    return child


def wait_for(condition: object, seconds: float = 10) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def test_a_running_child_has_not_ended_and_is_in_a_group_of_its_own(children: list[Child]) -> None:
    child = child_of(children, SLEEPER)
    assert child.ended() is None
    assert child.pid is not None
    wait_for(lambda: os.getpgid(child.pid or 0) == child.pid)


def test_the_exit_status_is_told(children: list[Child]) -> None:
    child = child_of(children, "raise SystemExit(3)")
    wait_for(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    assert child.ended() == 3


def test_a_child_that_listens_ends_by_itself(children: list[Child]) -> None:
    child = child_of(children, SLEEPER)
    began = time.monotonic()
    child.terminate()
    child.stop(began + 20)
    assert time.monotonic() - began < 5
    assert not psutil.pid_exists(child.pid or 0)


def test_a_child_that_does_not_listen_is_killed_at_the_deadline(tmp_path: Path) -> None:
    child = Child("helper", [sys.executable, "-c", DEAF], os.environ)
    child.start()
    time.sleep(0.3)
    child.terminate()
    child.stop(time.monotonic() + 0.3)
    assert not psutil.pid_exists(child.pid or 0)


def test_what_a_child_started_goes_with_it(children: list[Child]) -> None:
    child = child_of(children, FAMILY)
    parent = psutil.Process(child.pid)
    wait_for(lambda: parent.children())
    grandchild = parent.children()[0].pid
    os.kill(parent.pid, 9)
    wait_for(lambda: parent.status() == psutil.STATUS_ZOMBIE)
    assert child.ended() == -9
    wait_for(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE)


def test_a_child_that_keeps_ending_is_given_up() -> None:
    child = Child("helper", ["true"], {})
    assert [child.may_restart() for _ in range(5)] == [True, True, True, True, False]


def test_a_child_ends_when_its_parent_is_killed() -> None:
    code = (
        "import os, sys, time\n"
        "from backupconsole.children import Child\n"
        f"child = Child('x', [sys.executable, '-c', {SLEEPER!r}], os.environ)\n"
        "child.start(); print(child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        grandchild = int(parent.stdout.readline())
        parent.kill()
    wait_for(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE)
