"""When the sets of a task are proven again: checked, and the newest one rehearsed."""

from __future__ import annotations

from typing import Any

from django import forms

# Different limits are asked for in one question to the database, so there is an end to them.
LONGEST = 365
PROOF_FIELDS = ("check_after_days", "rehearse_after_days")


def _days(label: str, help_text: str, initial: int | None) -> forms.IntegerField:
    wrong = f"Give a whole number of days from 1 to {LONGEST}, or leave it empty for never."
    return forms.IntegerField(
        label=label,
        required=False,
        min_value=1,
        max_value=LONGEST,
        initial=initial,
        help_text=help_text,
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
        error_messages=dict.fromkeys(("invalid", "min_value", "max_value"), wrong),
    )


class ProofForm(forms.Form):
    """Both limits in days; an empty one stands for never."""

    check_after_days = _days(
        "Check sets again after",
        "Days. Every archive is then read back and compared with its record; a set that is damaged raises an alarm and "
        "counts no more. Empty: never by itself.",
        7,
    )
    rehearse_after_days = _days(
        "Rehearse the newest set after",
        "Days. The set is then restored into a place of its own on this machine, IoTDB is started there, and what it "
        "counts is compared. The live service is not touched. Empty: never by itself.",
        None,
    )

    def proof_limits(self) -> dict[str, Any]:
        """Return both limits by the names of the task's fields. Call after ``is_valid``."""
        return {name: self.cleaned_data.get(name) for name in PROOF_FIELDS}
