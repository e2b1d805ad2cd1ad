"""The forms of a person's channels: mail, webhook, and services that apprise knows by a URL."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from crispy_forms.layout import Div, Field
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from tasks.forms.inventory import PLAIN_TEXT, helper
from tasks.forms.notification import MailServerForm, ServerForm, is_host, refuse_local
from tasks.models import NotificationChannel
from tasks.notify import channels
from tasks.notify.causes import explain
from tasks.notify.delivery import Delivery
from tasks.states import ChannelKind

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Any]
else:
    # The real class takes no parameter.
    ModelForm = forms.ModelForm


class SecretInput(forms.TextInput):
    """A line that is never sent back to the browser: addresses of webhooks and chats hold secrets."""

    def format_value(self, value: Any) -> str:
        """Show nothing, whatever the value is."""
        return ""


class MailChannelForm(ServerForm):
    """Mail to a person, over the console's mail server or another one."""

    class Meta(ServerForm.Meta):
        model = NotificationChannel
        fields = ("name", "recipient", "own_server", *ServerForm.Meta.fields, "enabled")

    helper = helper(
        Field("name", wrapper_class="w3"),
        Field("recipient", wrapper_class="w3"),
        Field("own_server"),
        Div(*MailServerForm.helper.layout.fields, css_class="fields own-server"),
        Field("enabled"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["recipient"].required = True
        self.fields["recipient"].error_messages |= {
            "required": "Give the address that mails go to.",
            "invalid": "Give a mail address, for example anna@plant.example.",
        }
        self.fields["name"].error_messages["required"] = "Give the channel a name."

    def clean_name(self) -> str:
        """Refuse a name that another channel of the person has."""
        return free_name(self)

    def wants_server(self) -> bool:
        """Only where it is not the console's."""
        return bool(self.cleaned_data.get("own_server"))


class AddressForm(ModelForm):
    """A channel whose address is a secret; an empty field leaves the stored one as it is."""

    url = forms.CharField(max_length=2000, widget=SecretInput(attrs=PLAIN_TEXT), required=False)
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = NotificationChannel
        fields = ("name", "enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["version"] = self.instance.version
        self.fields["name"].error_messages["required"] = "Give the channel a name."
        if self.instance.sealed_secrets:
            self.fields["url"].widget.attrs["placeholder"] = "Unchanged"

    def clean_name(self) -> str:
        """Refuse a name that another channel of the person has."""
        return free_name(self)

    def clean(self) -> dict[str, Any]:
        """Ask for the address of a new channel."""
        cleaned = super().clean() or self.cleaned_data
        if "url" in cleaned and not cleaned["url"] and not self.instance.sealed_secrets:
            self.add_error("url", "Give the address.")
        return cleaned

    def secrets(self) -> dict[str, str] | None:
        """Return what is secret from now on, None where that stays as it is stored. Call after ``is_valid``."""
        url = self.cleaned_data.get("url")
        return {"url": url} if url else None


class WebhookForm(AddressForm):
    """A webhook: JSON by POST, with a bearer token where one is given."""

    token = forms.CharField(
        label="Bearer token",
        max_length=1024,
        required=False,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
        help_text="Sent in the header Authorization. Empty where the service asks for none.",
    )
    helper = helper(Field("name", wrapper_class="w3"), Field("url"), Field("token", wrapper_class="w3"), "enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["url"].label = "URL"
        self.fields["url"].help_text = "https://… It gets version, title, message and type as JSON. Kept as a secret."
        if self.instance.sealed_secrets:
            self.fields["token"].help_text = "Another URL forgets the stored token: type both."

    def clean_url(self) -> str:
        """Refuse what is no address of the web, and what nothing is sent to."""
        url: str = self.cleaned_data["url"].strip()
        if not url:
            return ""
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            host, parts = "", urlsplit("")
        if parts.scheme not in ("http", "https") or not is_host(host) or re.search(r"[\s\x00-\x1f]", url):
            raise ValidationError("Give an address such as https://hooks.plant.example/backup.")
        refuse_local(host, local=settings.NOTIFY_LOCAL)
        return url

    def clean(self) -> dict[str, Any]:
        """A token alone belongs to the address that is stored."""
        cleaned = super().clean()
        if cleaned.get("token") and re.search(r"[\s\x00-\x1f\x7f-\uffff]", cleaned["token"]):
            self.add_error("token", "A token has no blanks and no letters beyond ASCII. Copy it again.")
        return cleaned

    def secrets(self) -> dict[str, str] | None:
        """Return address and token; a token that is typed alone goes with the stored address."""
        url, token = self.cleaned_data.get("url"), self.cleaned_data.get("token")
        if url:
            return {"url": url} | ({"token": token} if token else {})
        return {**self.instance.secrets(), "token": token} if token else None


class ServiceUrlForm(AddressForm):
    """A chat or another service, by the URL that apprise knows it by."""

    helper = helper(Field("name", wrapper_class="w3"), Field("url"), Field("enabled"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["url"].label = "Apprise URL"
        schemes = ", ".join(settings.NOTIFY_SCHEMES)
        self.fields["url"].help_text = f"For example slack://… or ntfys://… Kept as a secret. Allowed: {schemes}."

    def clean_url(self) -> str:
        """Refuse a service that is not allowed, one that apprise does not know, and what nothing is sent to."""
        url: str = self.cleaned_data["url"].strip()
        if not url:
            return ""
        scheme = url.partition("://")[0].lower()
        if scheme not in {*settings.NOTIFY_SCHEMES, "https"}:
            raise ValidationError("This service is not among those that are allowed. Use one of the list below.")
        try:
            ip_address((urlsplit(url).hostname or "").strip("[]"))
        except ValueError:
            pass
        else:
            refuse_local(urlsplit(url).hostname or "", local=settings.NOTIFY_LOCAL)
        with Delivery() as delivery:
            result = delivery.look(channels.url_parcel(url))
        if not result.ok:
            cause = explain(result.fault)
            raise ValidationError(f"{cause.text} {cause.cure}")
        return url


CHANNEL_FORMS: dict[str, type[ServerForm] | type[AddressForm]] = {
    ChannelKind.MAIL: MailChannelForm,
    ChannelKind.WEBHOOK: WebhookForm,
    ChannelKind.URL: ServiceUrlForm,
}


def free_name(form: Any) -> str:
    """Return the name of a channel; raise ``ValidationError`` where another one of the person has it."""
    name: str = form.cleaned_data["name"].strip()
    same = NotificationChannel.objects.filter(user_id=form.instance.user_id, name=name).exclude(pk=form.instance.pk)
    if same.exists():
        raise ValidationError(f"You already have a channel called {name}. Choose a different name.")
    return name
