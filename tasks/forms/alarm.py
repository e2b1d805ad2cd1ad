"""The form that acknowledges an alarm."""

from __future__ import annotations

from django import forms


class AcknowledgeForm(forms.Form):
    """Why an alarm may stay for the time being."""

    comment = forms.CharField(
        label="Comment",
        max_length=500,
        help_text="Everybody reads it beside the alarm, with your name.",
        widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}),
        error_messages={
            "required": "Say who sees to it and until when, for example: disk ordered, arrives Thursday.",
            "max_length": "Use 500 characters at the most.",
        },
    )
