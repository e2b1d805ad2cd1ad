"""The process that asks IoTDB: its limit, its end, and what it is told."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.errors import RunStopped
from tasks.iotdb import client
from tasks.iotdb.base import Account, Endpoint
from tasks.iotdb.client import NotAsked, ask_health, take_inventory
from tests.patience import Stopwatch

ANNA = Account("anna", "Sesame-4711")
NOBODY_THERE = Endpoint("127.0.0.1", 1)


@pytest.fixture(name="instead")
def instead_of_the_child(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that puts other Python code in the place of the child."""

    def put(code: str) -> None:
        monkeypatch.setattr(client, "COMMAND", (sys.executable, "-c", code))

    return put


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_nobody_there_is_told_at_once() -> None:
    health = ask_health(ANNA, [NOBODY_THERE])
    assert (health.well, health.answered) == (False, False)
    assert health.words.startswith("127.0.0.1:1 cannot be reached")


def test_without_an_endpoint_there_is_nobody_to_ask() -> None:
    assert ask_health(ANNA, []).words == "No DataNode is known to ask."


def test_a_listener_that_never_answers_costs_no_more_than_the_limit() -> None:
    began = Stopwatch()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        health = ask_health(ANNA, [Endpoint("127.0.0.1", silent.getsockname()[1])], seconds=6)
    assert not health.well
    assert began.seconds < 9


def test_a_child_that_does_not_end_is_killed_at_the_limit(instead: Callable[[str], None], tmp_path: Path) -> None:
    note = tmp_path / "pid"
    instead(f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(600)")
    began = Stopwatch()
    assert ask_health(ANNA, [NOBODY_THERE], seconds=2).words == "IoTDB did not answer in 2 s."
    assert began.seconds < 5
    assert not alive(int(note.read_text()))


def test_a_child_that_breaks_off_is_no_whole_answer(instead: Callable[[str], None], tmp_path: Path) -> None:
    instead('print(\'{"type":"series","path":"root.a.b"}\')')
    with pytest.raises(NotAsked, match="ended early"):
        take_inventory(ANNA, [NOBODY_THERE], tmp_path / "inventory.json")
    assert list(tmp_path.iterdir()) == []


def test_a_stop_ends_the_asking(instead: Callable[[str], None], tmp_path: Path) -> None:
    note = tmp_path / "pid"
    instead(f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(600)")

    def check() -> None:
        if note.exists():
            raise RunStopped("anna stopped the run.")

    with pytest.raises(RunStopped):
        take_inventory(ANNA, [NOBODY_THERE], tmp_path / "inventory.json", check=check)
    assert not alive(int(note.read_text()))


def test_the_password_is_neither_in_the_arguments_nor_in_the_environment_of_the_child(
    instead: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    monkeypatch.setenv("SECRETS_KEY", "console's own")
    instead(
        "import os, sys; "
        f"open({str(seen)!r}, 'w').write(open('/proc/self/cmdline').read() + repr(dict(os.environ)) + os.getcwd())"
    )
    ask_health(ANNA, [NOBODY_THERE])
    assert "4711" not in seen.read_text()
    assert "SECRETS_KEY" not in seen.read_text()


def test_a_prefix_comes_before_the_command(tmp_path: Path) -> None:
    assert ask_health(ANNA, [NOBODY_THERE], within=("/usr/bin/env", "X=1")).words.startswith("127.0.0.1:1 cannot be")


def test_the_child_ends_when_its_parent_is_gone() -> None:
    """The child waits for a silent listener; its parent is killed."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        request = {"call": "health", "user": "anna", "password": "x", "until": time.monotonic() + 600}
        request["endpoints"] = [["127.0.0.1", silent.getsockname()[1]]]
        line = json.dumps(request).encode() + b"\n"
        code = (
            "import subprocess, sys, time; "
            f"child = subprocess.Popen({list(client.COMMAND)!r}, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL); "
            f"child.stdin.write({line!r}); child.stdin.flush(); "
            "print(child.pid, flush=True); time.sleep(600)"
        )
        parent = subprocess.Popen([sys.executable, "-c", code], cwd=client.ROOT, stdout=subprocess.PIPE)
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        silent.settimeout(60)
        silent.accept()[0].close()  # the look whether anybody listens
        connection = silent.accept()[0]
        assert alive(pid)
        parent.send_signal(signal.SIGKILL)
        parent.communicate()
        end = time.monotonic() + 20
        while alive(pid) and time.monotonic() < end:
            time.sleep(0.2)
        connection.close()
        assert not alive(pid)
