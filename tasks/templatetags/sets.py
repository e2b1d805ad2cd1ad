"""What stands in choices of sets. A page has hundreds of these: as a template each took ten times as long."""

from __future__ import annotations

from collections.abc import Iterable

from django import template
from django.utils.safestring import SafeString

from tasks.models import Run
from tasks.templatetags.console import options, plain_when

register = template.Library()


@register.simple_tag
def set_choices(runs: Iterable[Run], chosen: int | None) -> SafeString:
    """Return the sets of ``runs`` as the options of a choice, each by when it was taken and what there is to know."""
    return options(((run.pk, _set_in_words(run)) for run in runs), chosen)


def _set_in_words(run: Run) -> str:
    removed = " (files removed)" if run.set_removed_at else ""
    sick = " (IoTDB not well)" if run.healthy is False else ""
    return f"{plain_when(run.began)}, run {run.pk}{removed}{sick}"
