"""The form of a cluster, and what the forms of the inventory share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Field, Layout
from django import forms
from django.core.exceptions import ValidationError

from tasks.forms.fields import Cards
from tasks.models import Cluster
from tasks.states import IPMode

if TYPE_CHECKING:
    ClusterModelForm = forms.ModelForm[Cluster]
else:
    # The real class takes no parameter.
    ClusterModelForm = forms.ModelForm

PLAIN_TEXT = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}


def helper(*fields: Any) -> FormHelper:
    """Return the layout of a form of the inventory."""
    helper = FormHelper()
    helper.form_tag = False
    helper.disable_csrf = True
    helper.render_hidden_fields = True
    helper.error_text_inline = False
    helper.layout = Layout(*fields)
    return helper


class ClusterForm(ClusterModelForm):
    """A cluster; ``version`` is the one that the person read."""

    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = Cluster
        fields = ("name", "ip_mode", "note")
        widgets = {
            "name": forms.TextInput(attrs=PLAIN_TEXT),
            "ip_mode": Cards(hints={IPMode.IPV4.value: "Servers by IPv4", IPMode.IPV6.value: "Servers by IPv6"}),
        }
        help_texts = {"name": "As Backup Object names it. Letters, digits, dot, underscore and hyphen."}

    helper = helper(
        Field("name", wrapper_class="w3"), Field("note"), Field("ip_mode", template="tasks/form_cards.html")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].error_messages["required"] = "Give the cluster a name."
        self.initial["version"] = self.instance.version

    def clean_name(self) -> str:
        """Refuse a name that another cluster has."""
        name: str = self.cleaned_data["name"]
        if Cluster.objects.filter(name=name).exclude(pk=self.instance.pk).exists():
            raise ValidationError(f"Another cluster is already called {name}. Choose a different name.")
        return name

    def save_version(self) -> Cluster:
        """Return the cluster to save, at the version that the person read."""
        self.instance.version = self.cleaned_data.get("version") or 1
        return self.instance
