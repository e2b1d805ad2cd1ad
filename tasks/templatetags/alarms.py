"""How alarms are written on the pages (look.md, section 5): always icon, word and colour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from django import template
from django.urls import Resolver404, resolve, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tasks.alarms import ALARMS, CONSOLE
from tasks.models import Alarm
from tasks.states import Severity
from tasks.templatetags.console import icon
from tasks.units import format_duration

register = template.Library()
_LOOKS = {
    Severity.CRITICAL: ("status-fail", "fail"),
    Severity.MAJOR: ("status-warn", "warn"),
    Severity.MINOR: ("status-run", "info"),
    Severity.SUGGESTION: ("status-idle", "info"),
}
# What is done on the page that an alarm leads to, and what one has to be allowed for it (``shell.may``).
_WORDS = {
    "task-history": ("View History", "view"),
    "task-verify": ("Verify again", "run"),
    "tasks": ("Show tasks", "view"),
    "restoration": ("Show steps", "view"),
    "cluster": ("Show cluster", "view"),
    "management-nodes": ("Management nodes", "system"),
    "tasks_auditevent_changelist": ("Show audit", "audit"),
    "home": ("Show space", "view"),
    "notifications": ("Show notifications", "view"),
    "notifications-system": ("Show mail server", "system"),
}
# Alarms that the form of the task helps against.
_OF_FORM = ("backup-failed", "host-key-changed", "task-overdue")


class Link(NamedTuple):
    """Where one acts on an alarm."""

    href: str
    word: str


@register.simple_tag
def severity(value: str, calm: bool = False) -> SafeString:
    """Return a severity as icon, word and colour; a ``calm`` one without the colour, as somebody sees to it."""
    css, mark = _LOOKS[Severity(value)]
    css = "status-idle" if calm else css
    return format_html('<span class="status {}">{}<span>{}</span></span>', css, icon(mark), Severity(value).label)


@register.simple_tag
def severity_mark(value: str) -> SafeString:
    """Return the icon of a severity, to stand before its word."""
    css, mark = _LOOKS[Severity(value)]
    return format_html('<span class="status {}">{}</span>', css, icon(mark))


@register.filter
def alarm_place(alarm: Alarm) -> str:
    """Return of what an alarm is: its number where FusionInsight has one, the cluster, the thing."""
    known = ALARMS.get(alarm.code)
    cluster = alarm.cluster.name if alarm.cluster else "Console"
    parts = (known.number if known else "", cluster, alarm.place if alarm.place != cluster else "")
    return ", ".join(filter(None, parts))


@register.filter
def cleared_how(alarm: Alarm) -> str:
    """Return what clears the alarm by itself, as the end of a sentence."""
    known = ALARMS.get(alarm.code)
    return known.cleared if known else "hand"


@register.filter
def cleared_by(alarm: Alarm) -> str:
    """Return who cleared an alarm, and how long it had been raised."""
    lasted = format_duration(alarm.cleared_at - alarm.raised_at) if alarm.cleared_at else ""
    return f"{'by itself' if alarm.cleared_by == CONSOLE else f'by {alarm.cleared_by}'} after {lasted}"


@register.filter
def clearable(alarm: Alarm) -> bool:
    """Tell whether clearing an alarm by hand makes sense."""
    known = ALARMS.get(alarm.code)
    return known is None or not known.watched


@register.simple_tag
def alarm_links(alarm: Alarm, may: Mapping[str, bool]) -> list[Link]:
    """Return where one acts on an alarm: its own link, and forms that help, as far as the person may."""
    return list(_links(alarm, may))


def _links(alarm: Alarm, may: Mapping[str, bool]) -> Iterator[Link]:
    if alarm.code == "no-remote-task" and may.get("manage") and alarm.cluster_id:
        yield Link(f"{reverse('task-new')}?{urlencode({'cluster': alarm.cluster_id})}", "Create task")
    word, needed = _word(alarm.link)
    if word and may.get(needed):
        yield Link(alarm.link, word)
    kind, _, key = alarm.subject.partition(" ")
    if alarm.code in _OF_FORM and kind == "task" and key.isdigit() and may.get("manage"):
        yield Link(reverse("task-configure", args=[int(key)]), "Configure task")


def _word(link: str) -> tuple[str, str]:
    try:
        name = resolve(urlsplit(link).path).url_name or ""
    except Resolver404:
        return "", ""
    return _WORDS.get(name, ("Show", "view"))
