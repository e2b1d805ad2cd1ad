"""What a person says and chooses themselves: the forms behind Preferences and Password."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm
from django.contrib.auth.models import User

from tasks.middleware import zone_names
from tasks.models import Preference
from tasks.passwords import rules_in_words


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


class ProfileForm(forms.Form):
    """Names and mail address that a person gives of themselves."""

    first_name = forms.CharField(
        label="First name", max_length=150, required=False, widget=forms.TextInput(attrs={"autocomplete": "given-name"})
    )
    last_name = forms.CharField(
        label="Last name", max_length=150, required=False, widget=forms.TextInput(attrs={"autocomplete": "family-name"})
    )
    email = forms.EmailField(
        label="Mail address",
        required=False,
        help_text="Where notifications by mail go.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
        error_messages={"invalid": "Give a mail address such as anna@example.org."},
    )

    @staticmethod
    def stored(user: User) -> dict[str, str]:
        """Return the values of a person."""
        return {"first_name": user.first_name, "last_name": user.last_name, "email": user.email}


_MISMATCH = "The two new passwords differ. Type the new password twice."


def _worded(fields: dict[str, forms.Field]) -> None:
    """Put the console's words to the fields of Django's form."""
    fields["new_password1"].label, fields["new_password1"].help_text = "New password", rules_in_words()
    fields["new_password2"].label, fields["new_password2"].help_text = "New password again", ""
    for name, field in fields.items():
        field.error_messages["required"] = (
            "Type the new password a second time." if name == "new_password2" else f"{field.label} is missing."
        )


class FirstPasswordForm(SetPasswordForm):
    """The password of one's own choice that follows a one-time one."""

    error_messages = {"password_mismatch": _MISMATCH}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _worded(self.fields)


class OwnPasswordForm(PasswordChangeForm):
    """A person's own new password; the messages say what to do."""

    error_messages = {
        "password_incorrect": "This is not your present password. Type it again.",
        "password_mismatch": _MISMATCH,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["old_password"].label = "Present password"
        self.fields["old_password"].widget.attrs.pop("autofocus", None)
        _worded(self.fields)
