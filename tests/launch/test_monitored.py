"""A whole console as a monitor and a collector of logs see it: probes of real processes, and lines that are JSON."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import LiveConsole

pytestmark = pytest.mark.process
ORDER = """
from django.utils import timezone
from tasks import services
from tasks.audit import CONSOLE
from tasks.models import BackupTask, Cluster
plant = Cluster.objects.create(name="plant")
task = BackupTask.objects.create(name="daily", cluster=plant, mode="manual", path_type="LocalDir", copies=1)
services.back_up_now(CONSOLE, task, timezone.now())
"""


@pytest.fixture
def console(tmp_path: Path) -> Iterator[LiveConsole]:
    console = LiveConsole(tmp_path, {"LOG_FORMAT": "json", "ACCESS_LOG": "yes"})
    console.manage("migrate", "-v0")
    console.manage("shell", "-c", ORDER)
    yield console
    console.kill()


def get(console: LiveConsole, path: str, method: str = "GET") -> tuple[int, str]:
    """Return the status and the text of an answer."""
    request = urllib.request.Request(console.address + path, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_for(console: LiveConsole, what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline, f"{what}:\n{console.log[-4000:]}"
        time.sleep(0.2)


def lines(console: LiveConsole) -> list[dict[str, Any]]:
    """Return the lines of the log, all of which are objects, whoever of the console wrote them."""
    return [json.loads(line) for line in console.log.splitlines()]


def test_monitors_and_collectors_of_logs(console: LiveConsole) -> None:
    console.start()
    assert get(console, "livez") == (200, '{"status": "ok"}')
    wait_for(console, "ready", lambda: get(console, "readyz")[0] == 200)
    ended = 'backupconsole_runs_total{cluster="plant",kind="backup",state="failed"} 1'
    wait_for(console, "the run ended", lambda: ended in get(console, "metrics")[1])
    assert (
        'backupconsole_task_last_run_state{task="daily",cluster="plant",state="failed"} 1' in get(console, "metrics")[1]
    )
    of_run = [line for line in lines(console) if line["logger"] == "tasks.run"]
    assert {(line["run"], line["task"], line["cluster"]) for line in of_run} == {(1, "daily", "plant")}
    assert {"INFO", "ERROR"} <= {line["level"] for line in of_run}
    with urllib.request.urlopen(console.address + "login/?q=hidden", timeout=10) as answer:
        number = answer.headers["X-Request-ID"]
    wait_for(console, "the line of the request", lambda: number in console.log)
    written = next(line for line in lines(console) if line.get("request") == number)
    assert {key: written[key] for key in ("logger", "method", "path", "status", "address")} == {
        "logger": "gunicorn.access", "method": "GET", "path": "/login/", "status": 200, "address": "127.0.0.1"
    }  # fmt: skip
    assert written["bytes"] > 1000 and 0 < written["seconds"] < 60 and "hidden" not in console.log
    assert console.stop() == 0
    loggers = {line["logger"] for line in lines(console)}
    assert {"backupconsole.supervisor", "tasks.management.commands.runconsole"} <= loggers
