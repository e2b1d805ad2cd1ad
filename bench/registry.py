"""The benchmarks that exist. A new one is a module with one function, and one line in ``BENCHES``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Options:
    """What the command line says. ``size`` is that of an upload in MiB, None for the benchmark's own.

    ``directory`` is a place for corpora, archives and filled databases; None: a temporary one, and for databases one
    where they stay. ``database`` is *sqlite*, *postgresql* or *both*. ``say`` prints what is known so far; a benchmark
    of several parts uses it after each.
    """

    quick: bool = False
    rounds: int | None = None
    size: int | None = None
    directory: Path | None = None
    database: str = "both"
    say: Callable[[str], None] = partial(print, flush=True)


@dataclass
class Outcome:
    """What a benchmark found: text to print at its end, all figures as data, and the targets it missed."""

    text: str
    data: dict[str, Any] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)


Bench = Callable[[Options], Outcome]

BENCHES: dict[str, tuple[str, str]] = {
    "archive": ("bench.archive:run", "writing an archive, in turn with tar and gzip or pigz"),
    "stores": ("bench.stores:run", "uploads by each protocol to its real server, in turn with its reference tool"),
    "web": ("bench.web:run", "pages of the console over 10,000 tasks and 1,000,000 runs"),
    "due": ("bench.due:run", "queueing 10,000 tasks that are due in the same minute"),
}


def load(name: str) -> Bench:
    """Return a benchmark; KeyError where there is none of that name."""
    module, function = BENCHES[name][0].split(":")
    bench: Bench = getattr(import_module(module), function)
    return bench
