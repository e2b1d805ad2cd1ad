"""/metrics: what it says, in a form that Prometheus reads, at a cost that does not grow with the number of rows."""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry

from backupconsole import VERSION
from backupconsole.monitoring.collector import ConsoleCollector
from backupconsole.monitoring.exposition import text_of
from tasks import services
from tasks.audit import CONSOLE
from tasks.models import Alarm, BackupTask, Cluster, Run
from tasks.states import Mode
from tests.conftest import MakeRun, MakeTask
from tests.monitoring.world import DAY, HOUR, NOW, fill

ROOT = Path(settings.BASE_DIR)
Key = tuple[str, tuple[tuple[str, str], ...]]


def read(text: bytes) -> dict[Key, float]:
    """Return the value of each series, by its name without the prefix, and its labels."""
    found: dict[Key, float] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            key = sample.name.removeprefix("backupconsole_"), tuple(sorted(sample.labels.items()))
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


def series(found: dict[Key, float], name: str, **labels: str) -> float | None:
    return found.get((name, tuple(sorted(labels.items()))))


@pytest.fixture
def collector() -> ConsoleCollector:
    return ConsoleCollector(lambda: NOW)


@pytest.fixture
def daily(make_task: MakeTask, make_run: MakeRun) -> BackupTask:
    return fill(make_task, make_run)


# --- What it says ----------------------------------------------------------------------------------------------------
def test_the_figures_of_a_task(daily: BackupTask, collector: ConsoleCollector) -> None:
    found = read(text_of(collector))

    def of(name: str, **more: str) -> float | None:
        return series(found, f"task_{name}", task="daily", cluster="plant", **more)

    daily.refresh_from_db()
    assert of("info", path_type="NFS", mode="periodic", suspended="false") == 1
    assert of("last_run_state", state="successful") == 1
    assert of("last_success_timestamp_seconds") == (NOW - DAY).timestamp() + 12
    assert of("last_success_duration_seconds") == 12
    assert of("last_success_size_bytes") == 1_234_567
    assert of("expected_interval_seconds") == 86_400
    assert of("expected_success_timestamp_seconds") == (NOW + HOUR).timestamp()
    assert of("next_run_timestamp_seconds") == (NOW + HOUR).timestamp()
    assert of("sets") == 1
    assert of("proof_failed") == 1
    assert of("last_proof_timestamp_seconds", proof="verified") == (NOW - DAY).timestamp() + 12
    assert of("last_proof_timestamp_seconds", proof="checked") == (NOW - 2 * HOUR).timestamp()
    assert of("last_proof_timestamp_seconds", proof="rehearsed") == (NOW - DAY).timestamp()
    assert of("proof_interval_seconds", proof="checked") == 7 * 86_400
    assert of("proof_interval_seconds", proof="rehearsed") == 30 * 86_400


def test_what_a_task_has_not_is_absent(daily: BackupTask, collector: ConsoleCollector) -> None:
    found = read(text_of(collector))
    names = {name for name, labels in found if ("task", "hand") in labels}
    plain = {"info", "last_run_state", "sets", "proof_failed", "proof_interval_seconds"}
    assert names == {f"task_{name}" for name in plain}
    assert series(found, "task_last_run_state", task="hand", cluster="plant", state="none") == 1
    assert series(
        found, "task_info", task="busy", cluster="west", path_type="LocalDir", mode="periodic", suspended="true"
    )


def test_the_figures_of_the_console(daily: BackupTask, collector: ConsoleCollector) -> None:
    found = read(text_of(collector))
    assert series(found, "tick_timestamp_seconds") == NOW.timestamp() - 30
    assert series(found, "supervisor_timestamp_seconds") == NOW.timestamp() - 30
    assert series(found, "maintenance") == 1
    assert series(found, "maintenance_start_timestamp_seconds") == (NOW - HOUR).timestamp()
    assert series(found, "runs_waiting", kind="backup") == series(found, "runs_running", kind="backup") == 1
    assert series(found, "runs_waiting", kind="restore") == 0
    assert series(found, "runs_waiting_oldest_timestamp_seconds") == (NOW - HOUR).timestamp()
    assert series(found, "runs_total", cluster="plant", kind="backup", state="successful") == 1
    assert series(found, "run_duration_seconds_total", cluster="plant", kind="backup", state="successful") == 12
    assert series(found, "stored_bytes_total", cluster="plant") == 1_234_567
    assert series(found, "runs_total", cluster="west", kind="check", state="failed") == 1
    assert series(found, "alarms", type="backup-failed", severity="major", acknowledged="false") == 1
    assert series(found, "alarms", type="backup-failed", severity="major", acknowledged="true") == 0
    assert series(found, "alarms", type="workers-silent", severity="critical", acknowledged="false") == 0
    Alarm.objects.update(acknowledged_at=NOW, code="of-an-older-release", severity="minor")
    found = read(text_of(collector))
    assert series(found, "alarms", type="of-an-older-release", severity="minor", acknowledged="true") == 1
    assert series(found, "alarms", type="backup-failed", severity="major", acknowledged="false") == 0
    build = [dict(labels) for name, labels in found if name == "build_info"]
    assert build[0]["version"] == VERSION
    assert f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text()


def test_destinations_that_are_called_alike_are_told_apart(daily: BackupTask, collector: ConsoleCollector) -> None:
    found = read(text_of(collector))
    first, second = {"destination": "nfs-1:/srv"}, {"destination": "nfs-1:/srv (bbbbbbbb)"}
    for label in (first, second):
        assert series(found, "destination_free_bytes", path_type="NFS", **label) == 25
    assert series(found, "destination_full_timestamp_seconds", path_type="NFS", **first) == (NOW + 9 * DAY).timestamp()
    assert series(found, "destination_full_timestamp_seconds", path_type="NFS", **second) is None
    own = {"path_type": "own", "destination": "DATA_DIR"}
    assert series(found, "destination_low", **own) == 1 and series(found, "destination_free_bytes", **own) is None


def test_deleted_tasks_vanish_and_counters_never_fall(daily: BackupTask, collector: ConsoleCollector) -> None:
    before = read(text_of(collector))
    services.delete_task(CONSOLE, daily, NOW)
    Run.objects.filter(task=daily).update(subject=None)
    after = read(text_of(collector))
    assert not [name for name, labels in after if ("task", "daily") in labels]
    counters = {key for key in before if key[0].endswith("_total")}
    assert counters and all(after[key] >= before[key] for key in counters)


def test_an_empty_console_has_figures_too(db: None, collector: ConsoleCollector) -> None:
    found = read(text_of(collector))
    assert series(found, "maintenance") == 0 and series(found, "runs_waiting", kind="backup") == 0
    assert series(found, "tick_timestamp_seconds") is None
    assert series(found, "runs_waiting_oldest_timestamp_seconds") is None


# --- How it is written -----------------------------------------------------------------------------------------------
class Fixed:
    """Metrics with everything that has to be escaped."""

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        family = GaugeMetricFamily("g_bytes", 'Back\\slash and\nline "quoted".', labels=("a", "b"))
        family.add_metric(('say "x"', "C:\\dir\nnext"), 1.5)
        family.add_metric(("ä", ""), -3)
        yield family
        yield GaugeMetricFamily("plain", "No labels.", value=1e20)
        counter = CounterMetricFamily("c", "Grows.", labels=("x",))
        counter.add_metric(("1",), 7)
        yield counter


def test_what_is_written_means_what_the_library_writes(daily: BackupTask, collector: ConsoleCollector) -> None:
    for each in (Fixed(), collector):
        registry = CollectorRegistry(auto_describe=False)
        registry.register(each)
        ours, theirs = read(text_of(each)), read(generate_latest(registry))
        for one in (ours, theirs):
            one.pop(("scrape_duration_seconds", ()), None)
        assert ours == theirs
    heads = [
        {line for line in text.splitlines() if line.startswith(b"#")}
        for text in (text_of(Fixed()), generate_latest(registry_of(Fixed())))
    ]
    assert heads[0] == heads[1]


def registry_of(collector: Any) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return registry


def test_the_page_is_packed_where_that_is_asked(client: Client, daily: BackupTask) -> None:
    plain = client.get("/metrics")
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    packed = client.get("/metrics", headers={"Accept-Encoding": "gzip, deflate"})
    assert packed.headers["Content-Encoding"] == "gzip"
    names = [set(re.findall(rb"^\w+", text, re.M)) for text in (plain.content, gzip.decompress(packed.content))]
    assert names[0] == names[1] and b"backupconsole_task_info" in names[0]


def test_the_documentation_names_every_metric_and_no_other(daily: BackupTask, collector: ConsoleCollector) -> None:
    written = {f"backupconsole_{name}" for name, _ in read(text_of(collector))}
    text = (ROOT / "docs" / "monitoring" / "README.md").read_text()
    assert set(re.findall(r"^\| `(backupconsole_\w+)`", text, re.M)) == written


# --- At size ---------------------------------------------------------------------------------------------------------
def make_many(number: int) -> None:
    clusters = Cluster.objects.bulk_create(Cluster(name=f"many-{number}-{key}") for key in range(20))
    BackupTask.objects.bulk_create(
        BackupTask(
            name=f"many-{number}-{key:05}", cluster=clusters[key % 20], path_type="SFTP", copies=7, sets_kept=7,
            directory=f"d{key}", mode=Mode.PERIODIC, started=NOW, next_run_at=NOW + DAY, expected_at=NOW + DAY,
            last_state="successful", last_success_at=NOW, last_success_bytes=10**9 + key, last_success_seconds=12.5,
            last_verified_at=NOW, last_checked_at=NOW,
        )
        for key in range(number)
    )  # fmt: skip


def test_the_number_of_queries_does_not_grow(daily: BackupTask, collector: ConsoleCollector) -> None:
    costs = []
    for number in (1, 300):
        make_many(number)
        with CaptureQueriesContext(connection) as captured:
            text_of(collector)
        costs.append(len(captured))
    assert costs[0] == costs[1] == 7


def test_ten_thousand_tasks_are_read_well_within_a_scrape(collector: ConsoleCollector, db: None) -> None:
    make_many(10_000)
    text_of(collector)
    began = time.process_time()
    text = text_of(collector)
    took = time.process_time() - began
    packed = len(gzip.compress(text, 1))
    size = f"{len(text) / 1e6:.1f} MB, {packed / 1e6:.2f} MB packed"
    print(f"10,000 tasks: {text.count(10):,} lines, {size}, {took:.2f} s of work")
    assert len(text) < 20_000_000 and packed < 2_000_000
    # Prometheus itself gives up after 10 s; 0.5 to 1 s were measured.
    assert took < 10
