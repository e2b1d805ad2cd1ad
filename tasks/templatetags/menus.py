"""What stands in the menus of rows. A page has a hundred of these: as a template each took ten times as long."""

from __future__ import annotations

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tasks.templatetags.console import icon

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
