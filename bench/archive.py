"""The archive benchmark: the console's archive engine in turn with tar and gzip or pigz, over the same seeded corpora.

The archive is brought to the disk inside the time of every command. Ours runs as a process of its own as the others
do, its start counted. It hashes every member and the archive; of the others only one hashes anything, the archive.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from . import corpora
from .corpora import MIB, Corpus
from .measure import Command, Sample, interleave, median, paired, quoted
from .registry import Options, Outcome
from .report import Target, busy_note, corpus_table, data_of, targets_table

OURS = "console"
TAR_GZIP, PIGZ, PIGZ_SHA = "tar czf", "tar | pigz -1", "tar | pigz -1 | sha256sum"
ROOT = Path(__file__).resolve().parent.parent
MEMORY_LIMIT = 100  # MiB, for the whole process


def run(options: Options) -> Outcome:
    """Make the corpora, measure, and judge by the targets of the project."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.directory) as directory:
        return _measure(Path(directory), options)


def make_corpora(parent: Path, quick: bool) -> list[Callable[[], Corpus]]:
    """Return how each corpus is made; one lies on the disk at a time."""
    if quick:
        return [
            lambda: corpora.make_log(parent, 64 * MIB),
            lambda: corpora.make_small(parent, 6_000),
            lambda: corpora.make_random(parent, 64 * MIB),
        ]
    return [
        lambda: corpora.make_log(parent, 1024 * MIB),
        lambda: corpora.make_small(parent, 60_000),
        lambda: corpora.make_random(parent, 512 * MIB),
    ]


def commands(corpus: Corpus, result: Path) -> list[Command]:
    """Return what is compared on a corpus."""
    out, parent, name = quoted(result), quoted(corpus.root.parent), quoted(corpus.root.name)
    ours = f"{quoted(sys.executable)} -m bench.runner {quoted(corpus.root)} {out}"
    tar = f"tar cf - -C {parent} {name}"
    return [
        Command(OURS, ours, reports=True),
        Command(TAR_GZIP, f"tar czf {out} -C {parent} {name} && sync {out}", ("tar", "gzip")),
        Command(PIGZ, f"{tar} | pigz -1 > {out} && sync {out}", ("tar", "pigz")),
        Command(PIGZ_SHA, f"{tar} | pigz -1 | tee {out} | sha256sum > {out}.sha && sync {out}", ("tar", "pigz")),
    ]


def prove(result: Path, corpus: Corpus) -> Callable[[Command], None]:
    """Return a check that our archive is one that gzip and GNU tar accept, file by file."""

    def check(command: Command) -> None:
        if command.name != OURS:
            return
        subprocess.run(["gzip", "-t", "-c", str(result)], check=True, stdout=subprocess.DEVNULL)
        compare = ["tar", "dzf", str(result), "--exclude=MANIFEST.json", f"--transform=s,^bench,{corpus.root.name},"]
        subprocess.run([*compare, "-C", str(corpus.root.parent)], check=True, stdout=subprocess.DEVNULL)

    return check


def targets(corpus: str, samples: dict[str, list[Sample]], files: int, *, quick: bool) -> list[Target]:
    """Return the project's targets for a corpus with what was reached; a target whose peer is absent is left out.

    The start of our interpreter counts, but not in a quick run: there it would be a third of the time.
    """
    ours = samples[OURS]
    if quick:
        ours = [replace(sample, wall=float(sample.own["seconds"]), cpu=float(sample.own["cpu"])) for sample in ours]

    def against(peer: str) -> float | None:
        return paired(samples[peer], ours, lambda sample: sample.wall) if peer in samples else None

    def factor(wanted: float, peer: str) -> Target:
        ratio = against(peer)
        cpu = "" if ratio is None else f"{ratio:.2f} x (CPU seconds {_cpu(samples[peer], ours):.2f} x)"
        return Target(f"{wanted:g} x {peer}", ratio, wanted, said=cpu)

    rate = files / median(ours, lambda sample: sample.wall)
    peak = max(sample.peak_kib for sample in ours) / 1024
    found = {
        "log": [factor(2.0, PIGZ), factor(10.0, TAR_GZIP)],
        "random": [factor(3.5, PIGZ)],
        "small": [_either(rate, against(PIGZ))],
    }[corpus]
    found.append(Target(f"under {MEMORY_LIMIT} MiB of memory", peak, MEMORY_LIMIT, at_most=True, unit=" MiB"))
    return [target for target in found if target.reached_figure is not None]


def _cpu(peer: list[Sample], ours: list[Sample]) -> float:
    return paired(peer, ours, lambda sample: sample.cpu)


def _either(rate: float, ratio: float | None) -> Target:
    """The target for small files: a rate, or a ratio."""
    share = max(rate / 25_000, (ratio or 0.0) / 1.2)
    said = f"{rate:,.0f} files/s" + (f", {ratio:.2f} x" if ratio is not None else "")
    return Target(f"25,000 files/s or 1.2 x {PIGZ}", share, 1.0, said=said)


def _measure(directory: Path, options: Options) -> Outcome:
    rounds = options.rounds or (2 if options.quick else 3)
    missed, data = [], {}
    for make in make_corpora(directory, options.quick):
        corpus, result = make(), directory / "archive.tar.gz"
        compared = commands(corpus, result)
        present = [command for command in compared if command.missing() is None]
        os.sync()
        load = os.getloadavg()[0]
        samples = interleave(present, rounds, result, ROOT, prove(result, corpus))
        judged = targets(corpus.name, samples, corpus.files, quick=options.quick)
        options.say(corpus_table(corpus, samples, rounds, OURS) + busy_note(load))
        for command in compared:
            if command not in present:
                options.say(f"  left out: {command.name} ({command.missing()} is not installed)")
        options.say(targets_table(judged, options.quick))
        missed += [f"{corpus.name}: {target.wanted}" for target in judged if not target.reached]
        data[corpus.name] = data_of(corpus, samples, judged, OURS)
        shutil.rmtree(corpus.root)
    return Outcome(f"\nTargets missed: {', '.join(missed) or 'none'}", data, missed)
