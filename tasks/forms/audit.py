"""The filters of the audit: what a URL holds becomes a search, or an error that names the field."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils import timezone

from tasks.auditing.periods import Period
from tasks.auditing.search import Search
from tasks.forms.fields import MomentField
from tasks.models import AuditEvent
from tasks.risks import Risk
from tasks.selectors import number_in

_MOMENT = {"required": "", "invalid": "Give day and time as 2026-11-24T10:30."}


class AuditFilterForm(forms.Form):
    """Every filter of the page; none has to be set. ``since`` and ``until`` are wall-clock times of the viewer."""

    q = forms.CharField(label="Search", max_length=100, required=False)
    person = forms.CharField(label="Person", max_length=150, required=False)
    verb = forms.CharField(label="Operation", max_length=40, required=False)
    result = forms.ChoiceField(label="Result", choices=[("", "All"), *AuditEvent.Result.choices], required=False)
    risk = forms.ChoiceField(label="Risk level", choices=[("", "All"), *Risk.choices], required=False)
    kind = forms.CharField(label="Kind", max_length=40, required=False)
    name = forms.CharField(label="Name", max_length=255, required=False)
    address = forms.CharField(label="Address", max_length=64, required=False)
    since = MomentField(label="From", required=False, error_messages=_MOMENT)
    until = MomentField(label="To", required=False, error_messages=_MOMENT)

    def __init__(self, query: QueryDict) -> None:
        named = {name: query.get({"since": "from", "until": "to"}.get(name, name), "") for name in self.base_fields}
        super().__init__({name: value.replace("\0", "") for name, value in named.items()})
        self.thing = number_in(query.get("thing", "")) if query.get("kind") else None
        self.cluster = number_in(query.get("cluster", ""))
        self.period = Period.read(query.get("date", ""))

    def clean(self) -> dict[str, Any]:
        """Refuse a stretch of time that ends before it begins."""
        cleaned: dict[str, Any] = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and until < since:
            self.add_error("until", "This is before From. Give a later time.")
        return cleaned

    @property
    def search(self) -> Search:
        """The search, of a form that is valid; the minute of *To* and the chosen date are within it."""
        values = dict(self.cleaned_data)
        # A person reads the minute that is named as a part of the stretch.
        until = values["until"] + timedelta(minutes=1) if values["until"] else None
        since, until = _within(self.period, values["since"], until)
        return Search(**{**values, "since": since, "until": until, "thing": self.thing, "cluster": self.cluster})

    def query(self) -> dict[str, str]:
        """Return what is set as the pairs of a URL."""
        names = {"since": "from", "until": "to"}
        pairs = {names.get(name, name): self.data[name] for name in self.fields}
        pairs |= {"thing": self.thing or "", "cluster": self.cluster or "", "date": str(self.period or "")}
        return {name: str(value) for name, value in pairs.items() if value}


def _within(
    period: Period | None, since: datetime | None, until: datetime | None
) -> tuple[datetime | None, datetime | None]:
    """Return the stretch of time that is in both."""
    if period is None:
        return since, until
    first, last = period.bounds(timezone.get_current_timezone())
    return max(first, since or first), min(last, until or last)
