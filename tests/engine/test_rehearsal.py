"""Rehearsals with the real server, from click to nothing left: equal counts, others, damage, Stop, kill -9."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.utils import timezone

from tasks import services
from tasks.audit import CONSOLE
from tasks.engine import dispatch, kinds, rehearsable
from tasks.engine.snapshot import scratch_directory
from tasks.engine.steps import Steps
from tasks.errors import Refused
from tasks.models import Alarm, BackupTask, Cluster, Node, Run, Service
from tasks.rehearsal import machine, outside
from tasks.sources.iotdb_groups import grows
from tasks.states import RunState
from tests.conftest import IN_CI, MakeTask
from tests.engine.kit import log_of, run_now
from tests.engine.rehearsal_kit import as_nobody, begin_rehearsal, leftovers, rehearse_now, states, text_of
from tests.faults.killing import after, killed, leases_later
from tests.servers.iotdb import PORTS, IoTDB, require, rows
from tests.servers.iotdb_jars import VERSION, distribution
from tests.servers.iotdb_metadata import create_metadata

pytestmark = [pytest.mark.server, pytest.mark.django_db(transaction=True)]
DONE = dict.fromkeys(("fetch", "verify", "unpack", "start", "health", "compare", "remove"), "done")
WORKING = ("fetch", "verify", "unpack", "start", "health", "compare")


@pytest.fixture(autouse=True)
def means(settings: Any, storage_path: Path) -> None:
    """An installation of the tests' version; without the server, or a kernel that makes namespaces, nothing is run."""
    require()
    machine.forget()
    trial = machine.namespaces(scratch_directory())
    if not trial.command:
        assert not IN_CI, trial.words
        pytest.skip(f"this kernel makes no namespaces: {trial.words}")
    settings.IOTDB_INSTALLATIONS = [str(distribution().parent)]
    settings.REHEARSAL_SECONDS = 240


@pytest.fixture
def sample_set(task: BackupTask, node: Node) -> Run:
    """A set of the sample home, which no server runs from."""
    return run_now(task)


# --- Beside a live server ---------------------------------------------------------------------------------------------
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


# --- Sets of the sample -----------------------------------------------------------------------------------------------
def test_a_set_without_an_inventory_starts_and_says_that_counts_were_not_compared(sample_set: Run) -> None:
    began = time.monotonic()
    rehearsal = rehearse_now(sample_set)
    took = time.monotonic() - began
    assert rehearsal.state == RunState.SUCCESSFUL, log_of(rehearsal)
    words = "Started and healthy, 661 time series; counts were not compared because the set has no inventory."
    assert rehearsal.reason == words
    assert "root with IoTDB's default password" in log_of(rehearsal)
    assert leftovers() == []
    print(f"rehearsal of the sample: {took:.1f} s; {log_of(rehearsal)}")


def test_a_damaged_archive_is_refused_before_anything_is_started(sample_set: Run) -> None:
    path = Path(sample_set.files.get().path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    rehearsal = rehearse_now(sample_set)
    assert (rehearsal.state, rehearsal.error_code) == (RunState.FAILED, "corrupt")
    found = states(rehearsal)
    assert (found["verify"], found["unpack"], found["start"]) == ("failed", "skipped", "skipped")
    sample_set.refresh_from_db()
    assert sample_set.damaged_at is not None and sample_set.rehearsed_at is None
    assert Alarm.objects.get(cleared_at__isnull=True).code == "set-damaged"
    assert leftovers() == []


def test_a_set_from_which_iotdb_does_not_start_fails_with_what_iotdb_said(
    task: BackupTask, node: Node, settings: Any
) -> None:
    shutil.rmtree(Path(node.home) / "data/datanode/system/schema")
    broken = run_now(task)
    settings.REHEARSAL_SECONDS = 60
    rehearsal = rehearse_now(broken)
    assert (rehearsal.state, rehearsal.error_code) == (RunState.FAILED, "rehearsal-failed")
    assert "did not come back from the set" in rehearsal.reason
    assert "DataNode node1: Its last error: " in rehearsal.reason
    assert Alarm.objects.get(cleared_at__isnull=True).code == "rehearsal-failed"
    assert leftovers() == []


@pytest.mark.parametrize("key", WORKING)
def test_stop_in_each_step_leaves_nothing(sample_set: Run, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = begin_rehearsal(sample_set)
    real = Steps.begin

    def begin(steps: Steps, at: str, text: str = "") -> None:
        real(steps, at, text)
        if at == key:
            services.stop_run(CONSOLE, Run.objects.get(pk=lease.run_id), timezone.now())
            time.sleep(2)  # until the keeper has seen it: the small sample is through a step before

    monkeypatch.setattr(Steps, "begin", begin)
    kinds.execute(lease)
    rehearsal = Run.objects.get(pk=lease.run_id)
    assert rehearsal.state == RunState.STOPPED, log_of(rehearsal)
    assert states(rehearsal)["remove"] == "done"
    assert "now" not in states(rehearsal).values()
    sample_set.refresh_from_db()
    assert sample_set.rehearsed_at is None
    assert not Alarm.objects.exists()
    assert leftovers() == []


@pytest.mark.parametrize("key", [*WORKING, "remove"])
def test_kill_of_the_worker_in_each_step_leaves_nothing(sample_set: Run, key: str) -> None:
    lease = begin_rehearsal(sample_set)

    def reached(steps: Steps, at: str, text: str = "") -> bool:
        if (at, key) == ("health", "health"):
            time.sleep(3)  # servers are well under way then
        return at == key

    killed(lease, after(Steps, "begin", reached))
    end = time.monotonic() + 10
    while [left for left in leftovers() if left.startswith("process")] and time.monotonic() < end:
        time.sleep(0.1)
    assert [left for left in leftovers() if left.startswith("process")] == []
    dispatch.tick(leases_later())
    rehearsal = Run.objects.get(pk=lease.run_id)
    assert (rehearsal.state, rehearsal.error_code) == (RunState.FAILED, "worker-lost")
    assert leftovers() == []


# --- What lacks -------------------------------------------------------------------------------------------------------
def test_without_an_installation_of_the_version_the_verb_is_refused_with_the_cure(
    sample_set: Run, settings: Any
) -> None:
    settings.IOTDB_INSTALLATIONS = []
    with pytest.raises(rehearsable.Lacking) as refused:
        services.rehearse(CONSOLE, sample_set, timezone.now())
    assert f"None of version {VERSION} was found on this machine" in str(refused.value)
    assert "IOTDB_INSTALLATIONS" in refused.value.cure
    assert not Run.objects.filter(subject=sample_set).exists()


def test_the_home_of_a_local_node_with_its_jars_is_an_installation(
    sample_set: Run, node: Node, settings: Any, tmp_path: Path
) -> None:
    settings.IOTDB_INSTALLATIONS = []
    (Path(node.home) / "lib").symlink_to(distribution())
    assert rehearsable.lacking_for(sample_set) == []
    assert rehearse_now(sample_set).state == RunState.SUCCESSFUL


def test_without_namespaces_or_java_the_verb_is_refused_with_the_cure(
    sample_set: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    machine.forget()
    with pytest.raises(rehearsable.Lacking) as refused:
        services.rehearse(CONSOLE, sample_set, timezone.now())
    machine.forget()
    assert "unshare" in refused.value.message and "no java" in refused.value.message
    assert "user.max_user_namespaces" in refused.value.cure


def test_what_went_away_after_the_click_fails_the_run_with_the_cure_and_says_nothing_of_the_set(
    sample_set: Run, settings: Any
) -> None:
    lease = begin_rehearsal(sample_set)
    settings.IOTDB_INSTALLATIONS = []
    kinds.execute(lease)
    rehearsal = Run.objects.get(pk=lease.run_id)
    assert (rehearsal.state, rehearsal.error_code) == (RunState.FAILED, rehearsable.CODE)
    assert "IOTDB_INSTALLATIONS" in rehearsal.reason
    assert states(rehearsal) == DONE | {"fetch": "failed"} | dict.fromkeys(
        ("verify", "unpack", "start", "health", "compare"), "skipped"
    )
    sample_set.refresh_from_db()
    assert sample_set.damaged_at is None
    assert not Alarm.objects.exists()
    assert leftovers() == []


def test_a_second_rehearsal_is_refused_while_the_first_one_goes_on(sample_set: Run) -> None:
    begin_rehearsal(sample_set)
    with pytest.raises(Refused, match="already running"):
        services.rehearse(CONSOLE, sample_set, timezone.now())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_an_account_without_privileges_rehearses(sample_home: Path, tmp_path: Path) -> None:
    command = outside.WAYS["as an unprivileged user"]
    (tmp_path / "trial").mkdir()
    if reason := machine._try(command, str(tmp_path / "trial")):
        pytest.skip(f"this kernel makes no namespaces for users: {reason}")
    shutil.rmtree(sample_home / "data/datanode/data")
    # The cache of the tests may be closed to others.
    shutil.copytree(distribution(), tmp_path / "lib")
    (tmp_path / "lib").chmod(0o755)
    lib = str(tmp_path / "lib")
    with as_nobody(lib, str(sample_home)) as (prefix, place):
        scratch = Path(place) / "scratch"
        shutil.copytree(sample_home, scratch / "node1")
        for path in [scratch, *scratch.rglob("*")]:
            os.chown(path, 65534, 65534)
        code = f"""
import json, sys
from tasks.rehearsal import outside
from tasks.rehearsal.plan import Login
from tasks.rehearsal.planning import Given, make_plan
facts = {{"source": {{"nodes": [{{"name": "node1", "config_node": True, "data_node": True}}]}}}}
logins = (Login("nobody", "wrong", "wrong"), Login("root", "root", "right"))
given = Given({lib!r}, {machine.java().path!r}, logins, (), 768, 240)
answer = outside.rehearse(make_plan({str(scratch)!r}, facts, given), {command!r}, lambda: None, lambda *_: None)
print(json.dumps([answer.series, answer.login]))
"""
        done = subprocess.run(
            [*prefix, sys.executable, "-c", code], cwd=outside.ROOT, capture_output=True, text=True, timeout=300
        )
    assert done.stdout.strip() == '[661, "right"]', done.stderr[-2000:]


def test_a_set_of_several_services_is_rehearsed_one_after_the_other(
    cluster: Cluster, node: Node, make_task: MakeTask, tmp_path: Path
) -> None:
    second = Service.objects.create(cluster=cluster, name="IoTDB-1")
    shutil.copytree(node.home, tmp_path / "second", symlinks=True)
    Node.objects.create(service=second, name="node1", home=str(tmp_path / "second"))
    rehearsal = rehearse_now(run_now(make_task()))
    assert rehearsal.state == RunState.SUCCESSFUL, log_of(rehearsal)
    assert rehearsal.reason.count("and healthy") == 2 and "IoTDB-1 started" in rehearsal.reason
    assert leftovers() == []
