"""What a person may choose for the pages: the form behind Preferences."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import PasswordChangeForm

from tasks.middleware import zone_names
from tasks.models import Preference


def zone_choices(browser_zone: str) -> list[tuple[str, Any]]:
    """Return the zones to choose from, by continent; the first leaves it to the browser."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(zone_names()):
        continent, part, city = name.partition("/")
        if part and continent not in ("Etc", "SystemV", "posix", "right"):
            groups.setdefault(continent, []).append((name, city.replace("_", " ")))
    first = f"As the browser ({browser_zone})" if browser_zone else "As the browser"
    return [("", first), ("UTC", "UTC"), *sorted(groups.items())]


class PreferenceForm(forms.ModelForm):
    """Zone and theme of a person."""

    zone = forms.ChoiceField(
        label="Time zone",
        required=False,
        help_text="Times on the pages are in this zone. Schedules are not moved by it.",
    )

    class Meta:
        model = Preference
        fields = ("zone", "theme")

    def __init__(self, *args: Any, browser_zone: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["zone"].choices = zone_choices(browser_zone)  # type: ignore[attr-defined]


class OwnPasswordForm(PasswordChangeForm):
    """A person's own new password; the messages say what to do."""

    error_messages = {
        "password_incorrect": "This is not your present password. Type it again.",
        "password_mismatch": "The two new passwords differ. Type the new password twice.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["old_password"].label = "Present password"
        self.fields["old_password"].widget.attrs.pop("autofocus", None)
        self.fields["new_password1"].label = "New password"
        self.fields[
            "new_password1"
        ].help_text = "At least 8 characters, not only digits, not a common password and not like your name."
        self.fields["new_password2"].label = "New password again"
        self.fields["new_password2"].help_text = ""
        for name, field in self.fields.items():
            field.error_messages["required"] = (
                f"{field.label} is missing." if name != "new_password2" else ("Type the new password a second time.")
            )
