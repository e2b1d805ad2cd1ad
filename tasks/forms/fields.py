"""Fields and widgets of the console's own forms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)


class MomentField(forms.DateTimeField):
    """A moment to the minute, typed as wall-clock time of ``zone``.

    A time that the zone skips in spring is taken as much later as the gap is long, one that comes twice in autumn as
    the first: ``tasks.schedule`` does the same with every later occurrence.
    """

    widget = forms.DateTimeInput(
        format="%Y-%m-%dT%H:%M",
        attrs={"type": "datetime-local", "min": "2000-01-01T00:00", "max": "2099-12-31T23:59", "step": "60"},
    )
    default_error_messages = {
        "required": "Give the day and the time of the first start.",
        "invalid": "Give day and time as 2026-11-24T02:00, which is 2 o'clock on 24 November 2026.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.zone: tzinfo | None = None

    def to_python(self, value: Any) -> datetime | None:
        """Return the moment in UTC, as the database gives it back.

        Raises ``ValidationError`` for what is no moment or lies centuries away.
        """
        if value in self.empty_values:
            return None
        try:
            found = parse_datetime(str(value).strip())
        except ValueError:
            found = None
        if found is None:
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        if timezone.is_naive(found):
            found = found.replace(tzinfo=self.zone or timezone.get_current_timezone(), fold=0)
        return self._in_range(found).replace(second=0, microsecond=0).astimezone(UTC)

    def _in_range(self, found: datetime) -> datetime:
        if not EARLIEST.year <= found.year < LATEST.year:
            raise ValidationError("Give a day of the years 2000 to 2099.", code="range")
        return found

    def prepare_value(self, value: Any) -> Any:
        """Return a moment as wall-clock time of ``zone``."""
        if isinstance(value, datetime) and timezone.is_aware(value):
            return timezone.make_naive(value, self.zone or timezone.get_current_timezone())
        return value


class Cards(forms.RadioSelect):
    """Radio buttons as cards, each with a line of its own below its label; some may be shown but not chosen."""

    def __init__(self, *args: Any, hints: Mapping[str, str] | None = None, closed: tuple[str, ...] = ()) -> None:
        super().__init__(*args)
        self.hints = dict(hints or {})
        self.closed = closed

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Add the hint to an option, and lock those that cannot be chosen."""
        option = super().create_option(name, value, *args, **kwargs)
        option["hint"] = self.hints.get(str(value), "")
        option["attrs"]["class"] = "form-check-input"
        if str(value) in self.closed:
            option["attrs"]["disabled"] = True
        return option


class Ticks(forms.CheckboxSelectMultiple):
    """Check boxes of the console's look."""

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Give each box Bootstrap's class."""
        option = super().create_option(name, value, *args, **kwargs)
        option["attrs"]["class"] = "form-check-input"
        return option
