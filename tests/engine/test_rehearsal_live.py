"""Rehearsals beside the live server that the set is of, on its ports: it is not touched, and counts are compared."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tasks.engine.snapshot import scratch_directory
from tasks.models import Alarm, BackupTask, Node, Run, Service
from tasks.sources.iotdb_groups import grows
from tasks.states import RunState
from tests.engine.kit import log_of, run_now, stop_that_is_heard_at_once  # noqa: F401
from tests.engine.rehearsal_kit import (
    DONE,
    leftovers,
    means_of_a_rehearsal,  # noqa: F401
    rehearse_now,
    set_of_the_sample,  # noqa: F401
    states,
    text_of,
)
from tests.servers.iotdb import IoTDB, require, rows
from tests.servers.iotdb_metadata import create_metadata
from tests.servers.iotdb_ports import PORTS

pytestmark = [pytest.mark.server, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IoTDB]:
    """A running server with metadata of every kind."""
    require()
    server = IoTDB.start(tmp_path_factory.mktemp("live") / "iotdb-home")
    create_metadata(server)
    yield server
    server.stop(kill=True)
    shutil.rmtree(server.home, ignore_errors=True)


@pytest.fixture
def live_set(live: IoTDB, service: Service, task: BackupTask) -> Run:
    """A set of the live server, taken while it runs, with its inventory."""
    service.session_user = "root"
    service.set_secrets({"password": "root"})
    service.save()
    Node.objects.create(
        service=service, name="node1", home=str(live.home), rpc_host="127.0.0.1", rpc_port=live.rpc_port
    )
    run = run_now(task)
    assert run.inventory["IoTDB"]["counts"]["series"] > 600
    return run


# Where a server works by itself: it rolls and deletes write-ahead logs every 20 s. None of it is metadata.
_OWN_WORK = ("logs", "data/datanode/wal", "data/datanode/data")


def look(server: IoTDB) -> dict[str, Any]:
    """Return what would show that somebody touched a live server: its files, processes, ports."""
    files: dict[str, tuple[Any, ...]] = {}
    for path in sorted(server.home.rglob("*")):
        if path.is_file() and not str(path.relative_to(server.home)).startswith(_OWN_WORK):
            stat, content = path.stat(), path.read_bytes()
            name = str(path.relative_to(server.home))
            if grows(name):
                files[name] = (stat.st_ino, content.rstrip(b"\0"))
            else:
                files[name] = (stat.st_ino, stat.st_size, stat.st_mtime_ns, hashlib.sha256(content).hexdigest())
    pids = {name: node.pid for name, node in server._nodes.items()}
    ports = {
        connection.laddr.port
        for pid in pids.values()
        for connection in psutil.Process(pid).net_connections()
        if connection.status == "LISTEN"
    }
    below = (str(path.relative_to(server.home)) for path in server.home.rglob("*/"))
    directories = sorted(name for name in below if not name.startswith(_OWN_WORK))
    return {"files": files, "pids": pids, "ports": ports, "directories": directories}


def differing(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return what changed between two looks, file by file; to its logs the server itself may append at any time."""
    changed = {name for name, _ in before["files"].items() ^ after["files"].items()}
    for name in [name for name in changed if grows(name) and name in before["files"].keys() & after["files"].keys()]:
        (inode, was), (inode_now, now) = before["files"][name], after["files"][name]
        if inode == inode_now and now.startswith(was):
            changed.remove(name)
    return sorted(changed | {key for key in before if key != "files" and before[key] != after[key]})


class Asking:
    """Asks a server all the while, and keeps every answer."""

    def __init__(self, server: IoTDB) -> None:
        self.server = server
        self.answers: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        session = self.server.session()
        try:
            while not self._stop.wait(0.1):
                self.answers.append(str(rows(session, "COUNT TIMESERIES root.**") + rows(session, "SHOW DATABASES")))
        except Exception as error:
            self.answers.append(f"not answered: {error}")
        finally:
            session.close()


def quiet(server: IoTDB) -> dict[str, Any]:
    """Return how the server looks once it does not change any more by itself."""
    before = look(server)
    for _ in range(30):
        time.sleep(2)
        now = look(server)
        if not differing(before, now):
            return now
        before = now
    raise AssertionError("the live server does not come to rest")


def test_a_live_server_on_the_same_ports_is_not_touched_and_counts_are_equal(live: IoTDB, live_set: Run) -> None:
    before = quiet(live)
    with Asking(live) as asking:
        rehearsal = rehearse_now(live_set)
    after = look(live)
    assert rehearsal.state == RunState.SUCCESSFUL, log_of(rehearsal)
    assert states(rehearsal) == DONE
    assert {int(live.properties[name]) for name in PORTS} <= before["ports"]
    assert differing(before, after) == []
    assert len(set(asking.answers)) == 1 and len(asking.answers) > 20, asking.answers[-1]
    assert "not answered" not in asking.answers[0]
    mounted = Path("/proc/self/mountinfo").read_text()
    assert str(live.home) not in mounted and str(scratch_directory()) not in mounted
    assert leftovers() == []
    assert re.fullmatch(r"All 1[0-9] counts equal, [0-9]{3} time series\.", rehearsal.reason)
    log = log_of(rehearsal)
    assert "root, the account of the service" in log
    assert "Throwaway" not in log + json.dumps(rehearsal.steps)


def test_a_set_without_a_series_that_was_recorded_fails_and_raises_the_alarm_until_one_succeeds(live_set: Run) -> None:
    whole = live_set.inventory
    counts = whole["IoTDB"]["counts"]
    live_set.inventory = {"IoTDB": {**whole["IoTDB"], "counts": {**counts, "series": counts["series"] + 1}}}
    live_set.save()
    rehearsal = rehearse_now(live_set)
    assert (rehearsal.state, rehearsal.error_code) == (RunState.FAILED, "rehearsal-failed")
    sentence = f"Time series: {counts['series'] + 1:,} expected, {counts['series']:,} found."
    assert sentence in rehearsal.reason
    assert states(rehearsal) == DONE | {"compare": "failed"}
    assert sentence in text_of(rehearsal, "compare")
    alarm = Alarm.objects.get(code="rehearsal-failed", cleared_at__isnull=True)
    assert sentence in alarm.cause
    live_set.refresh_from_db()
    task = BackupTask.objects.get()
    assert (live_set.rehearsed_at, task.last_rehearsed_at, live_set.damaged_at) == (None, None, None)
    assert sentence in task.proof_problem
    assert leftovers() == []

    live_set.inventory = whole
    live_set.save()
    assert rehearse_now(live_set).state == RunState.SUCCESSFUL
    live_set.refresh_from_db()
    task.refresh_from_db()
    assert live_set.rehearsed_at and task.last_rehearsed_at and task.proof_problem == ""
    assert not Alarm.objects.filter(cleared_at__isnull=True).exists()
