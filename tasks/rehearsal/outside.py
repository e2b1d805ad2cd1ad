"""The worker's end of ``inside``: namespaces are made, the plan goes in, events come out, and nothing stays."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tasks.rehearsal import system
from tasks.rehearsal.plan import Answer, Plan

ROOT = Path(__file__).resolve().parent.parent.parent
INSIDE = ("-E", "-s", "-m", "tasks.rehearsal.inside")
# Each makes the same namespaces; the second needs no privileges where the kernel lets users make theirs.
NAMESPACES = ("--net", "--mount", "--pid", "--ipc", "--fork", "--kill-child")
WAYS: dict[str, tuple[str, ...]] = {
    "as root": ("unshare", *NAMESPACES),
    "as an unprivileged user": ("unshare", "--user", "--map-root-user", *NAMESPACES),
}
_LOOK = 0.2
_GRACE = 5.0  # seconds in which the namespace ends by itself when its input is closed
_LATE = 30  # seconds above the plan's own limit after which it is ended from here


class Failed(Exception):
    """A rehearsal that gave no answer. ``code`` is isolation, login, start, system, unforeseen or ended."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def environment() -> dict[str, str]:
    """Return the little that a child needs to know; no setting of the console is among it."""
    return {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ} | {"LANG": "C.UTF-8"}


def rehearse(plan: Plan, way: tuple[str, ...], check: Callable[[], None], tell: Callable[[str, str], None]) -> Answer:
    """Start the service of ``plan`` in namespaces made by the command ``way`` and return what it said.

    ``tell`` hears of the phases ``health`` and ``compare`` as they begin, with a sentence. ``check`` is called five
    times a second and may raise. Whatever happens, every process is gone afterwards. Raises Failed.
    """
    process = subprocess.Popen(
        [*way, sys.executable, *INSIDE],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        start_new_session=True,
        preexec_fn=system.end_with_parent,
    )
    try:
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(plan.as_line())
        for event in _events(process, time.monotonic() + plan.seconds + _LATE, check):
            if event["event"] == "phase":
                tell(event["key"], event.get("text", ""))
            elif event["event"] == "failed":
                raise Failed(event["code"], event["text"])
            else:
                return Answer.of(event)
        raise Failed("ended", "its first process ended without a word")
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End the namespace: its first process when its input closes, by force after ``_GRACE`` seconds.

    The status of ``unshare`` comes when the kernel has ended everything inside.
    """
    with suppress(OSError):
        if process.stdin:
            process.stdin.close()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        for child in _children(process.pid):
            with suppress(psutil.Error):
                child.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    finally:
        process.kill()
        process.wait()
        with suppress(OSError):
            if process.stdout:
                process.stdout.close()


def _children(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children())
    except psutil.Error:
        return []


def _events(process: subprocess.Popen[bytes], until: float, check: Callable[[], None]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    poll = select.poll()
    poll.register(process.stdout, select.POLLIN | select.POLLHUP)
    rest = b""
    while True:
        check()
        if time.monotonic() >= until:
            raise Failed("ended", "it did not end at its limit of time")
        if not poll.poll(_LOOK * 1000):
            continue
        part = os.read(process.stdout.fileno(), 1 << 16)
        if not part:
            return
        *lines, rest = (rest + part).split(b"\n")
        yield from map(json.loads, lines)
