"""The form of the maintenance switch: why no run may start, and until when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from crispy_forms.helper import FormHelper
from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from tasks.forms.fields import MomentField
from tasks.middleware import zone_named
from tasks.models import Maintenance


class MaintenanceForm(forms.Form):
    """Reason and end of ``switch``. ``since`` tells which maintenance the page showed, empty for none."""

    since = forms.CharField(required=False, widget=forms.HiddenInput)
    zone = forms.CharField(required=False, widget=forms.HiddenInput)
    reason = forms.CharField(
        label="Reason",
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="Everybody reads it on every page: what is done, and whom to ask.",
        error_messages={
            "required": "Say why no run may start: everybody reads it.",
            "max_length": "Use 200 characters at most.",
        },
    )
    until = MomentField(label="Ends by itself", required=False)

    def __init__(self, data: Any = None, *, switch: Maintenance, now: datetime) -> None:
        initial = {"reason": switch.reason, "until": switch.until} if switch.on(now) else {}
        super().__init__(data, initial=initial | {"since": mark(switch, now)})
        self._now = now
        zone = zone_named(self.data.get("zone")) or timezone.get_current_timezone()
        self.initial["zone"] = str(zone)
        until = self.fields["until"]
        assert isinstance(until, MomentField)
        until.zone = zone
        until.help_text = f"In {zone}. Empty: until somebody ends it."
        self.helper = FormHelper()
        self.helper.form_tag = False
        self.helper.disable_csrf = True
        self.helper.error_text_inline = False

    def clean_until(self) -> datetime | None:
        """Refuse an end that is over."""
        until: datetime | None = self.cleaned_data["until"]
        if until is not None and until <= self._now:
            raise ValidationError("The end lies in the past. Give a later moment, or none.")
        return until


def mark(switch: Maintenance, now: datetime) -> str:
    """Return which maintenance is on, for a page to carry; empty while none is."""
    return switch.since.isoformat() if switch.since is not None and switch.on(now) else ""
