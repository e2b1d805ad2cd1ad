"""kill -9 of the process that restores, at each step: the console finds back by itself, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tasks import services
from tasks.audit import CONSOLE
from tasks.engine import dispatch, ending
from tasks.engine.lease import Lease, claim
from tasks.engine.restore import changing, control, copies, undo
from tasks.engine.restore.unpacking import Unpacking
from tasks.hosts import LocalHost
from tasks.models import Alarm, Restoration, Run
from tasks.states import Kind, RunState
from tests.engine.kit import log_of
from tests.engine.restore_kit import (
    MAINS,
    Confirming,
    begin_restoration,
    damage,
    leftovers,
    picture,
    quick_stand_ins,  # noqa: F401
    restoration_of_set,  # noqa: F401
    run_waiting_rollback,
    run_with_set,  # noqa: F401
    running,
    running_node,  # noqa: F401
    set_that_does_not_start,  # noqa: F401
    steps_of,
)
from tests.faults.killing import Place, after, before, killed, leases_later

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]


def aside(number: int = 1) -> Callable[..., bool]:
    """The rename of a directory to its safety copy."""
    return lambda host, old, new: ".pre-restore-" in new and _nth("aside", number)


def swapped(number: int = 1) -> Callable[..., bool]:
    return lambda host, old, new: ".restoring-" in old and _nth("swapped", number)


def put_back(number: int = 1) -> Callable[..., bool]:
    return lambda host, old, new: ".pre-restore-" in old and _nth("back", number)


def taken_out(number: int = 1) -> Callable[..., bool]:
    return lambda host, old, new: ".restoring-" in new and _nth("out", number)


_counts: dict[str, int] = {}


def _nth(what: str, number: int) -> bool:
    """Count calls in the process that will die; before and after a call ask once each."""
    _counts[what] = _counts.get(what, 0) + 1
    return _counts[what] == number


def orders(verb: str, role: str) -> Callable[..., bool]:
    return lambda node, wanted, of: (wanted, of) == (verb, role)


WRITTEN = 30
CHANGING: dict[str, Callable[[], None]] = {
    "before the stop": before(control, "stop"),
    "between the stop of DataNode and ConfigNode": before(control.Node, "order", orders("stop", "ConfigNode")),
    "after the stop": after(control, "stop"),
    "a safety copy is planned, not made": before(LocalHost, "rename", aside()),
    "a safety copy is made, not recorded": after(LocalHost, "rename", aside(2)),
    "between two safety copies": after(copies, "set_aside"),
    "in the middle of unpacking": before(LocalHost, "write", lambda *_: _nth("write", WRITTEN)),
    "unpacked, not checked": after(Unpacking, "write"),
    "before the first swap": before(copies, "swap_in"),
    "a swap is done, not recorded": after(LocalHost, "rename", swapped(2)),
    "between two swaps": after(copies, "swap_in"),
    "before the start": before(control, "start"),
    "between the start of ConfigNode and DataNode": before(control.Node, "order", orders("start", "DataNode")),
    "before the health": before(changing, "wait_well"),
    "before the counts": before(changing.Changing, "_compare"),
}
GOING_BACK: dict[str, Callable[[], None]] = {
    "before the stop": before(undo.Undo, "go"),
    "before the restored one is taken out": before(LocalHost, "rename", taken_out()),
    "taken out, the old one not put back": after(LocalHost, "rename", taken_out(2)),
    "put back, not recorded": after(LocalHost, "rename", put_back()),
    "between two": after(copies, "put_back"),
    "before the start": before(control, "start"),
    "before what was unpacked is removed": before(copies, "clear_staging"),
    "while what was unpacked is removed": after(LocalHost, "remove_tree"),
}


def killed_restoration(lease: Lease, place: Place) -> Run:
    """Work on a run in a process that dies at a point, while somebody confirms it."""
    return killed(lease, place, Confirming(lease.run_id))


def reap_later(run: Run) -> Run:
    """Do what the first tick after the end of the lease does."""
    dispatch.tick(leases_later())
    run.refresh_from_db()
    return run


def assert_as_before(home: Path, was: dict[str, Any]) -> None:
    assert picture(home) == was
    assert running(home) == set(MAINS)
    assert leftovers(home) == []
    assert not Alarm.objects.filter(code="restoration-unknown", cleared_at__isnull=True).exists()


def test_killed_while_it_waits_to_be_confirmed(restoration: Restoration, sample_home: Path) -> None:
    was = picture(sample_home)
    run = reap_later(killed_restoration(begin_restoration(restoration), before(services, "confirm_restoration")))
    assert (run.state, run.error_code) == (RunState.FAILED, "worker-lost")
    assert steps_of(run)["confirm"] == "failed"
    assert not Run.objects.filter(kind=Kind.ROLLBACK).exists()
    assert_as_before(sample_home, was)
    services.start_restoration(CONSOLE, restoration, timezone.now())


@pytest.mark.parametrize("point", CHANGING)
def test_killed_while_it_changes(point: str, restoration: Restoration, sample_home: Path) -> None:
    damage(sample_home)
    was = picture(sample_home)
    run = killed_restoration(begin_restoration(restoration), CHANGING[point])
    assert run.state == RunState.RUNNING
    reap_later(run)
    assert (run.state, run.error_code) == (RunState.UNKNOWN, "worker-lost")
    assert "failed" in steps_of(run).values()
    assert Alarm.objects.filter(code="restoration-unknown", cleared_at__isnull=True).exists()
    back = run_waiting_rollback(restoration)
    assert back.state == RunState.ROLLED_BACK, log_of(back)
    assert restoration.last_state == RunState.ROLLED_BACK
    assert_as_before(sample_home, was)


def test_killed_when_it_serves_again(restoration: Restoration, sample_home: Path) -> None:
    good = picture(sample_home)
    damage(sample_home)
    run = reap_later(killed_restoration(begin_restoration(restoration), before(ending, "_record_end")))
    assert run.state == RunState.WARNINGS
    assert run.reason.endswith("The metadata had been restored before, and IoTDB was well.")
    assert picture(sample_home) == good
    assert not Run.objects.filter(kind=Kind.ROLLBACK).exists()


@pytest.mark.parametrize("point", GOING_BACK)
def test_killed_on_the_way_back(point: str, bad_set: Restoration, sample_home: Path) -> None:
    was = picture(sample_home)
    run = reap_later(killed_restoration(begin_restoration(bad_set), GOING_BACK[point]))
    assert run.state == RunState.UNKNOWN
    assert run_waiting_rollback(bad_set).state == RunState.ROLLED_BACK
    assert_as_before(sample_home, was)


def test_a_rollback_that_is_killed_too_is_ordered_again(bad_set: Restoration, sample_home: Path) -> None:
    was = picture(sample_home)
    reap_later(killed_restoration(begin_restoration(bad_set), CHANGING["before the health"]))
    for _ in range(2):
        back = Run.objects.get(restoration=bad_set, kind=Kind.ROLLBACK, state=RunState.WAITING)
        lease = claim(back.pk, timezone.now())
        assert lease is not None
        assert reap_later(killed_restoration(lease, GOING_BACK["put back, not recorded"])).state == RunState.UNKNOWN
    assert run_waiting_rollback(bad_set).state == RunState.ROLLED_BACK
    assert_as_before(sample_home, was)


def test_a_rollback_that_kills_its_worker_is_not_ordered_for_ever(bad_set: Restoration, sample_home: Path) -> None:
    reap_later(killed_restoration(begin_restoration(bad_set), CHANGING["before the health"]))
    for _ in range(3):
        back = Run.objects.get(restoration=bad_set, kind=Kind.ROLLBACK, state=RunState.WAITING)
        lease = claim(back.pk, timezone.now())
        assert lease is not None
        reap_later(killed_restoration(lease, GOING_BACK["before the stop"]))
    assert not Run.objects.filter(state=RunState.WAITING).exists()
    bad_set.refresh_from_db()
    assert bad_set.last_state == RunState.UNKNOWN
