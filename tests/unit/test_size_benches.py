"""The benchmarks of pages and schedule: the imagined installation, the arithmetic, and small runs from end to end."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench import databases, due, imagined, postgresql, web
from bench.databases import Database, Lacking
from bench.imagined import Size
from bench.registry import Options
from bench.schedstat import cpu_ms

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
TINY = Size(tasks=12, runs=240, clusters=3, log_lines=50, restorations=3, alarms=9, events=20)


def test_an_imagined_installation_is_the_same_every_time_and_of_the_size_that_was_asked_for() -> None:
    size = Size(tasks=200, runs=20_000, clusters=10)
    one, two = (imagined.tasks(size, NOW) for _ in range(2))
    assert [(task.name, task.moments) for task in one] == [(task.name, task.moments) for task in two]
    assert len(one) == 200
    assert {task.cluster for task in one} == set(range(1, 11))
    runs = list(imagined.runs(one, copies=7))
    assert 14_000 < len(runs) < 26_000
    assert [run.pk for run in runs] == list(range(1, len(runs) + 1))
    assert all(run.began <= later.began for run, later in zip(runs, runs[1:], strict=False))
    assert max(run.ended for run in runs) <= NOW
    assert all(task.next_run is None or task.next_run > NOW for task in one)
    assert all(len(task.kept) <= 7 for task in one)
    shares = Counter(run.state for run in runs)
    assert shares["successful"] > 0.85 * len(runs) and shares["failed"] and shares["postponed"]


def test_a_smaller_size_has_a_part_of_everything() -> None:
    size = Size().smaller(20)
    assert (size.tasks, size.runs, size.clusters, size.events) == (500, 50_000, 10, 10_000)


def test_lines_are_judged_by_their_median_and_djangos_own_pages_not_at_all() -> None:
    line = web.Line("list", [90.0] * 18 + [300.0, 400.0], [50.0] * 20, 12, 3.0)
    assert (line.median, line.p95, web.late(line)) == (90.0, 300.0, False)
    assert web.late(web.Line("list", [101.0], [50.0], 12, 3.0))
    assert not web.late(web.Line("Django admin, run", [500.0], [50.0], 12, 3.0))


def test_processor_time_is_counted_finely() -> None:
    ours = [psutil.Process()]
    before = cpu_ms(ours)
    sum(number * number for number in range(200_000))
    assert cpu_ms(ours) > before


def test_targets_of_the_schedule() -> None:
    good, bad = due.Sample(1.0, 2.0, 10_000, 0), due.Sample(6.0, 4.0, 10_000, 1)
    judged = due.targets({due.ONE: [good], due.TWO: [bad], due.NAIVE: [bad]}, 10_000, quick=False)
    assert [target.reached for target in judged] == [True, True, False, False, True]
    assert len(due.targets({due.ONE: [good], due.TWO: [good]}, 500, quick=True)) == 2


def test_a_database_is_made_once_and_anew_when_its_source_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(Database, "run", lambda self, module, *arguments: asked.append(arguments) or {})
    options = Options(quick=True, directory=tmp_path, database="sqlite", say=lambda text: None)
    for key in ("one", "one", "two"):
        monkeypatch.setattr(databases, "_key", lambda size, key=key: key)
        with databases.filled("sqlite", options) as database:
            assert database.environment["DATABASE_URL"] == f"sqlite:///{tmp_path}/sqlite-500/console.sqlite3"
    assert [arguments[0] for arguments in asked] == ["fill", "migrate", "fill"]
    assert json.loads(asked[0][1])["tasks"] == 500


def test_a_lacking_postgresql_is_said_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "_PLACES", tmp_path)
    said: list[str] = []
    options = Options(quick=True, directory=tmp_path, database="postgresql", say=said.append)
    with pytest.raises(Lacking, match="apt-get install postgresql"), databases.filled("postgresql", options):
        pass
    assert web.run(options).data == {} and due.run(options).data == {}
    assert all("not measured, PostgreSQL is not installed" in line for line in said)


@pytest.mark.process
def test_both_benchmarks_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "size_of", lambda options: TINY)
    said: list[str] = []
    options = Options(quick=True, rounds=1, directory=tmp_path, database="sqlite", say=said.append)
    pages: dict[str, Any] = web.run(options).data["sqlite"]
    assert set(pages) == {"administrator", "limited to one cluster"}
    assert {"list", "alarms"} <= set(pages["administrator"]["pages"])
    assert all(line["cpu"][0] > 0 for line in pages["administrator"]["pages"].values())
    outcome = due.run(options)
    runs = outcome.data["sqlite"]["runs"]
    assert [(one["queued"], one["twice"]) for name in (due.ONE, due.TWO, due.NAIVE) for one in runs[name]] == [
        (12, 0)
    ] * 3
    assert outcome.missed == []
    assert any("median ms" in text for text in said)
