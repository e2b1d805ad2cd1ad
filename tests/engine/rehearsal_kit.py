"""Rehearsing a set in the test's own process, looking at what it left, and being an account without privileges."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.utils import timezone

from tasks import services
from tasks.audit import CONSOLE
from tasks.engine import kinds
from tasks.engine.lease import Lease, claim
from tasks.engine.snapshot import scratch_directory
from tasks.models import BackupTask, Node, Run
from tasks.rehearsal import machine, outside
from tests.engine.kit import run_now
from tests.lacks import leave_out
from tests.servers.iotdb import require
from tests.servers.iotdb_jars import distribution

DONE = dict.fromkeys(("fetch", "verify", "unpack", "start", "health", "compare", "remove"), "done")
WORKING = ("fetch", "verify", "unpack", "start", "health", "compare")
NOBODY = 65534
_CODE = """
import os, sys
sys.path.insert(0, {root!r})
from tasks.rehearsal import isolation
for closed in {closed!r}:
    isolation._hide(closed, {seen!r})
os.setgroups([])
os.setgid({nobody})
os.setuid({nobody})
os.execvp(sys.argv[1], sys.argv[1:])
"""


@contextmanager
def as_nobody(*seen: str) -> Iterator[tuple[list[str], str]]:
    """Give what stands before a command to run it as nobody, and a directory that belongs to nobody.

    In a mount namespace of its own the way to Python, the code and the places ``seen`` is open, and nothing else of the
    closed directories on that way is there. Only root can do this.
    """
    wanted = [os.path.realpath(path) for path in (*seen, sys.prefix, sys.base_prefix, str(outside.ROOT))]
    closed = sorted({str(parent) for path in wanted for parent in Path(path).parents if not parent.stat().st_mode & 1})
    closed = [path for path in closed if not any(path.startswith(f"{other}/") for other in closed)]
    code = _CODE.format(root=str(outside.ROOT), closed=closed, seen=wanted, nobody=NOBODY)
    place = tempfile.mkdtemp(prefix="rehearsal-nobody-")
    try:
        os.chown(place, NOBODY, NOBODY)
        yield ["unshare", "--mount", sys.executable, "-c", code], place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def rehearse_now(run: Run) -> Run:
    """Rehearse the set of ``run`` from click to result and return the rehearsal as it stands then."""
    lease = begin_rehearsal(run)
    kinds.execute(lease)
    return Run.objects.get(pk=lease.run_id)


def begin_rehearsal(run: Run) -> Lease:
    """Queue a rehearsal of the set of ``run`` and claim it, as a worker would."""
    lease = claim(services.rehearse(CONSOLE, run, timezone.now()).pk, timezone.now())
    assert lease is not None
    return lease


def states(rehearsal: Run) -> dict[str, str]:
    """Return the state of each step."""
    return {step["key"]: step["state"] for step in rehearsal.steps}


def text_of(rehearsal: Run, key: str) -> str:
    """Return what a step said."""
    return next(str(step["text"]) for step in rehearsal.steps if step["key"] == key)


def leftovers() -> list[str]:
    """Return what rehearsals left on this machine: files of the spool, and processes that name it."""
    spool = scratch_directory()
    found = [path.name for path in Path(spool).iterdir()]
    for process in psutil.process_iter(["cmdline"]):
        if any(f"{spool}/run-" in part for part in process.info["cmdline"] or ()):
            found.append(f"process {process.pid}")
    return found


@pytest.fixture(autouse=True, name="means")
def means_of_a_rehearsal(settings: Any, storage_path: Path) -> None:
    """An installation of the tests' version; without the server, or a kernel that makes namespaces, nothing is run."""
    require_means(settings)
    settings.REHEARSAL_SECONDS = 240


def require_means(settings: Any) -> None:
    """Let rehearsals find the tests' installation; skip loudly without it or a kernel that makes namespaces."""
    require()
    machine.forget()
    trial = machine.namespaces(scratch_directory())
    if not trial.command:
        leave_out(f"this kernel makes no namespaces: {trial.words}")
    settings.IOTDB_INSTALLATIONS = [str(distribution().parent)]


@pytest.fixture(name="sample_set")
def set_of_the_sample(task: BackupTask, node: Node) -> Run:
    """A set of the sample home, which no server runs from."""
    return run_now(task)
