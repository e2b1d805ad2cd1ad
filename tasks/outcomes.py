"""The strip of the last runs: one mark per run, told apart by shape as well as by colour (look.md, section 5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

from django.utils.html import format_html
from django.utils.safestring import SafeString

from tasks.engine.record import OUTCOME_STATES
from tasks.states import LOOKS, RunState

HEIGHT = 18
_ORDER = (RunState.SUCCESSFUL, RunState.WARNINGS, RunState.FAILED, RunState.STOPPED, RunState.POSTPONED)
_WORDS = {RunState.WARNINGS: "with warnings"}
# Per shape: tag, and for a bar its top and height, for a dot its centre. The outline is drawn inside the bar's edge.
_BARS: dict[str, tuple[tuple[float, float], ...]] = {
    "ok": ((0, 18),),
    "warn": ((0, 11), (13.5, 4.5)),
    "fail": ((9, 9),),
    "stop": ((9, 9),),
    "run": ((0, 4), (7, 4), (14, 4)),
    "none": ((16, 2),),
}
_CSS = {"stop": "strip-idle"}


def describe(outcomes: str) -> str:
    """Return the outcomes in words: ``12 successful, 2 failed``."""
    found = Counter(OUTCOME_STATES[code] for code in outcomes if code in OUTCOME_STATES)
    return ", ".join(f"{found[state]} {_WORDS.get(state, state.label.lower())}" for state in _ORDER if found[state])


@lru_cache(maxsize=2048)
def strip_svg(outcomes: str, slots: int = 14) -> SafeString:
    """Return the last ``slots`` outcomes as an image, the newest right; missing ones are low lines."""
    last = "".join(code for code in outcomes if code in OUTCOME_STATES)[-slots:]
    if not last:
        return SafeString("")
    shapes = ["none"] * (slots - len(last)) + [LOOKS[OUTCOME_STATES[code]].shape for code in last]
    runs = "Last run" if len(last) == 1 else f"Last {len(last)} runs, oldest first"
    return shapes_svg(shapes, f"{runs}: {describe(last)}")


def shapes_svg(shapes: Sequence[str], label: str) -> SafeString:
    """Return marks of these shapes side by side as an image that is called ``label``."""
    pitch, bar = (9, 6) if len(shapes) <= 14 else (8, 5)
    width = len(shapes) * pitch - (pitch - bar)
    return format_html(
        '<svg class="strip" role="img" aria-label="{}" viewBox="0 0 {} {}" width="{}" height="{}">{}</svg>',
        label,
        width,
        HEIGHT,
        width,
        HEIGHT,
        SafeString("".join(_mark(shape, place * pitch, bar) for place, shape in enumerate(shapes))),
    )


@lru_cache(maxsize=1024)
def _mark(shape: str, left: float, width: float) -> str:
    """Return a whole mark; a page has hundreds of them, and few different ones."""
    return "".join(_parts(shape, left, width))


def legend_svg(shape: str) -> SafeString:
    """Return one mark alone, for the legend under a table."""
    mark = SafeString(_mark(shape, 0, 8))
    return format_html('<svg aria-hidden="true" viewBox="0 0 8 {0}" width="8" height="{0}">{1}</svg>', HEIGHT, mark)


def _parts(shape: str, left: float, width: float) -> Iterator[SafeString]:
    if shape == "post":
        yield format_html(
            '<rect class="strip-post" x="{}" y="9.75" width="{}" height="7.5" rx="1"/>', left + 0.75, width - 1.5
        )
        return
    css = _CSS.get(shape, f"strip-{shape}")
    for top, height in _BARS[shape]:
        yield format_html(
            '<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="1"/>', css, left, top, width, height
        )
    if shape == "fail":
        yield format_html('<circle class="{}" cx="{}" cy="3.4" r="{}"/>', css, left + width / 2, min(3.2, width / 2))
