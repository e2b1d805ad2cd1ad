"""The fields that several path types share, each with its label, help and rule."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar

from django import forms

from storage.base import DestinationForm
from storage.rules import IP_MODES, RuleBroken, clean_address, clean_username

Rule = Callable[[str], str]


def ip_mode_field() -> forms.ChoiceField:
    """Return *IP Mode*, whose first value the form takes from the cluster's network."""
    return forms.ChoiceField(label="IP Mode", choices=IP_MODES, help_text="Set from the network of the cluster.")


def address_field(label: str, help_text: str, max_length: int = 64) -> forms.CharField:
    """Return a field for an IP address; ``ServerForm`` holds it against *IP Mode*."""
    return _text(label, help_text, max_length=max_length)


def port_field(label: str, default: int | None, help_text: str = "") -> forms.IntegerField:
    """Return a field for a TCP port, 1 to 65535."""
    between = "Give a port from 1 to 65535."
    return forms.IntegerField(
        label=label,
        initial=default,
        min_value=1,
        max_value=65535,
        help_text=help_text,
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
        error_messages={"required": between, "invalid": between, "min_value": between, "max_value": between},
    )


def path_field(label: str, help_text: str) -> forms.CharField:
    """Return a field for a path; blanks at its end are part of it and stay."""
    return _text(label, help_text, max_length=4096, strip=False)


def name_service_field() -> forms.CharField:
    """Return *Destination NameService Name*."""
    return _text(
        "Destination NameService Name",
        "For example hacluster. See the NameService Management page of HDFS of the standby cluster.",
        max_length=256,
    )


def username_field(help_text: str, label: str = "Username", max_length: int = 256) -> forms.CharField:
    """Return *Username*."""
    return _text(label, help_text, max_length=max_length)


def password_field(help_text: str) -> forms.CharField:
    """Return *Password*, which is never sent to the browser."""
    return forms.CharField(
        label="Password",
        max_length=1024,
        strip=False,
        help_text=help_text,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
        error_messages={"required": "Type the password."},
    )


class SecretTextarea(forms.Textarea):
    """Lines that are never sent back to the browser."""

    def format_value(self, value: Any) -> str:
        """Show nothing, whatever the value is."""
        return ""


class HostKeyWidget(forms.TextInput):
    """The confirmed key in a hidden input, and in words beside it."""

    template_name = "tasks/form_host_key.html"

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Add the key without the server that it was confirmed for."""
        context = super().get_context(name, value, attrs)
        context["widget"]["key"] = HostKeyField.split(value or "")[0]
        return context


class HostKeyField(forms.CharField):
    """The host key that an administrator confirmed, as ``ssh-ed25519 SHA256:… 10.20.4.18 22``.

    The page sends the server along, so that a key that was confirmed for one is not taken for another.
    """

    widget = HostKeyWidget
    _FORM = re.compile(r"([a-z0-9@.-]{1,64} SHA256:[A-Za-z0-9+/]{43})(?: ([0-9A-Za-z.:%_-]{1,255}) ([0-9]{1,5}))?\Z")

    def __init__(self) -> None:
        super().__init__(
            label="Host Key",
            required=False,
            max_length=400,
            help_text="By it the console knows the server again. It is fetched by Verify, without sending any secret.",
        )

    @staticmethod
    def bind(key: str, host: Any, port: Any) -> str:
        """Return a key together with the server that it was confirmed for."""
        return f"{key} {host} {port}"

    @classmethod
    def split(cls, text: str) -> tuple[str, tuple[str, str]]:
        """Return the key, and the server's address and port; all empty where ``text`` is no such thing."""
        found = cls._FORM.match(text)
        return (found[1], (found[2] or "", found[3] or "")) if found else ("", ("", ""))


def _text(label: str, help_text: str, **options: Any) -> forms.CharField:
    return forms.CharField(
        label=label,
        help_text=help_text,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}),
        error_messages={"required": f"{label} is missing. Fill it in."},
        **options,
    )


class ServerForm(DestinationForm):
    """A destination that is a server: *IP Mode* is preset from the cluster and enforced on every address."""

    address_fields: ClassVar[tuple[str, ...]] = ("server_ip",)
    rules: ClassVar[dict[str, Rule]] = {}
    """Rules of single fields by the name of the field."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("ip_mode", self.network)

    def clean(self) -> dict[str, Any]:
        """Apply the rules; each error stands at the field that has to change."""
        cleaned = super().clean() or self.cleaned_data
        for name, rule in self.rules.items():
            self._apply(name, rule)
        mode = cleaned.get("ip_mode")
        if mode:
            for name in self.address_fields:
                self._apply(name, lambda text: clean_address(text, str(mode)))
        return self.cleaned_data

    def _apply(self, name: str, rule: Rule) -> None:
        """Put ``rule`` to a field that has passed so far."""
        value = self.cleaned_data.get(name)
        if not value:
            return
        try:
            self.cleaned_data[name] = rule(value)
        except RuleBroken as broken:
            self.add_error(name, str(broken))


class AccountForm(ServerForm):
    """A server that asks for a user name and a password.

    A stored password is kept when the field stays empty, but only for the account and the server it was given for: it
    is not sent to another server because somebody changed the address.
    """

    bound_to: ClassVar[tuple[str, ...]] = ("server_ip", "port", "username")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.stored:
            field = self.fields["password"]
            field.required = False
            field.widget.attrs["placeholder"] = "Unchanged"
            field.help_text = (
                "Leave it empty to keep the stored password. Another server or username asks for it again."
            )

    def clean(self) -> dict[str, Any]:
        """Ask for the password again where the stored one was given for another account or server."""
        self._apply("username", clean_username)
        cleaned = super().clean()
        if self.stored and not self._typed_secret(cleaned) and self._moved(cleaned):
            self.add_error("password", "Type the password: the stored one is for another server or username.")
        return self.cleaned_data

    def _typed_secret(self, cleaned: dict[str, Any]) -> bool:
        """Tell whether something to log in with was given now."""
        return bool(cleaned.get("password"))

    def _moved(self, cleaned: dict[str, Any]) -> bool:
        return any(name in cleaned and cleaned[name] != self.initial.get(name) for name in self.bound_to)
