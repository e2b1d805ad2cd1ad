"""What stands in menus and choices. A page has a hundred of these: as a template each took ten times as long."""

from __future__ import annotations

from collections.abc import Iterable

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tasks.models import Run
from tasks.templatetags.console import icon, options, plain_when

register = template.Library()


@register.simple_tag
def verb(word: str, url_name: str, pk: int, icon_name: str, cannot: str = "") -> SafeString:
    """Return what does ``word`` to the thing ``pk``, or says why it cannot be done now."""
    if cannot:
        return format_html(
            '<li><button type="button" disabled>{}{}<small>{}</small></button></li>', icon(icon_name), word, cannot
        )
    address = reverse(url_name, args=[pk])
    return format_html(
        '<li><button type="submit" form="verbs" formaction="{}" hx-post="{}" hx-swap="none" data-verb>'
        "{}{}</button></li>",
        address,
        address,
        icon(icon_name),
        word,
    )


@register.simple_tag
def set_choices(runs: Iterable[Run], chosen: int | None) -> SafeString:
    """Return the sets of ``runs`` as the options of a choice, each by when it was taken and what there is to know."""
    return options(((run.pk, _set_in_words(run)) for run in runs), chosen)


def _set_in_words(run: Run) -> str:
    removed = " (files removed)" if run.set_removed_at else ""
    sick = " (IoTDB not well)" if run.healthy is False else ""
    return f"{plain_when(run.began)}, run {run.pk}{removed}{sick}"
