"""The console's end of ``child.py``: health and inventory of an IoTDB, each with a hard limit.

Password and user go to the child through a pipe: not in its arguments, not in its environment.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tasks.errors import SourceError
from tasks.iotdb.base import Account, Endpoint, Health, NodeState, Summary
from tasks.iotdb.document import Writer

COMMAND = (sys.executable, "-E", "-s", "-m", "tasks.iotdb.child")
ROOT = Path(__file__).resolve().parent.parent.parent
_ENVIRONMENT = ("PATH", "LANG", "LD_LIBRARY_PATH")
_GRACE, _GRACE_SECONDS = 0.1, 5.0  # the end of its time, in which the child says itself that it is over
_LOOK = 0.5
_PART = 1 << 16
NO_ANSWER = "IoTDB did not answer in {seconds:.0f} s."
ENDED = "The process that asks IoTDB ended early."


class NotAsked(SourceError):
    """Nobody could be asked for the inventory; the message says why."""

    code = "not-asked"
    retryable = True


def nothing() -> None:
    """Check nothing."""


def ask_health(
    account: Account,
    endpoints: Sequence[Endpoint],
    *,
    seconds: float = 30,
    check: Callable[[], None] = nothing,
    within: Sequence[str] = (),
) -> Health:
    """Return whether the service behind ``endpoints`` (its DataNodes, asked in turn) is well.

    What is found is never an error: a service that cannot be reached or refuses the account is not well, and the words
    say which. It takes ``seconds`` at most. ``check`` is called every half second and may raise, which ends the asking.
    ``within`` is put before the command of the child, such as ``nsenter --net=...``; it has to end with the child.
    """
    try:
        with _child("health", account, endpoints, seconds, check, within) as lines:
            answer = json.loads(next(lines))
    except NotAsked as failure:
        return Health(False, failure.message, answered=False)
    nodes = tuple(NodeState(**node) for node in answer.pop("nodes"))
    return Health(**answer, nodes=nodes)


def ask_regions(
    account: Account, endpoints: Sequence[Endpoint], *, seconds: float = 30, check: Callable[[], None] = nothing
) -> frozenset[int]:
    """Return the numbers of all data regions that the service behind ``endpoints`` knows. Raises NotAsked."""
    with _child("regions", account, endpoints, seconds, check, ()) as lines:
        answer = json.loads(next(lines))
    if "regions" not in answer:
        raise NotAsked(answer["why"])
    return frozenset(answer["regions"])


def take_inventory(
    account: Account,
    endpoints: Sequence[Endpoint],
    path: Path,
    *,
    facts: Mapping[str, Any] | None = None,
    seconds: float = 600,
    series_limit: int = 1_000_000,
    check: Callable[[], None] = nothing,
    within: Sequence[str] = (),
) -> Summary:
    """Write the inventory of a service to the new file ``path`` (``document.py``) and return it in short.

    ``facts`` go into its head. Whatever the server refuses, and what did not fit into ``seconds``, is recorded in
    ``errors`` of the summary. More than ``series_limit`` series are counted but not listed. Memory does not grow with
    the number of series. ``check`` and ``within`` are those of ``ask_health``. Raises NotAsked where nobody could be
    asked at all, OSError where the file cannot be written; then there is no file.
    """
    writer = Writer(path.parent)
    try:
        with _child("inventory", account, endpoints, seconds, check, within, series_limit=series_limit) as lines:
            for line in lines:
                if line.startswith(_LAST):
                    break
                writer.add(line)
            else:
                raise NotAsked(ENDED)
        last = json.loads(line)
        if last.pop("type") == "failure":
            raise NotAsked(last["words"])
        summary = Summary.of(last)
        writer.finish(path, facts or {}, summary)
        return summary
    finally:
        writer.close()


_LAST = (b'{"type":"summary"', b'{"type":"failure"')


@contextmanager
def _child(
    call: str,
    account: Account,
    endpoints: Sequence[Endpoint],
    seconds: float,
    check: Callable[[], None],
    within: Sequence[str],
    **more: Any,
) -> Iterator[Iterator[bytes]]:
    """Start a child with a request, give its lines, and end it whatever happens."""
    until = time.monotonic() + seconds
    request = {"call": call, "user": account.user, "password": account.password, "endpoints": endpoints} | more
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    process = subprocess.Popen(
        [*within, *COMMAND],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    )
    try:
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            # Far less than a pipe holds: it cannot block.
            process.stdin.write(
                json.dumps(request | {"until": until - min(seconds * _GRACE, _GRACE_SECONDS)}).encode() + b"\n"
            )
        yield _lines(process, until, seconds, check)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe:
                    pipe.close()


def _lines(
    process: subprocess.Popen[bytes], until: float, seconds: float, check: Callable[[], None]
) -> Iterator[bytes]:
    """Yield the lines of a child; raises NotAsked at its limit and where it ends within a line."""
    assert process.stdout is not None
    poll = select.poll()
    poll.register(process.stdout, select.POLLIN | select.POLLHUP)
    rest, looked = b"", time.monotonic()
    while True:
        now = time.monotonic()
        if now >= until:
            raise NotAsked(NO_ANSWER.format(seconds=seconds))
        if now - looked >= _LOOK:
            check()
            looked = now
        if not poll.poll(min(_LOOK, until - now) * 1000):
            continue
        part = os.read(process.stdout.fileno(), _PART)
        if not part:
            raise NotAsked(ENDED)
        *lines, rest = (rest + part).split(b"\n")
        yield from lines
