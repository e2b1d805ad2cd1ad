"""Moments inside stored texts: true wherever the text goes, and in the viewer's zone on a page."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tasks import moments
from tasks.templatetags import console as tags

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
WINTER = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


def test_a_stamp_is_in_the_consoles_zone_whoever_looks() -> None:
    with timezone.override(zoneinfo.ZoneInfo("Asia/Shanghai")):
        assert moments.stamp(WINTER) == "2026-11-24 03:00 +01:00"
        assert moments.stamp(WINTER.replace(month=7, second=7), seconds=True) == "2026-07-24 04:00:07 +02:00"


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("Europe/Berlin", "The next run is 2026-11-24 03:00."),
        ("Asia/Shanghai", "The next run is 2026-11-24 10:00."),
        ("Pacific/Honolulu", "The next run is 2026-11-23 16:00."),
    ],
)
def test_a_page_tells_it_in_the_viewers_zone(zone: str, text: str) -> None:
    with timezone.override(zoneinfo.ZoneInfo(zone)):
        assert moments.retold(f"The next run is {moments.stamp(WINTER)}.") == text


def test_several_moments_with_and_without_seconds() -> None:
    text = f"From {moments.stamp(WINTER, seconds=True)} to {moments.stamp(WINTER)}"
    with timezone.override(UTC):
        assert moments.retold(text) == "From 2026-11-24 02:00:00 to 2026-11-24 02:00"


@pytest.mark.parametrize("text", ["", "2026-11-24 03:00", "2026-13-24 03:00 +01:00", "at 03:00 +01:00", "99 %"])
def test_what_is_no_moment_stays(text: str) -> None:
    assert moments.retold(text) == text


@given(st.text())
def test_any_text_comes_through_whole(text: str) -> None:
    assert "".join(part if isinstance(part, str) else part[0] for part in moments.parts(text)) == moments.retold(text)


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2090, 1, 1), timezones=st.just(UTC)))
def test_a_stamp_names_its_minute_exactly(moment: datetime) -> None:
    with timezone.override(UTC):
        assert moments.retold(moments.stamp(moment)) == moment.strftime("%Y-%m-%d %H:%M")


def test_the_filter_marks_moments_and_escapes_the_rest() -> None:
    with timezone.override(BERLIN):
        told = tags.retold(f"<b> {moments.stamp(WINTER)}")
        assert told.startswith('&lt;b&gt; <time datetime="2026-11-24T03:00:00+01:00"')
        assert told.endswith(">2026-11-24 03:00</time>")
        assert tags.retold_plainly(f"At {moments.stamp(WINTER)}.") == "At 2026-11-24 03:00."
