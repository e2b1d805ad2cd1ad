"""How things are written on the pages (look.md, section 9): times, sizes, states and icons.

Times are shown in the zone that is active for the viewer, always as ``<time datetime>`` with the offset.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from django import template
from django.template import Context
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from tasks import entries, moments
from tasks.charts.strips import shapes
from tasks.devices import device as device_words
from tasks.entries import Badge
from tasks.jinja import rendered
from tasks.models import Run
from tasks.outcomes import legend_svg, shapes_svg, strip_svg
from tasks.pagehelp import HELP
from tasks.rows import below_status
from tasks.states import LOOKS, NO_RUNS_YET, RunState
from tasks.units import format_distance, format_duration, format_size, format_speed

register = template.Library()
Moment = datetime | None


@register.simple_tag
@cache
def icon(name: str, extra: str = "") -> SafeString:
    """Return the icon ``name`` of the console's own sprite; it is decoration, the word stands beside it."""
    css = f"icon {extra}".strip()
    return format_html(
        '<svg class="{}" aria-hidden="true" focusable="false"><use href="{}#i-{}"/></svg>',
        css,
        static("icons.svg"),
        name,
    )


@register.simple_tag(takes_context=True)
def jinja(context: Context, name: str) -> SafeString:
    """Put a template of ``jinja/`` here, with all that this page knows; see ``tasks.jinja``."""
    return rendered(name, context.flatten())


@register.simple_tag
def choices(things: Iterable[Any], chosen: int | None) -> SafeString:
    """Return ``things`` by their names as the options of a choice; there may be a thousand of them."""
    return options(((one.pk, one.name) for one in things), chosen)


def options(pairs: Iterable[tuple[int, str]], chosen: int | None) -> SafeString:
    """Return keys with their words as the options of a choice."""
    marks = ((key, SafeString(" selected") if key == chosen else "", words) for key, words in pairs)
    return format_html_join("", '<option value="{}"{}>{}</option>', marks)


def day_word(day: date, today: date) -> str:
    """Return Today, Yesterday or Tomorrow for the days around ``today``, else the date."""
    near = {0: "Today", -1: "Yesterday", 1: "Tomorrow"}
    return near.get((day - today).days) or day.isoformat()


@register.filter
def when(value: Moment, nothing: str = "Never") -> SafeString | str:
    """Return a moment as ``Today 02:00`` or ``2026-11-24 02:00``; ``nothing`` where there is none."""
    if value is None:
        return nothing
    return _time(timezone.localtime(value), plain_when(value))


def plain_when(value: datetime) -> str:
    """Return a moment as ``when`` does, without markup: for choices, which bear none."""
    local = timezone.localtime(value)
    return f"{day_word(local.date(), timezone.localdate())} {local:%H:%M}"


@register.filter
def on(value: Moment, nothing: str = "never") -> SafeString | str:
    """Return a moment as ``when`` does, for the middle of a sentence: ``today 02:00``."""
    if value is None:
        return nothing
    return _time(timezone.localtime(value), plain_when(value).lower())


@register.filter
def moment(value: Moment, nothing: str = "Never") -> SafeString | str:
    """Return a moment as ``2026-11-24 02:00:07``, for records and logs."""
    if value is None:
        return nothing
    local = timezone.localtime(value)
    return _time(local, f"{local:%Y-%m-%d %H:%M:%S}")


@register.filter
def clock(value: Moment, nothing: str = "Never") -> SafeString | str:
    """Return only the time of day with seconds, for lines of a log."""
    if value is None:
        return nothing
    local = timezone.localtime(value)
    return _time(local, f"{local:%H:%M:%S}")


def _time(local: datetime, text: str) -> SafeString:
    full = f"{local:%a %Y-%m-%d %H:%M:%S %Z}"
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(timespec="seconds"), full, text)


@register.filter
def planned(value: datetime) -> SafeString:
    """Return a moment with its weekday, for where one plans or looks back: ``Tue 2026-11-24 02:00``."""
    local = timezone.localtime(value)
    return _time(local, f"{local:%a %Y-%m-%d %H:%M}")


@register.filter
def day(value: datetime) -> SafeString:
    """Return the day of a moment: ``2026-11-24``."""
    local = timezone.localtime(value)
    return _time(local, f"{local:%Y-%m-%d}")


@register.filter
def days_short(value: datetime) -> str:
    """Return how many days a moment lies back, where a word stands before it: ``today``, ``3 d``."""
    days = (timezone.localdate() - timezone.localdate(value)).days
    return "today" if days <= 0 else f"{days} d"


@register.filter
def days_ago(value: Moment, nothing: str = "never") -> SafeString | str:
    """Return how many whole days a moment lies back, for narrow cells: ``3 d ago``; within a day its day by name.

    Days are counted by 24 hours, as limits of age and ``ago`` count them: a midnight between makes nothing older.
    """
    if value is None:
        return nothing
    local = timezone.localtime(value)
    days = (timezone.now() - value).days
    text = f"{days} d ago" if days > 0 else "yesterday" if local.date() < timezone.localdate() else "today"
    return _time(local, text)


@register.filter
def ago(value: Moment, nothing: str = "never") -> SafeString | str:
    """Return how long a moment lies back in two units at most: ``3 days ago``, ``12 min ago``."""
    if value is None:
        return nothing
    return _time(timezone.localtime(value), f"{format_distance(timezone.now() - value)} ago")


@register.filter
def distance(value: Moment, nothing: str = "") -> str:
    """Return how far ahead a moment is: ``in 18 h 20 min``; ``now`` once it is reached."""
    if value is None:
        return nothing
    ahead = value - timezone.now()
    return "now" if ahead <= timedelta(0) else f"in {format_distance(ahead)}"


@register.filter
def size(value: int | None, nothing: str = "No file") -> SafeString | str:
    """Return a size in decimal units, the exact bytes in its title."""
    if value is None:
        return nothing
    return format_html('<span title="{} bytes">{}</span>', f"{value:,}", format_size(value))


@register.filter
def speed(value: float) -> str:
    """Return a speed in bytes per second in words."""
    return format_speed(value)


@register.filter
@lru_cache(maxsize=2048)
def path(value: str) -> SafeString:
    """Return a path or an address that breaks after its slashes, and within a name only where that is too long."""
    parts = (part for part in re.split(r"(?<=[^/]/)(?=[^/])", value) if part)
    return format_html_join("", '<span class="seg">{}</span>', ((part,) for part in parts))


@register.filter
def retold(value: object) -> SafeString:
    """Return a stored text with its moments in the viewer's zone, each as ``<time>``; see ``tasks.moments``."""
    told = (part if isinstance(part, str) else _time(part[1], part[0]) for part in moments.parts(str(value)))
    return format_html_join("", "{}", ((part,) for part in told))


@register.filter
def retold_plainly(value: object) -> str:
    """As ``retold``, without markup: for attributes."""
    return moments.retold(str(value))


@register.filter
def duration(value: timedelta | None, nothing: str = "Not run") -> str:
    """Return a duration in two units at most."""
    return nothing if value is None else format_duration(value)


@register.filter
def count(value: int) -> str:
    """Return a number with its thousands parted."""
    return f"{value:,}"


@register.filter
def by_parts(value: str) -> SafeString:
    """Return a name of IoTDB that may be broken behind its dots."""
    return format_html_join(SafeString(".<wbr>"), "{}", ((part,) for part in value.split(".")))


@register.inclusion_tag("shell/_help.html", takes_context=True)
def help_of_page(context: Context) -> dict[str, str | None]:
    """Unfold the short help of the page that is asked for; nothing where it speaks for itself."""
    match = context["request"].resolver_match
    return {"text": HELP.get(match.url_name) if match else None}


@register.simple_tag
@cache
def status(state: str) -> SafeString:
    """Return a state of a run as icon, word and colour; an empty state is a task that never ran."""
    look = LOOKS.get(state, NO_RUNS_YET)
    label = RunState(state).label if state else "No runs yet"
    mark = icon(look.icon[2:], "spin" if state == RunState.RUNNING else "")
    return format_html('<span class="status {}">{}<span>{}</span></span>', look.css, mark, label)


@register.filter
def cause(run: Run) -> str:
    """Return why a run ended as it did, to stand below its status."""
    return below_status(run.state, run.reason)


@register.filter
def proven(run: Run) -> list[Badge]:
    """Return how the set of a run is proven, the strongest proof first."""
    return entries.proven(run)


@register.filter
def device(user_agent: str) -> str:
    """Return what a browser says of itself in words: ``Firefox on Windows``."""
    return device_words(user_agent)


@register.simple_tag
def strip(outcomes: str, slots: int = 14) -> SafeString:
    """Return the strip of the last runs as an image; see ``tasks.outcomes``."""
    return strip_svg(outcomes, slots)


@register.simple_tag
def outcome_strip(letters: str, says: str, name: str, time: str) -> SafeString:
    """Return the outcomes of hours or days as an image; see ``tasks.charts.strips``."""
    return shapes_svg(shapes(letters), f"{name}, {time}: {says}")


@register.filter
def plain(value: float) -> str:
    """Return a number as SVG reads it, whatever the language of the page."""
    return f"{value:g}"


@register.simple_tag
def strip_legend(running: bool = False) -> SafeString:
    """Return what the marks of the strips mean; ``running``: a run that is under way is among them."""
    words = {"ok": "Successful", "warn": "With warnings", "fail": "Failed", "stop": "Stopped", "post": "Postponed"}
    words |= {"run": "Running"} if running else {}
    return format_html_join("", "<span>{}{}</span>", ((legend_svg(shape), word) for shape, word in words.items()))


@register.filter
def first_sentence(text: object) -> str:
    """Return a message up to the end of its first sentence."""
    head, stop, _ = str(text).partition(". ")
    return f"{head}." if stop else head


@register.filter
def further_sentences(text: object) -> str:
    """Return what follows the first sentence of a message."""
    return str(text).partition(". ")[2]
