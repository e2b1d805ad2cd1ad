"""The benchmark of stores: each protocol against its real server on this machine, in turn with its reference tool.

Both put the same file of random bytes on the same disk. Our side is a whole process that also hashes the file, brings
it to the server's disk and publishes it; the time of the reference tool is that of its process. The time of reading
the file back, which proves a backup, is told besides.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .measure import Sample, median, run_once
from .registry import Options, Outcome
from .report import busy_note
from .rigs import RIGS, Lacking, Rig
from .rigs_cluster import hdfs, nfs, webhdfs

MIB = 1 << 20
MEMORY_LIMIT = 150  # MiB, for the whole process, whatever the size of the file
_HEAD = f"  {'':24s}{'wall s':>8s} {'CPU s':>7s} {'MB/s':>6s} {'x wall':>7s} {'peak MiB':>9s}"


def run(options: Options) -> Outcome:
    """Measure every protocol whose server can be had."""
    size = (options.size or (64 if options.quick else 1024)) * MIB
    rounds = options.rounds or (2 if options.quick else 3)
    data: dict[str, Any] = {}
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.directory) as scratch:
        source = Path(scratch) / "source.bin"
        _fill(source, size)
        options.say(f"stores: {size / 1e6:,.0f} MB of random bytes; {rounds} rounds, medians; x = the peer's by ours")
        for start in (*RIGS, nfs, hdfs, webhdfs):
            load = os.getloadavg()[0]
            try:
                with start(source, Path(scratch)) as rig:
                    ours, peer = _measure(rig, rounds)
            except Lacking as lacking:
                options.say(f"\n{start.__name__}: not measured, {lacking}")
                continue
            options.say(_table(rig, ours, peer, size) + busy_note(load))
            data[rig.name] = {name: [vars(one) for one in runs] for name, runs in (("ours", ours), ("peer", peer))}
            missed += _judge(rig, ours)
    return Outcome("\n".join(f"  MISSED {one}" for one in missed), data, missed)


def _fill(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))


def _measure(rig: Rig, rounds: int) -> tuple[list[Sample], list[Sample]]:
    """Run both in turn, the order reversed every other round."""
    ours: list[Sample] = []
    peer: list[Sample] = []
    here = Path(__file__).resolve().parent.parent
    for number in range(rounds):
        pair = [(ours, rig.ours, rig.result), (peer, rig.peer, rig.peer_result)]
        for samples, command, result in pair if number % 2 == 0 else reversed(pair):
            samples.append(run_once(command, result, here))
    return ours, peer


def _table(rig: Rig, ours: Sequence[Sample], peer: Sequence[Sample], size: int) -> str:
    upload = statistics.median(one.own["upload"] for one in ours)
    reading = statistics.median(one.own["reading"] for one in ours)
    wall = median(peer, lambda one: one.wall)
    ratio = statistics.median(other.wall / one.own["upload"] for one, other in zip(ours, peer, strict=True))
    cpu = {name: statistics.median(one.own[f"{name}_cpu"] for one in ours) for name in ("upload", "reading")}
    peak = max(one.peak_kib for one in ours) / 1024
    return "\n".join(
        [
            f"\n{rig.name}\n{_HEAD}",
            f"  {'console, upload':24s}{upload:8.2f} {cpu['upload']:7.2f} {size / upload / 1e6:6.0f} {ratio:7.2f}"
            f" {peak:9.0f}",
            f"  {'console, reading back':24s}{reading:8.2f} {cpu['reading']:7.2f} {size / reading / 1e6:6.0f}",
            f"  {rig.peer.name:24s}{wall:8.2f} {median(peer, lambda one: one.cpu):7.2f} {size / wall / 1e6:6.0f}",
        ]
    )


def _judge(rig: Rig, ours: Sequence[Sample]) -> list[str]:
    """Return what is over the limit of memory."""
    peak = max(one.peak_kib for one in ours) / 1024
    return [f"{rig.name}: {peak:.0f} MiB of memory, at most {MEMORY_LIMIT}"] if peak > MEMORY_LIMIT else []
