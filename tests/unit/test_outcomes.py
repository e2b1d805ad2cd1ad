"""The strip of outcomes: shapes by state, words for those who do not see it."""

from __future__ import annotations

import re

from tasks.outcomes import describe, legend_svg, strip_svg


def test_words_name_every_kind() -> None:
    assert describe("sswfxp") == "2 successful, 1 with warnings, 1 failed, 1 stopped, 1 postponed"


def test_no_runs_give_no_strip() -> None:
    assert strip_svg("") == ""


def test_missing_runs_are_low_lines_on_the_left() -> None:
    svg = strip_svg("sf")
    assert svg.count("strip-none") == 12
    assert 'aria-label="Last 2 runs, oldest first: 1 successful, 1 failed"' in svg
    assert 'viewBox="0 0 123 18"' in svg
    assert svg.index("strip-ok") < svg.index("strip-fail")


def test_only_the_newest_are_shown() -> None:
    assert "failed" not in strip_svg("f" + "s" * 14)
    assert 'viewBox="0 0 237 18"' in strip_svg("s" * 30, 30)


def test_states_differ_by_shape_and_not_by_colour_alone() -> None:
    shapes = ("ok", "warn", "fail", "stop", "post", "run")
    bare = {shape: re.sub(r'class="[^"]*"', "", legend_svg(shape)) for shape in shapes}
    assert len(set(bare.values())) == len(bare)


def test_unknown_codes_are_passed_over() -> None:
    assert describe("s?") == "1 successful"
