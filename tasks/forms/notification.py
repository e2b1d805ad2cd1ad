"""The forms of notifications: what a person is told, and the mail server of the console."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from crispy_forms.layout import Field
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Model

from storage.fields import password_field, port_field
from tasks.forms.inventory import PLAIN_TEXT, helper
from tasks.models import MailServer, NotificationSetting
from tasks.notify import policy
from tasks.states import Level

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Any]
else:
    # The real class takes no parameter.
    ModelForm = forms.ModelForm

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\Z")
_SERVER = ("smtp_host", "smtp_port", "smtp_security", "smtp_account")
ANOTHER_SERVER = "Type the password: the stored one is for another server or account."
LEVEL_HELP = (
    "On change: when a run ends otherwise than the one before it. On failure: failed, unknown, rolled back and "
    "postponed runs, and alarms that are raised."
)


def is_host(text: str) -> bool:
    """Tell whether ``text`` is a name or a number of a host."""
    try:
        ip_address(text)
    except ValueError:
        return bool(_HOST.match(text))
    return True


def refuse_local(host: str, *, local: bool) -> None:
    """Raise ``ValidationError`` for the number of a host that nothing is sent to; names are judged at sending."""
    number = "127.0.0.1" if host.lower().rstrip(".") == "localhost" else host.strip("[]")
    try:
        reason = policy.refusal(number, local=local)
    except ValueError:
        return
    if reason:
        raise ValidationError(f"{host} is {reason}. Nothing is sent there. Give another host.")


class ServerForm(ModelForm):
    """The fields of a mail server. A stored password stays where the field is empty, but only for its own server."""

    password = password_field("The console keeps it encrypted.")
    smtp_port = port_field("Port", 587, "587 for STARTTLS, 465 for TLS from the start, 25 without encryption.")
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)
    local = False

    class Meta:
        model: type[Model] = MailServer
        fields: tuple[str, ...] = (*_SERVER, "sender")
        widgets = {name: forms.TextInput(attrs=PLAIN_TEXT) for name in ("smtp_host", "smtp_account")}
        help_texts = {
            "smtp_host": "Name or address, for example mail.example.",
            "smtp_security": "Certificates are always checked.",
            "smtp_account": "Empty where the server asks for none.",
            "sender": "The address that mails come from, for example backup@plant.example.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["version"] = self.instance.version
        # Read before validation, which writes what was typed to the instance.
        self._before = {name: getattr(self.instance, name) for name in _SERVER}
        self._stored = bool(self.instance.sealed_secrets)
        field = self.fields["password"]
        field.required = False
        if self._stored:
            field.widget.attrs["placeholder"] = "Unchanged"
            field.help_text = "Leave it empty to keep the stored one. Another server or account asks for it again."
        self.fields["sender"].error_messages["invalid"] = "Give a mail address, for example backup@plant.example."

    def clean_smtp_host(self) -> str:
        """Refuse what is no host, and what nothing is sent to."""
        host: str = self.cleaned_data["smtp_host"].strip()
        if host and not is_host(host):
            raise ValidationError("Give the name or the address of a host, without a scheme or a path.")
        if host:
            refuse_local(host, local=self.local or settings.NOTIFY_LOCAL)
        return host

    def clean(self) -> dict[str, Any]:
        """Ask for what belongs together, and for the password of another server or account."""
        cleaned = super().clean() or self.cleaned_data
        if self.wants_server():
            for name, text in (("smtp_host", "Give the mail server."), ("sender", "Give the address of the sender.")):
                if name in cleaned and not cleaned[name]:
                    self.add_error(name, text)
            self._clean_password(cleaned)
        return cleaned

    def wants_server(self) -> bool:
        """Whether a mail server is meant to be given."""
        return True

    def _clean_password(self, cleaned: dict[str, Any]) -> None:
        account, typed = cleaned.get("smtp_account"), cleaned.get("password")
        moved = any(cleaned.get(name, old) != old for name, old in self._before.items())
        if not f"{account or ''}{typed or ''}".isascii():
            self.add_error("password", "SMTP sends ASCII only. Give an account and a password of such letters.")
        elif typed and not account:
            self.add_error("smtp_account", "Say whose password this is.")
        elif account and not typed and (moved or not self._stored):
            self.add_error("password", ANOTHER_SERVER if self._stored else "Type the password.")

    def secrets(self) -> dict[str, str] | None:
        """Return what is secret from now on, None where that stays as it is stored. Call after ``is_valid``."""
        if not self.cleaned_data.get("smtp_account") or not self.wants_server():
            return {}
        typed = self.cleaned_data.get("password")
        return {"password": typed} if typed else None


class MailServerForm(ServerForm):
    """The mail server of the console, which may be on the console's own machine."""

    local = True
    helper = helper(
        Field("smtp_host", wrapper_class="w4"),
        Field("smtp_port", wrapper_class="w2"),
        Field("smtp_security", wrapper_class="w3"),
        Field("sender", wrapper_class="w3"),
        Field("smtp_account", wrapper_class="w3"),
        Field("password", wrapper_class="w3"),
    )


class SettingForm(ModelForm):
    """What a person is told, unless a task has a level of its own."""

    digest_hour = forms.TypedChoiceField(
        label="Daily digest at", coerce=int, choices=[(hour, f"{hour:02}:00") for hour in range(24)]
    )

    class Meta:
        model = NotificationSetting
        fields = ("level", "digest_hour")
        help_texts = {"level": LEVEL_HELP}

    helper = helper(Field("level", wrapper_class="w3"), Field("digest_hour", wrapper_class="w3"))

    def __init__(self, *args: Any, zone: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["digest_hour"].help_text = f"In your time zone, {zone}. It comes on quiet days too."


class TaskLevelForm(forms.Form):
    """The level of one task; empty is the person's default."""

    level = forms.ChoiceField(label="Tell me", required=False, help_text=LEVEL_HELP)
    helper = helper(Field("level", wrapper_class="w3"))

    def __init__(self, *args: Any, default: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        first = ("", f"As my default ({Level(default).label})")
        self.fields["level"].choices = [first, *Level.choices]  # type: ignore[attr-defined]
