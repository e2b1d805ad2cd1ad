"""How alarms are written on the pages (look.md, section 5): always icon, word and colour."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tasks.alarms import ALARMS
from tasks.models import Alarm
from tasks.states import Severity
from tasks.templatetags.console import icon

register = template.Library()
_LOOKS = {
    Severity.CRITICAL: ("status-fail", "fail"),
    Severity.MAJOR: ("status-warn", "warn"),
    Severity.MINOR: ("status-run", "info"),
    Severity.SUGGESTION: ("status-idle", "info"),
}


@register.simple_tag
def severity(value: str) -> SafeString:
    """Return a severity as icon, word and colour."""
    css, mark = _LOOKS[Severity(value)]
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
    cluster = alarm.cluster.name if alarm.cluster else ""
    parts = (known.number if known else "", cluster, alarm.place if alarm.place != cluster else "")
    return ", ".join(filter(None, parts)) or alarm.subject


@register.filter
def cleared_how(alarm: Alarm) -> str:
    """Return what clears the alarm by itself, as the end of a sentence."""
    known = ALARMS.get(alarm.code)
    return known.cleared if known else "hand"


@register.filter
def link_word(alarm: Alarm) -> str:
    """Return the word of the link that leads to the thing."""
    known = ALARMS.get(alarm.code)
    return known.action if known else "Show"
