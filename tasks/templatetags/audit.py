"""How events of the audit are written on the pages: risk levels and results, always icon, word and colour."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tasks.models import AuditEvent
from tasks.risks import Risk
from tasks.templatetags.console import icon

register = template.Library()
_LOOKS = {
    Risk.CRITICAL: ("status-fail", "fail"),
    Risk.MAJOR: ("status-warn", "warn"),
    Risk.MINOR: ("status-run", "info"),
    Risk.NOTICE: ("status-idle", "info"),
}


@register.simple_tag
def risk(value: str) -> SafeString:
    """Return a risk level as icon, word and colour."""
    css, mark = _LOOKS[Risk(value)]
    return format_html('<span class="status {}">{}<span>{}</span></span>', css, icon(mark), Risk(value).label)


@register.simple_tag
def result(event: AuditEvent) -> SafeString:
    """Return how an attempt ended as icon, word and colour."""
    refused = event.result == AuditEvent.Result.REFUSED
    # What went as it should is most of the page and stays quiet.
    css, mark = ("status status-warn", "stop") if refused else ("proof proof-ok", "ok")
    label = AuditEvent.Result(event.result).label
    return format_html('<span class="{}">{}<span>{}</span></span>', css, icon(mark), label)
