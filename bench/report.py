"""How the figures of a benchmark are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .corpora import Corpus
from .measure import Sample, median, paired


@dataclass(frozen=True)
class Target:
    """A figure to reach (or, ``at_most``, not to pass), with what was measured; None where it could not be."""

    wanted: str
    reached_figure: float | None
    limit: float
    at_most: bool = False
    unit: str = " x"
    said: str = ""

    @property
    def reached(self) -> bool:
        """Whether the target is met."""
        figure = self.reached_figure
        return figure is not None and (figure <= self.limit if self.at_most else figure >= self.limit)

    def __str__(self) -> str:
        return self.said or f"{self.reached_figure:.2f}{self.unit}"


def corpus_table(corpus: Corpus, samples: dict[str, list[Sample]], rounds: int, ours: str) -> str:
    """Return the table of one corpus: a line for each command, ratios against ours."""
    about = f"{corpus.about}, {corpus.size / 1e6:,.0f} MB; {rounds} rounds, medians; x = its figure by ours, paired"
    head = f"  {'':26s}{'wall s':>8s} {'[min-max]':>15s} {'CPU s':>7s} {'MB/s':>6s} {'files/s':>9s} {'size MB':>8s}"
    lines = ["", f"{corpus.name}: {about}", head + f" {'peak MiB':>9s} {'x wall':>7s} {'x CPU':>6s}"]
    for name, runs in samples.items():
        walls = [sample.wall for sample in runs]
        wall, cpu = median(runs, lambda sample: sample.wall), median(runs, lambda sample: sample.cpu)
        peak = max(sample.peak_kib for sample in runs) / 1024
        ratios = [paired(runs, samples[ours], figure) for figure in (lambda s: s.wall, lambda s: s.cpu)]
        lines.append(
            f"  {name:26s}{wall:8.2f} {f'[{min(walls):.2f}-{max(walls):.2f}]':>15s} {cpu:7.2f}"
            f" {corpus.size / wall / 1e6:6.0f} {corpus.files / wall:9,.0f} {runs[-1].size / 1e6:8.1f}"
            f" {_peak(peak, name == ours):>9s} {ratios[0]:7.2f} {ratios[1]:6.2f}"
        )
    lines.append(_inside(samples[ours], corpus))
    return "\n".join(lines)


def busy_note(load: float) -> str:
    """Return a warning where others used the machine before the measurement began, or nothing."""
    if load < 1.5:
        return ""
    return f"\n  (others use this machine, load {load:.1f}: trust the ratios of CPU seconds, not those of wall time)"


def targets_table(targets: list[Target], quick: bool) -> str:
    """Return a line for each target, and a word on what a quick run is worth."""
    lines = [f"  {'reached' if target.reached else 'MISSED ':8s} {target.wanted}: {target}" for target in targets]
    if quick:
        lines.append("  (a quick run: judged without the start of our interpreter, which counts in a full one)")
    return "\n".join(lines)


def data_of(corpus: Corpus, samples: dict[str, list[Sample]], targets: list[Target], ours: str) -> dict[str, Any]:
    """Return everything about one corpus as data."""
    return {
        "files": corpus.files,
        "bytes": corpus.size,
        "runs": {name: [vars(sample) for sample in runs] for name, runs in samples.items()},
        "paired_wall": {name: paired(runs, samples[ours], lambda s: s.wall) for name, runs in samples.items()},
        "paired_cpu": {name: paired(runs, samples[ours], lambda s: s.cpu) for name, runs in samples.items()},
        "targets": [{"wanted": t.wanted, "measured": str(t), "reached": t.reached} for t in targets],
    }


def _inside(runs: list[Sample], corpus: Corpus) -> str:
    """Return what our process measured of itself, the start of the interpreter left out."""
    wall = median(runs, lambda sample: float(sample.own["seconds"]))
    cpu = median(runs, lambda sample: float(sample.own["cpu"]))
    speed = f"{corpus.size / wall / 1e6:.0f} MB/s, {corpus.files / wall:,.0f} files/s"
    return f"  in our process alone: wall {wall:.2f} s, CPU {cpu:.2f} s, {speed}"


def _peak(mebibytes: float, exact: bool) -> str:
    """Return peak memory; what the kernel says of a peer includes the bench itself at the moment it started it."""
    return f"{mebibytes:.0f}" if exact else f"<={mebibytes:.0f}"
