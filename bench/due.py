"""The benchmark of the schedule: all tasks are due in the same minute, and one tick, or two at once, queue them.

Measured in turn with the plain way of the ORM, one task after the other. Both run in processes of their own, whose
start does not count; the processors' time of the database server does.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .databases import ROOT, Database, Lacking, chosen, filled
from .registry import Options, Outcome
from .report import Target, busy_note, targets_table
from .schedstat import cpu_ms

WALL_SECONDS, CPU_SECONDS = 5.0, 3.0
ONE, TWO, NAIVE = "one tick", "two ticks at once", "task by task, ORM"
_HEAD = f"  {'':28s}{'wall s':>8s} {'CPU s':>7s} {'x CPU':>6s} {'queued':>8s} {'twice':>6s}"


@dataclass(frozen=True)
class Sample:
    """One measurement: seconds of the clock and of all processors, runs queued, tasks with more than one of them."""

    wall: float
    cpu: float
    queued: int
    twice: int


def run(options: Options) -> Outcome:
    """Measure on every database, and judge by the targets of the project."""
    rounds = options.rounds or (2 if options.quick else 3)
    data: dict[str, Any] = {}
    missed: list[str] = []
    for kind in chosen(options):
        try:
            with filled(kind, options) as database:
                load = os.getloadavg()[0]
                samples, beside = _measure(database, rounds)
        except Lacking as lacking:
            options.say(f"\n{kind}: not measured, {lacking}")
            continue
        judged = targets(samples, database.size.tasks, options.quick)
        options.say(_table(database, samples, beside, rounds) + busy_note(load))
        options.say(targets_table(judged, False))
        data[kind] = {"load": load, "beside": beside, "runs": {k: [vars(one) for one in v] for k, v in samples.items()}}
        missed += [f"{database.title}: {target.wanted}" for target in judged if not target.reached]
    return Outcome(f"\nTargets missed: {', '.join(missed) or 'none'}", data, missed)


def targets(samples: dict[str, list[Sample]], tasks: int, quick: bool) -> list[Target]:
    """Return the targets with what was reached; a quick run is of fewer tasks and is not held to seconds."""
    found = []
    for name in (ONE, TWO):
        once = all(one.queued == tasks and not one.twice for one in samples[name])
        found.append(Target(f"{name}: {tasks:,} queued, none twice", float(once), 1.0, said="yes" if once else "no"))
        if not quick:
            wall = statistics.median(one.wall for one in samples[name])
            found.append(Target(f"{name}: {WALL_SECONDS:g} s", wall, WALL_SECONDS, at_most=True, unit=" s"))
    if not quick:
        cpu = statistics.median(one.cpu for one in samples[ONE])
        found.append(Target(f"{ONE}: {CPU_SECONDS:g} s of CPU", cpu, CPU_SECONDS, at_most=True, unit=" s"))
    return found


def _measure(database: Database, rounds: int) -> tuple[dict[str, list[Sample]], dict[str, float]]:
    """Measure each way once a round, the order reversed every other round; then what a tick does besides."""
    ways = {ONE: ["ours"], TWO: ["ours", "ours"], NAIVE: ["naive"]}
    samples: dict[str, list[Sample]] = {name: [] for name in ways}
    database.run("bench.duerunner", "prepare")
    try:
        beside = {"a tick, nothing due": database.run("bench.duerunner", "tick")["cpu"]}
        for number in range(rounds):
            for name in list(ways) if number % 2 == 0 else reversed(ways):
                database.run("bench.duerunner", "due")
                samples[name].append(_sample(database, ways[name]))
        beside["offering while all wait"] = database.run("bench.duerunner", "offer")["cpu"]
        beside["a tick while all wait"] = database.run("bench.duerunner", "tick")["cpu"]
    finally:
        database.run("bench.duerunner", "restore")
    return samples, beside


def _sample(database: Database, steps: Sequence[str]) -> Sample:
    """Let the steps begin at the same moment, each in its process."""
    command = [sys.executable, "-m", "bench.duerunner"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen([*command, step], env=database.environment, cwd=ROOT, **pipes) for step in steps]
    for worker in workers:
        assert worker.stdout is not None
        if worker.stdout.readline() != "ready\n":
            raise RuntimeError(f"bench.duerunner did not start on {database.title}")
    before = cpu_ms(database.servers())
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    found = [json.loads(worker.stdout.readline()) for worker in workers if worker.stdout]
    served = (cpu_ms(database.servers()) - before) / 1000
    for worker in workers:
        worker.communicate("end\n")
    wall = max(one["ended"] for one in found) - min(one["began"] for one in found)
    counted = database.run("bench.duerunner", "count")
    return Sample(wall, sum(one["cpu"] for one in found) + served, counted["queued"], counted["twice"])


def _table(database: Database, samples: dict[str, list[Sample]], beside: dict[str, float], rounds: int) -> str:
    about = f"{database.size.tasks:,} tasks due in the same minute, {database.size.runs:,} runs before"
    lines = [f"\n{database.title}: {about}; {rounds} rounds, medians; x = its figure by ours, paired", _HEAD]
    for name, runs in samples.items():
        wall, cpu = statistics.median(one.wall for one in runs), statistics.median(one.cpu for one in runs)
        ratio = statistics.median(one.cpu / ours.cpu for one, ours in zip(runs, samples[ONE], strict=True))
        queued, twice = min(one.queued for one in runs), max(one.twice for one in runs)
        lines.append(f"  {name:28s}{wall:8.2f} {cpu:7.2f} {ratio:6.2f} {queued:8,} {twice:6,}")
    lines += [f"  {name}: {seconds * 1000:.0f} ms of CPU in its own process" for name, seconds in beside.items()]
    return "\n".join(lines)
