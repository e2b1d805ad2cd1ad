"""The benchmark of the pages: the console's own gunicorn over a filled database, asked by one browser at a time.

Every page is asked for in turn, round by round, over one connection, so that a busy moment of the machine meets all of
them. Queries are counted in a process of its own, by Django's test client. Times are of whole pages: the template too.
"""

from __future__ import annotations

import http.client
import math
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from .databases import ROOT, Database, Lacking, chosen, filled
from .registry import Options, Outcome
from .report import busy_note
from .schedstat import cpu_ms

LIMIT_MS = 100.0
# What the issue names; the others are held to the same.
_NAMED = ("homepage", "list", "history", "alarms", "audit")
_WARM_UP = 3
_HEAD = f"  {'':34s}{'median ms':>10s} {'p95 ms':>8s} {'target':>7s} {'CPU ms':>7s} {'queries':>8s} {'SQL ms':>8s}"


@dataclass(frozen=True)
class Line:
    """What was measured of a page: milliseconds of each answer, and of the processors for it; queries, and their time.

    The processors' time is that of web server and database together; others who use the machine do not lengthen it.
    """

    page: str
    times: list[float]
    cpu: list[float]
    queries: int
    sql: float

    @property
    def median(self) -> float:
        """The middle one of the times."""
        return statistics.median(self.times)

    @property
    def p95(self) -> float:
        """The time that 95 of 100 answers take at most."""
        return sorted(self.times)[math.ceil(0.95 * len(self.times)) - 1]


def run(options: Options) -> Outcome:
    """Measure every page on every database, as an administrator and as a person limited to one cluster."""
    rounds = options.rounds or (10 if options.quick else 20)
    data: dict[str, Any] = {}
    missed: list[str] = []
    for kind in chosen(options):
        try:
            with filled(kind, options) as database:
                data[kind], late = _measure(database, rounds, options)
                missed += late
        except Lacking as lacking:
            options.say(f"\n{kind}: not measured, {lacking}")
    return Outcome("\n".join(f"  MISSED {one}" for one in missed), data, missed)


def _measure(database: Database, rounds: int, options: Options) -> tuple[dict[str, Any], list[str]]:
    asked = database.run("bench.webrunner", "prepare")
    found: dict[str, Any] = {}
    missed = []
    for title, person in asked["people"].items():
        load = os.getloadavg()[0]
        with _served(database) as (port, process):
            cookie = f"{asked['cookie_name']}={person['cookie']}"
            pages = [(page, url) for page, url in asked["pages"] if page not in person["other"]]
            times = _visit(port, cookie, pages, rounds, lambda: cpu_ms([process, *database.servers()]))
            memory = _memory(process)
        figures = {
            page: pair for (page, _), *pair in zip(asked["pages"], person["queries"], person["sql"], strict=True)
        }
        lines = [Line(page, *times[page], figures[page][0], figures[page][1] * 1000) for page, _ in pages]
        options.say(_table(database, title, rounds, lines, memory) + busy_note(load))
        for page, status in person["other"].items():
            options.say(f"  {page}: not measured, the answer is {status}")
        missed += [f"{database.title}, {title}, {one.page}: {one.median:.0f} ms" for one in lines if late(one)]
        found[title] = {"memory_mib": memory, "load": load, "pages": {one.page: vars(one) for one in lines}}
    return found, missed


def late(line: Line) -> bool:
    """Tell whether a page misses the target; Django's own pages are measured and not judged."""
    return line.median > LIMIT_MS and not line.page.startswith("Django admin")


@contextmanager
def _served(database: Database) -> Iterator[tuple[int, psutil.Process]]:
    """Run the console's web server on a free port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.webrunner", "serve"],
        env=database.environment | {"WEB_WORKERS": "1"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline()), psutil.Process(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        process.stdout.close()


def _visit(
    port: int, cookie: str, pages: list[tuple[str, str]], rounds: int, cpu: Callable[[], float]
) -> dict[str, tuple[list[float], list[float]]]:
    """Ask for each page once a round; return milliseconds by page, of the clock and of the processors.

    The first rounds are left out.
    """
    browser = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times: dict[str, tuple[list[float], list[float]]] = {page: ([], []) for page, _ in pages}
    for number in range(_WARM_UP + rounds):
        for page, url in pages:
            before = cpu()
            taken = _ask(browser, url, cookie)
            if number >= _WARM_UP:
                times[page][0].append(taken)
                times[page][1].append(cpu() - before)
    browser.close()
    return times


def _ask(browser: http.client.HTTPConnection, url: str, cookie: str) -> float:
    """Return how many milliseconds an answer takes; RuntimeError where it is none."""
    began = time.perf_counter()
    browser.request("GET", url, headers={"Cookie": cookie})
    answer = browser.getresponse()
    answer.read()
    taken = (time.perf_counter() - began) * 1000
    if answer.status != 200:
        raise RuntimeError(f"{url} answers {answer.status}")
    return taken


def _memory(process: psutil.Process) -> float:
    """Return the memory in MiB of the process that serves the pages."""
    return max(child.memory_info().rss for child in process.children()) / (1 << 20)


def _table(database: Database, title: str, rounds: int, lines: list[Line], memory: float) -> str:
    size = database.size
    about = f"{size.tasks:,} tasks, {size.runs:,} runs, {size.events:,} audit events; gunicorn, {rounds} rounds"
    shown = [f"\n{database.title}, {title}: {about}", _HEAD]
    shown += [
        f"  {one.page:34s}{one.median:10.1f} {one.p95:8.1f} {f'<{LIMIT_MS:.0f}':>7s}"
        f" {statistics.median(one.cpu):7.1f} {one.queries:8d} {one.sql:8.1f}"
        f"{'  MISSED' if late(one) else ''}"
        for one in lines
    ]
    return "\n".join([*shown, f"  memory of the process that serves them: {memory:.0f} MiB"])
