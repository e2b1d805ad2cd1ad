"""Run commands in turn and measure them: wall time, CPU seconds of all processes, peak memory, size of the result.

The order is reversed every other round, so that none always profits from what ran before it. Ratios are paired: both
figures of a ratio come from the same round, and the median of those ratios is what counts on a machine that is shared.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Command:
    """A command under measurement: a line for bash, the programs it needs, and whether it prints figures of its own."""

    name: str
    line: str
    needs: tuple[str, ...] = ()
    reports: bool = False

    def missing(self) -> str | None:
        """Return the first program that this machine lacks."""
        return next((program for program in self.needs if shutil.which(program) is None), None)


@dataclass(frozen=True)
class Sample:
    """One run: seconds, CPU seconds, peak memory of the largest process in KiB, bytes of the result, own figures."""

    wall: float
    cpu: float
    peak_kib: int
    size: int
    own: dict[str, Any] = field(default_factory=dict)


def quoted(path: Path | str) -> str:
    """Return a path as bash takes it."""
    return shlex.quote(str(path))


def run_once(command: Command, result: Path, cwd: Path) -> Sample:
    """Run a command that makes the file ``result``; RuntimeError, with what it said, where it fails."""
    result.unlink(missing_ok=True)
    begun = time.perf_counter()
    process = subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", command.line],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        output, complaints = process.stdout.read(), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    process.stderr.close()
    if process.returncode:
        raise RuntimeError(f"{command.name} failed: {complaints.decode(errors='replace')[-500:]}")
    own = json.loads(output) if command.reports else {}
    peak = int(own.get("peak_kib", usage.ru_maxrss))
    return Sample(wall, usage.ru_utime + usage.ru_stime, peak, result.stat().st_size, own)


def interleave(
    commands: Sequence[Command], rounds: int, result: Path, cwd: Path, prove: Callable[[Command], None] | None = None
) -> dict[str, list[Sample]]:
    """Run every command once a round; ``prove`` is called after each command of the first round, outside the time."""
    samples: dict[str, list[Sample]] = {command.name: [] for command in commands}
    for number in range(rounds):
        for command in commands if number % 2 == 0 else reversed(commands):
            samples[command.name].append(run_once(command, result, cwd))
            if prove is not None and number == 0:
                prove(command)
    return samples


def median(samples: Sequence[Sample], figure: Callable[[Sample], float]) -> float:
    """Return the median of one figure."""
    return statistics.median(figure(sample) for sample in samples)


def paired(peer: Sequence[Sample], ours: Sequence[Sample], figure: Callable[[Sample], float]) -> float:
    """Return the median over the rounds of peer by ours: above 1, ours is better."""
    return statistics.median(figure(one) / figure(other) for one, other in zip(peer, ours, strict=True))
