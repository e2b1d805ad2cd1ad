"""Times, sizes and states as the pages write them."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from tasks.models import Cluster
from tasks.states import RunState
from tasks.templatetags import console as tags

NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def fixed_now(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """It is 2026-11-23 08:00 in Berlin."""
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    with timezone.override(zoneinfo.ZoneInfo("Europe/Berlin")):
        yield


def test_days_around_today_have_names() -> None:
    today = date(2026, 11, 23)
    assert tags.day_word(today, today) == "Today"
    assert tags.day_word(date(2026, 11, 22), today) == "Yesterday"
    assert tags.day_word(date(2026, 11, 24), today) == "Tomorrow"
    assert tags.day_word(date(2026, 11, 25), today) == "2026-11-25"


def test_when_is_in_the_viewers_zone_with_its_offset() -> None:
    written = tags.when(datetime(2026, 11, 22, 23, 30, tzinfo=UTC))
    assert ">Today 00:30</time>" in written
    assert 'datetime="2026-11-23T00:30:00+01:00"' in written
    with timezone.override(zoneinfo.ZoneInfo("Asia/Tokyo")):
        assert ">Today 08:30</time>" in tags.when(datetime(2026, 11, 22, 23, 30, tzinfo=UTC))


def test_nothing_is_a_word() -> None:
    assert tags.when(None) == "Never"
    assert tags.when(None, "By hand") == "By hand"
    assert tags.size(None) == "No file"
    assert tags.duration(None) == "Not run"
    assert tags.ago(None) == "never"
    assert tags.distance(None) == ""
    assert tags.moment(None) == tags.clock(None) == "Never"


def test_records_and_logs_have_seconds() -> None:
    at = datetime(2026, 11, 20, 1, 0, 7, tzinfo=UTC)
    assert ">2026-11-20 02:00:07</time>" in tags.moment(at)
    assert ">02:00:07</time>" in tags.clock(at)


@pytest.mark.parametrize(
    ("back", "words"),
    [
        (timedelta(minutes=-1), "today"),
        (timedelta(0), "today"),
        (timedelta(hours=8), "today"),
        (timedelta(hours=8, seconds=1), "yesterday"),
        (timedelta(hours=23, minutes=59), "yesterday"),
        (timedelta(days=1), "1 d ago"),
        (timedelta(days=3), "3 d ago"),
        (timedelta(days=3, hours=23), "3 d ago"),
        (timedelta(days=40), "40 d ago"),
    ],
)
def test_days_ago_counts_by_hours_and_not_by_midnights(back: timedelta, words: str) -> None:
    assert f">{words}</time>" in tags.days_ago(NOW - back)


def test_ago_and_distance() -> None:
    assert "3 days ago" in tags.ago(NOW - timedelta(days=3))
    assert tags.distance(NOW + timedelta(hours=18, minutes=20)) == "in 18 h 20 min"
    assert tags.distance(NOW) == "now"


def test_sizes_keep_the_exact_bytes_in_the_title() -> None:
    assert tags.size(1_812_345_678) == '<span title="1,812,345,678 bytes">1.81 GB</span>'
    assert tags.speed(24_600_000) == "24.6 MB/s"
    assert tags.count(48212) == "48,212"


@pytest.mark.parametrize("state", RunState.values)
def test_every_state_has_icon_and_word(state: str) -> None:
    written = tags.status(state)
    assert RunState(state).label in written
    assert "#i-" in written


def test_no_runs_yet() -> None:
    assert "No runs yet" in tags.status("")


def test_sentences_are_parted() -> None:
    text = "Task iotdb-2.0.1 deleted. 8 backup file sets stay on 10.50.1.31."
    assert tags.first_sentence(text) == "Task iotdb-2.0.1 deleted."
    assert tags.further_sentences(text) == "8 backup file sets stay on 10.50.1.31."
    assert tags.first_sentence("One only.") == "One only."
    assert tags.further_sentences("One only.") == ""


def test_markup_in_a_name_stays_text() -> None:
    assert "<b>" not in tags.icon("<b>")


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/srv/backup/iotdb", ["/srv/", "backup/", "iotdb"]),
        ("hacluster/user/", ["hacluster/", "user/"]),
        ("10.20.4.18", ["10.20.4.18"]),
        ("//nas/share$", ["//nas/", "share$"]),
        ("a<b/c", ["a&lt;b/", "c"]),
        ("", []),
    ],
)
def test_a_path_breaks_after_its_slashes(path: str, parts: list[str]) -> None:
    assert tags.path(path) == "".join(f'<span class="seg">{part}</span>' for part in parts)


def test_days_near_now_are_lower_case_in_the_middle_of_a_sentence() -> None:
    today = timezone.localtime()
    assert f">today {today:%H:%M}</time>" in tags.on(today)
    assert tags.on(None) == "never"


def test_choices_are_named_escaped_and_one_of_them_is_chosen() -> None:
    clusters = [Cluster(pk=1, name="plant"), Cluster(pk=2, name="<b>")]
    assert tags.choices(clusters, 2) == (
        '<option value="1">plant</option><option value="2" selected>&lt;b&gt;</option>'
    )
    assert tags.choices([], None) == ""
