"""A limit of time is one for the product, not for the neighbours of a test."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests import patience
from tests.patience import Stopwatch

WRITTEN = "some avg10=97.53 avg60=97.12 avg300=94.62 total={}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=999\n"


@pytest.fixture
def pressure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cpu"
    monkeypatch.setattr(patience, "PRESSURE", path)
    return path


def test_what_the_processors_were_short_of_is_not_counted(pressure: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pressure.write_text(WRITTEN.format(5_000_000))
    watch = Stopwatch()
    now[0] += 10
    assert watch.seconds == 10
    pressure.write_text(WRITTEN.format(12_000_000))
    assert watch.seconds == 3


def test_where_nobody_counts_every_second_does(pressure: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watch = Stopwatch()
    now[0] += 10
    assert watch.seconds == 10
    pressure.write_text("something else")
    assert patience.stalled() == 0
