"""The schedule of a task: Started, Period and Backup Policy (seed, Table 1)."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from tasks.forms.fields import Cards, MomentField
from tasks.middleware import zone_named
from tasks.schedule import Schedule
from tasks.states import Mode, PeriodUnit, Policy
from tasks.zones import same_clock

LIMITS = {PeriodUnit.HOURS: 9999, PeriodUnit.DAYS: 3650}
ONLY_FULL = (
    "Incremental backup is not supported when component metadata is backed up. "
    "Only Full backup every time is supported."
)
SCHEDULE_FIELDS = ("started", "period", "period_unit", "policy")


def next_full_hour(now: datetime) -> datetime:
    """Return the next full hour of the viewer's clock."""
    local = timezone.localtime(now).replace(minute=0, second=0, microsecond=0)
    return local + timedelta(hours=1)


class ScheduleForm(forms.Form):
    """Started, Period and Backup Policy of a periodic task.

    Started is typed in the viewer's zone. The page carries the name of the zone in which it was made, so that a viewer
    whose zone becomes known, or changes, before the form is sent still means what the page showed.
    """

    zone = forms.CharField(required=False, widget=forms.HiddenInput)
    started = MomentField(label="Started")
    period = forms.IntegerField(
        label="Period",
        min_value=1,
        initial=1,
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
        help_text="Days keep the time of day over daylight saving.",
        error_messages={
            "required": "Say after how many hours or days the task is started again.",
            "invalid": "Give the period as a whole number.",
            "min_value": "Give a period of at least 1.",
        },
    )
    period_unit = forms.ChoiceField(
        label="Period unit",
        choices=PeriodUnit.choices,
        initial=PeriodUnit.DAYS,
        error_messages={"required": "Choose Hours or Days.", "invalid_choice": "Choose Hours or Days."},
    )
    policy = forms.ChoiceField(
        label="Backup Policy",
        choices=Policy.choices,
        initial=Policy.FULL,
        required=False,
        widget=Cards(closed=(Policy.FIRST_FULL.value, Policy.FULL_EVERY_N.value)),
        help_text=ONLY_FULL,
        error_messages={"invalid_choice": "Choose one of the three policies."},
    )

    def __init__(self, *args: Any, now: datetime | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.viewer_zone: tzinfo = zone_named(self.data.get("zone")) or timezone.get_current_timezone()
        self.initial.setdefault("zone", str(self.viewer_zone))
        self.initial.setdefault("started", next_full_hour(now or timezone.now()))
        started = self.fields["started"]
        assert isinstance(started, MomentField)
        started.zone = self.viewer_zone
        started.help_text = f"When the task is started for the first time, in {self.viewer_zone}."
        if not same_clock(self.viewer_zone, timezone.get_default_timezone(), now or timezone.now()):
            self.fields["period"].help_text = (
                "Days keep the time of day over daylight saving in the zone of the server, "
                f"{timezone.get_default_timezone()}."
            )

    def clean_policy(self) -> str:
        """Refuse the two policies that metadata cannot have, in the words of the seed."""
        policy = self.cleaned_data.get("policy") or Policy.FULL
        if policy != Policy.FULL:
            raise ValidationError(ONLY_FULL)
        return str(policy)

    def clean(self) -> dict[str, Any]:
        """Hold the period against the longest one of its unit; leave the schedule of a manual task alone."""
        cleaned = super().clean() or self.cleaned_data
        if self.is_manual():
            for name in SCHEDULE_FIELDS:
                self.errors.pop(name, None)
            return cleaned
        unit, period = cleaned.get("period_unit"), cleaned.get("period")
        if unit and period and period > LIMITS[PeriodUnit(unit)]:
            most = f"{LIMITS[PeriodUnit(unit)]} {PeriodUnit(unit).label}"
            self.add_error("period", f"Give a period of at most {most}.")
        return cleaned

    def is_manual(self) -> bool:
        """Tell whether a person starts the task, so that the schedule does not count."""
        return self.data.get("mode") == Mode.MANUAL if self.is_bound else self.initial.get("mode") == Mode.MANUAL

    def schedule(self) -> Schedule | None:
        """Return the schedule that was typed; None while it is not complete. Call after ``is_valid``."""
        cleaned = self.cleaned_data
        if self.is_manual() or not all(cleaned.get(name) for name in ("started", "period", "period_unit")):
            return None
        return Schedule(cleaned["started"], cleaned["period"], cleaned["period_unit"], timezone.get_default_timezone())
