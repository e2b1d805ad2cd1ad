"""The form of a service, with the account by which its IoTDB is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crispy_forms.layout import Field
from django import forms
from django.core.exceptions import ValidationError

from storage.fields import password_field
from tasks.forms.inventory import PLAIN_TEXT, helper
from tasks.iotdb.base import FOR_HEALTH, FOR_LISTS
from tasks.models import Service

if TYPE_CHECKING:
    ServiceModelForm = forms.ModelForm[Service]
else:
    # The real class takes no parameter.
    ServiceModelForm = forms.ModelForm

ANOTHER_USER = "Type the password: the stored one is for another user."


class ServiceForm(ServiceModelForm):
    """A service of a cluster.

    A stored password is never sent to the browser, and stays where the field is empty; but only for its own user.
    """

    password = password_field("The console keeps it encrypted.")

    class Meta:
        model = Service
        fields = ("name", "session_user")
        widgets = {"name": forms.TextInput(attrs=PLAIN_TEXT), "session_user": forms.TextInput(attrs=PLAIN_TEXT)}
        help_texts = {
            "name": "The data source in the names of backup files, for example IoTDB or IoTDB-1.",
            "session_user": (
                "By this account a backup asks IoTDB whether it is well, and takes its inventory. "
                f"{' and '.join(FOR_HEALTH)} on root.** are enough for health and counts; {', '.join(FOR_LISTS)} "
                "add accounts, functions, triggers, continuous queries and pipes. Templates are shown to root only. "
                "Empty: nothing is asked, and counts are unknown."
            ),
        }

    helper = helper(
        Field("name"),
        Field("session_user", wrapper_class="w3"),
        Field("password", wrapper_class="w3"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].error_messages["required"] = "Give the service a name."
        # Read before validation, which writes what was typed to the instance.
        self._user = self.instance.session_user
        self._stored = bool(self.instance.sealed_secrets and self._user)
        field = self.fields["password"]
        field.required = False
        if self._stored:
            field.widget.attrs["placeholder"] = "Unchanged"
            field.help_text = "Leave it empty to keep the stored one. Another user or RPC address asks for it again."

    def clean_name(self) -> str:
        """Refuse a name that another service of the cluster has."""
        name: str = self.cleaned_data["name"]
        if self.instance.cluster.services.filter(name=name).exclude(pk=self.instance.pk).exists():
            raise ValidationError(
                f"{self.instance.cluster.name} already has a service called {name}. Choose a different name."
            )
        return name

    def clean(self) -> dict[str, Any]:
        """Ask for the password of a new or another user, and for the user of a password."""
        cleaned = super().clean() or self.cleaned_data
        user, typed = cleaned.get("session_user"), cleaned.get("password")
        if typed and not user:
            self.add_error("session_user", "Say whose password this is.")
        elif user and not typed and not (self._stored and user == self._user):
            self.add_error("password", ANOTHER_USER if self._stored else "Type the password.")
        return cleaned

    @property
    def typed_password(self) -> str | None:
        """What was typed; None where the stored password is to stay. Call after ``is_valid`` returned True."""
        return self.cleaned_data.get("password") or None
