"""Rehearsals of the sample with the real server, from click to nothing left: damage, Stop, kill -9, what lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tasks import services
from tasks.audit import CONSOLE
from tasks.engine import dispatch, kinds, rehearsable
from tasks.engine.steps import Steps
from tasks.errors import Refused
from tasks.models import Alarm, BackupTask, Cluster, Node, Run, Service
from tasks.rehearsal import machine, outside
from tasks.states import RunState
from tests.conftest import MakeTask
from tests.engine.kit import log_of, run_now, stop_that_is_heard_at_once  # noqa: F401
from tests.engine.rehearsal_kit import (
    DONE,
    WORKING,
    as_nobody,
    begin_rehearsal,
    leftovers,
    means_of_a_rehearsal,  # noqa: F401
    rehearse_now,
    set_of_the_sample,  # noqa: F401
    states,
)
from tests.faults.killing import after, killed, leases_later
from tests.lacks import leave_out
from tests.servers.iotdb_jars import VERSION, distribution

pytestmark = [pytest.mark.server, pytest.mark.django_db(transaction=True)]


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
def test_stop_in_each_step_leaves_nothing(
    sample_set: Run, key: str, monkeypatch: pytest.MonkeyPatch, stop_at_once: Callable[[int], None]
) -> None:
    lease = begin_rehearsal(sample_set)
    real = Steps.begin

    def begin(steps: Steps, at: str, text: str = "") -> None:
        real(steps, at, text)
        if at == key:
            stop_at_once(lease.run_id)

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
        leave_out(f"this kernel makes no namespaces for users: {reason}")
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
