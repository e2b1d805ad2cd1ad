"""A service that refuses the IoTDB user after a restoration: its accounts may be older ones now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tasks.engine.restore import wellness
from tasks.engine.restore.wellness import Asked, wait_well
from tasks.iotdb.base import Account, Endpoint, Health
from tasks.rehearsal import inside
from tasks.rehearsal.inside import NoLogin, Rehearsal
from tasks.rehearsal.plan import Login

REFUSED = Health(False, "h:1 does not take the user.", refused=True)
SICK = Health(False, "DataNode 1 is Unknown.", version="2.0.1")
WELL = Health(True, "2 of 2 nodes Running.", version="2.0.1", series=7)
ACCOUNT = Account("root", "x")
ASKED = [Asked("IoTDB", (Endpoint("h", 1),), ACCOUNT)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A clock that goes on by a second at each pause."""
    now = [100.0]

    class Clock:
        def monotonic(self) -> float:
            return now[0]

        def sleep(self, seconds: float) -> None:
            now[0] += 1.0

    for module in (wellness, inside):
        monkeypatch.setattr(module, "time", Clock())
    yield now


def answers(monkeypatch: pytest.MonkeyPatch, module: Any, *healths: Health) -> None:
    """Let IoTDB answer these, the last one for ever."""
    left = list(healths)
    monkeypatch.setattr(module, "ask_health", lambda *_, **__: left.pop(0) if len(left) > 1 else left[0])


def well(told: list[str]) -> wellness.Well:
    return wait_well([], ASKED, lambda: None, told.append)


def test_a_refusal_is_waited_for_and_then_told_as_a_doubt(monkeypatch: Any, clock: list[float]) -> None:
    answers(monkeypatch, wellness, REFUSED)
    told: list[str] = []
    found = well(told)
    assert clock[0] >= 100 + wellness.REFUSED_SECONDS
    assert set(told) == {REFUSED.words}
    assert "IoTDB refuses the IoTDB user" in found.doubt


def test_a_refusal_that_passes_is_no_doubt(monkeypatch: Any, clock: list[float]) -> None:
    answers(monkeypatch, wellness, REFUSED, SICK, WELL)
    told: list[str] = []
    assert well(told).doubt == ""
    assert told == [REFUSED.words, f"IoTDB: {SICK.words}"]


def rehearsal(logins: list[Login]) -> Rehearsal:
    found = object.__new__(Rehearsal)
    found.plan = type("Plan", (), {"logins": logins})()
    found.endpoints, found.ends = [Endpoint("h", 1)], 1000.0
    found.look = lambda last: None  # type: ignore[method-assign]
    return found


def test_a_rehearsal_asks_as_the_next_account_where_one_is_refused(monkeypatch: Any, clock: list[float]) -> None:
    logins = [Login("a", "x", "the account"), Login("root", "root", "the default")]
    answers(monkeypatch, inside, REFUSED, WELL)
    assert rehearsal(logins).wait() == (WELL, logins[1])


def test_a_rehearsal_whose_accounts_are_all_refused_ends(monkeypatch: Any, clock: list[float]) -> None:
    answers(monkeypatch, inside, SICK, REFUSED)
    with pytest.raises(NoLogin, match="does not take the user"):
        rehearsal([Login("a", "x", "the account")]).wait()
    assert clock[0] > 120
