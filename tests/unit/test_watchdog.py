"""The watchdog ends what waits too long, and nothing else."""

from __future__ import annotations

import threading
import time

from storage.watchdog import Watchdog


def test_a_wait_that_is_too_long_is_ended_from_outside() -> None:
    wake = threading.Event()
    watchdog = Watchdog(wake.set)
    with watchdog.watch(0.2):
        assert wake.wait(5)
    assert watchdog.fired


def test_many_short_waits_are_left_alone() -> None:
    ended = threading.Event()
    watchdog = Watchdog(ended.set)
    until = time.monotonic() + 0.6
    while time.monotonic() < until:
        with watchdog.watch(0.4):
            time.sleep(0.01)
    assert not ended.wait(0.3)
    assert not watchdog.fired
    watchdog.close()


def test_the_earliest_of_several_limits_counts() -> None:
    wake = threading.Event()
    watchdog = Watchdog(wake.set)
    with watchdog.watch(60), watchdog.watch(0.1):
        assert wake.wait(5)


def test_a_closed_watchdog_does_nothing_and_leaves_no_thread() -> None:
    ended = threading.Event()
    watchdog = Watchdog(ended.set)
    before = threading.active_count()
    with watchdog.watch(0.1):
        watchdog.close()
        assert not ended.wait(0.5)
    end = time.monotonic() + 5
    while threading.active_count() > before:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_end_that_fails_still_counts_as_fired() -> None:
    def fail() -> None:
        raise OSError

    watchdog = Watchdog(fail)
    with watchdog.watch(0.1):
        end = time.monotonic() + 5
        while not watchdog.fired and time.monotonic() < end:
            time.sleep(0.02)
    assert watchdog.fired
