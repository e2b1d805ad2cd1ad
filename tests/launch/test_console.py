"""The launcher with real processes: what it starts works, is watched, and is gone when it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.live import ROOT, LiveConsole

pytestmark = pytest.mark.process


@pytest.fixture
def console(tmp_path: Path) -> Iterator[LiveConsole]:
    console = LiveConsole(tmp_path)
    yield console
    console.kill()


def page(console: LiveConsole) -> int:
    """Return the status of the login page, 0 where nobody answers."""
    try:
        with urllib.request.urlopen(console.address + "login/", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def wait_until_gone(console: LiveConsole, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while left := console.left_over():
        assert time.monotonic() < deadline, [process.cmdline() for process in left if process.is_running()]
        time.sleep(0.1)


def demo(console: LiveConsole, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the demonstration once to its end."""
    command = [sys.executable, str(ROOT / "manage.py"), "demo", "--once"]
    environment = console.environment | settings
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=180)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "term"])
def test_it_serves_until_it_is_told_to_end_and_nothing_is_left(console: LiveConsole, number: int) -> None:
    console.start()
    assert page(console) == 200
    assert "There is no administrator yet. Make one in another terminal: make admin" in console.log
    os.kill(console.pid, number)
    assert psutil.Process(console.pid).wait(40) in (0, None)
    assert console.stop() == 0
    assert console.left_over() == []
    assert page(console) == 0


def test_a_web_server_that_dies_is_started_again_on_its_port(console: LiveConsole) -> None:
    console.start()
    web = next(process for process in console.left_over() if "gunicorn" in " ".join(process.cmdline()))
    while (parent := web.parent()) is not None and "gunicorn" in " ".join(parent.cmdline()):
        web = parent
    web.kill()
    deadline = time.monotonic() + 30
    while "The web server ended (signal SIGKILL) and is started again." not in console.log or page(console) != 200:
        assert time.monotonic() < deadline, console.log
        time.sleep(0.2)


def test_nothing_outlives_a_launcher_that_is_killed(console: LiveConsole) -> None:
    console.start()
    os.kill(console.pid, signal.SIGKILL)
    console.stop()
    wait_until_gone(console, 30)


def test_a_port_that_is_taken_is_named(console: LiveConsole) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = demo(console, PORT=str(port))
    assert done.returncode == 1
    assert f"Port {port} of 127.0.0.1 cannot be used: Address already in use." in done.stderr
    assert "PORT=" in done.stderr
    assert console.left_over() == []


def test_a_second_console_on_the_same_data_is_refused(console: LiveConsole) -> None:
    console.start()
    second = LiveConsole(console.data)
    done = demo(second)
    assert done.returncode == 1, done.stdout
    assert f"A console runs on {console.data} already, as process {console.pid}." in done.stderr
    assert page(console) == 200


def test_the_demonstration_proves_a_backup_and_carries_on_the_second_time(console: LiveConsole) -> None:
    first = demo(console)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "(shown this once)" in first.stdout
    assert "node1/conf/iotdb-system.properties" in first.stdout
    assert "Proven:   GNU tar reads it to its end" in first.stdout
    assert console.left_over() == []
    second = demo(console)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "(shown this once)" not in second.stdout
    archives = list((console.data / "storage" / "LocalBackup").glob("sample-on-demand_*/*.tar.gz"))
    assert len(archives) == 2
    for path in archives:
        assert str(path) in first.stdout + second.stdout
    assert console.left_over() == []


def test_the_demonstration_says_why_when_there_is_nothing_to_prove(console: LiveConsole) -> None:
    (console.data / "sample-home").mkdir()
    done = demo(console)
    assert done.returncode == 1
    assert "The backup ended as Failed:" in done.stderr
    assert "Proven" not in done.stdout
    assert console.left_over() == []


def test_a_disk_without_room_is_named_before_anything_starts(console: LiveConsole) -> None:
    done = demo(console, FREE_SPACE_FLOOR_MB="999999999")
    assert done.returncode == 1
    assert "have to stay free" in done.stderr
    assert "DATA_DIR" in done.stderr
