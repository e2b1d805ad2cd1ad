"""Charts are geometry and words: axes, lines, strips, and the sentence that says what is seen. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tasks.charts import strips
from tasks.charts.line import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Point, day_ticks, line_chart
from tasks.charts.scale import BYTES, SECONDS, Scale, clock_step, decimal_step, scale_of
from tasks.charts.words import message
from tasks.outcomes import shapes_svg
from tasks.states import RunState

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SINCE = NOW - 30 * DAY
BERLIN, KOLKATA = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")
MB, GB = 10**6, 10**9


def series(*values: float) -> list[Point]:
    """Return one point a day, the last now."""
    return [Point(NOW - (len(values) - 1 - place) * DAY, value) for place, value in enumerate(values)]


# --- Axes -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("wanted", "step"), [(1, 1), (1.1, 2), (2.1, 2.5), (3, 5), (7, 10), (0.03, 0.05), (2e9, 2e9)])
def test_round_numbers(wanted: float, step: float) -> None:
    assert decimal_step(wanted) == pytest.approx(step)


@pytest.mark.parametrize(("wanted", "step"), [(0.2, 1), (7, 10), (40, 60), (61, 120), (5000, 7200), (90_000, 172_800)])
def test_round_durations_are_those_of_a_clock(wanted: float, step: float) -> None:
    assert clock_step(wanted) == step


def test_an_axis_holds_every_value_between_its_ends() -> None:
    for values in ([3.0], [1.0, 7.0, 3.0], [980.0, 1000.0], [0.2, 0.21], [5e12, 5.1e12], [1.0, 1e15]):
        for unit in (BYTES, SECONDS):
            axis = scale_of(values, unit)
            assert axis.low <= min(values) and max(values) <= axis.high, values
            assert all(0 <= axis.part(value) <= 1 for value in values)
            assert 2 <= len(axis.ticks) <= 5
            assert axis.ticks[0] == axis.low


def test_an_axis_begins_at_nothing_unless_the_differences_were_lost() -> None:
    assert scale_of([1.0 * GB, 2.0 * GB], BYTES).low == 0
    assert scale_of([1.52 * GB, 1.81 * GB], BYTES) == Scale(
        1.5 * GB, 1.9 * GB, (1.5 * GB, 1.6 * GB, 1.7 * GB, 1.8 * GB, 1.9 * GB)
    )


def test_nothing_at_all_has_an_axis_too() -> None:
    assert scale_of([0.0, 0.0], BYTES) == Scale(0, 1, (0, 1))


# --- Lines ------------------------------------------------------------------------------------------------------------
def test_a_line_goes_from_edge_to_edge() -> None:
    chart = line_chart([Point(SINCE, 0), Point(SINCE + 15 * DAY, 2 * GB), Point(NOW, 1 * GB)], SINCE, NOW, BYTES, UTC)
    assert chart is not None
    middle = (LEFT + WIDTH - RIGHT) / 2
    base = HEIGHT - BOTTOM
    assert chart.points == f"{LEFT}.0,{base}.0 {middle},{TOP}.0 {WIDTH - RIGHT}.0,{chart.last[1]}"
    assert chart.area == f"{LEFT}.0,{base} {chart.points} {WIDTH - RIGHT}.0,{base}"
    assert chart.last == (WIDTH - RIGHT, (base + TOP) / 2)
    assert [tick.label for tick in chart.rows] == ["0 B", "1.00 GB", "2.00 GB"]
    assert [tick.place for tick in chart.rows] == [base, (base + TOP) / 2, TOP]


def test_what_lies_outside_the_time_is_left_out() -> None:
    points = [Point(SINCE - DAY, 9 * GB), Point(NOW - DAY, GB), Point(NOW + DAY, 9 * GB)]
    chart = line_chart(points, SINCE, NOW, BYTES, UTC)
    assert chart is not None
    assert chart.area == "" and "," in chart.points and " " not in chart.points
    assert line_chart(points[::2], SINCE, NOW, BYTES, UTC) is None


def test_few_points_are_marked_each() -> None:
    few, many = (line_chart(series(*range(1, count)), SINCE, NOW, SECONDS, UTC) for count in (4, 20))
    assert few is not None and many is not None
    assert len(few.dots) == 2 and not many.dots


@pytest.mark.parametrize(
    ("days", "labels"),
    [
        (30, ["10-30", "11-07", "11-15", "11-23"]),
        (4, ["11-19", "11-20", "11-21", "11-22", "11-23"]),
        (365, ["2026-02", "2026-05", "2026-08", "2026-11"]),
    ],
)
def test_days_are_labelled_evenly_and_the_last_always(days: int, labels: list[str]) -> None:
    ticks = day_ticks(NOW - days * DAY, NOW, UTC)
    assert [tick.label for tick in ticks] == labels
    assert ticks[-1].anchor == ("end" if days > 14 else "middle")
    assert [tick.place for tick in ticks] == sorted(tick.place for tick in ticks)


def test_days_are_those_of_the_viewer() -> None:
    late = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
    assert day_ticks(late - 4 * DAY, late, UTC)[-1].label == "11-23"
    assert day_ticks(late - 4 * DAY, late, BERLIN)[-1].label == "11-24"


# --- Sentences --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((1.52 * GB, 1.81 * GB), "Size rose from 1.52 GB on 2026-11-22 to 1.81 GB on 2026-11-23."),
        ((2 * GB, GB), "Size fell from 2.00 GB on 2026-11-22 to 1.00 GB on 2026-11-23."),
        ((GB, 1.01 * GB), "Size is about the same: 1.00 GB on 2026-11-22, 1.01 GB on 2026-11-23."),
        ((GB,), "Size was 1.00 GB on 2026-11-23."),
        ((), "Size: nothing in this time."),
        ((0, 0), "Size is about the same: 0 B on 2026-11-22, 0 B on 2026-11-23."),
        (
            (GB, 5 * GB, 2 * GB),
            "Size rose from 1.00 GB on 2026-11-21 to 2.00 GB on 2026-11-23, with a peak of 5.00 GB on 2026-11-22.",
        ),
    ],
)
def test_what_a_chart_says(values: tuple[float, ...], words: str) -> None:
    assert message("Size", series(*values), BYTES, UTC) == words


# --- Strips -----------------------------------------------------------------------------------------------------------
def test_the_last_24_hours_end_with_this_one() -> None:
    days = {date(2026, 11, 22): "." * 13 + "f" + "." * 10, date(2026, 11, 23): "s" + "." * 11 + "w" + "." * 11}
    assert strips.last_hours(days, NOW + timedelta(minutes=59)) == "f" + "." * 10 + "s" + "." * 11 + "w"
    assert strips.last_hours({}, NOW) == "." * 24


def test_days_of_the_viewer_are_made_of_hours() -> None:
    # 23:00 UTC is the next day in Berlin.
    days = {date(2026, 11, 22): "s" + "." * 22 + "f"}
    assert strips.last_days(days, date(2026, 11, 23), UTC, 2) == "f."
    assert strips.last_days(days, date(2026, 11, 23), BERLIN, 2) == "sf"


def test_half_an_hour_s_difference_goes_with_the_middle() -> None:
    # 18:30 UTC is midnight in Kolkata: the hour from 18:00 counts to the new day.
    days = {date(2026, 11, 22): "." * 17 + "sf" + "." * 5}
    assert strips.last_days(days, date(2026, 11, 23), KOLKATA, 2) == "sf"


def test_the_worst_outcome_of_a_day_is_shown_over_daylight_saving() -> None:
    # In Berlin 2026-10-25 has 25 hours: from 22:00 UTC on the 24th to 23:00 UTC on the 25th.
    days = {date(2026, 10, 24): "." * 22 + "sf", date(2026, 10, 25): "s" * 23 + "p"}
    assert strips.last_days(days, date(2026, 10, 26), BERLIN, 3) == ".fp"


def test_every_viewer_s_thirty_days_are_within_the_days_that_are_read() -> None:
    for zone in (ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Pago_Pago")):
        today = NOW.astimezone(zone).date()
        first = datetime.combine(today - timedelta(days=29), datetime.min.time(), tzinfo=zone).astimezone(UTC).date()
        assert strips.first_day(today) <= first


@pytest.mark.parametrize(
    ("letters", "state", "shown"),
    [
        ("..", "running", ".r"),
        ("ss", "running", "sr"),
        ("sf", "running", "sf"),
        ("s.", "waiting", "s."),
        ("s.", "", "s."),
    ],
)
def test_a_run_that_is_under_way(letters: str, state: str, shown: str) -> None:
    assert strips.with_state(letters, RunState(state) if state else "") == shown


def test_a_strip_in_words() -> None:
    assert strips.in_words("s" * 27 + "ffp", "day") == "2 days failed, 1 day postponed, 27 days successful"
    assert strips.in_words("..r", "hour") == "one run under way"
    assert strips.in_words("...", "day") == "no runs"
    assert strips.troubled("sf.w", ["a", "b", "c", "d"]) == [("b", "failed"), ("d", "with warnings")]


def test_strips_are_told_apart_by_shape() -> None:
    assert strips.shapes("swfxp.r") == ["ok", "warn", "fail", "stop", "post", "none", "run"]
    drawn = {each: shapes_svg([each], "x") for each in strips.shapes("swfxp.r")}
    plain = {text.replace(f"strip-{each}", "") for each, text in drawn.items()}
    assert len(plain) == len(drawn), "two outcomes differ by colour alone"


def test_a_strip_is_an_image_with_its_words() -> None:
    svg = shapes_svg(["ok"] * 30, '30 days: "all" <well>')
    assert 'role="img" aria-label="30 days: &quot;all&quot; &lt;well&gt;"' in svg
    assert svg.count("<rect") == 30
    assert "style=" not in svg
