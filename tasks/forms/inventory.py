"""The forms of the inventory: clusters, and the nodes of their services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Field, Layout
from django import forms
from django.core.exceptions import ValidationError

from storage.fields import port_field
from tasks.forms.fields import Cards
from tasks.models import Cluster, Node
from tasks.states import IPMode

if TYPE_CHECKING:
    ClusterModelForm = forms.ModelForm[Cluster]
    NodeModelForm = forms.ModelForm[Node]
else:
    # The real class takes no parameter.
    ClusterModelForm = NodeModelForm = forms.ModelForm

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


class NodeForm(NodeModelForm):
    """A node of a service."""

    rpc_port = port_field("RPC port", 6667)

    class Meta:
        model = Node
        fields = ("name", "config_node", "data_node", "home", "rpc_host", "rpc_port")
        widgets = {
            "name": forms.TextInput(attrs=PLAIN_TEXT),
            "home": forms.TextInput(attrs=PLAIN_TEXT),
            "rpc_host": forms.TextInput(attrs=PLAIN_TEXT),
            "config_node": forms.CheckboxInput(attrs={"class": "form-check-input"}),
            "data_node": forms.CheckboxInput(attrs={"class": "form-check-input"}),
        }
        help_texts = {"name": "The archive holds the node's files under this name."}

    helper = helper(
        Field("name", wrapper_class="w3"),
        Field("config_node", template="inventory/form_roles.html"),
        Field("home"),
        Field("rpc_host", wrapper_class="w4"),
        Field("rpc_port", wrapper_class="w2"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].error_messages["required"] = "Give the node a name."
        self.fields["home"].error_messages["required"] = (
            "Say where the IoTDB of this node lies, for example /opt/iotdb."
        )

    def clean_name(self) -> str:
        """Refuse a name that another node of the service has."""
        name: str = self.cleaned_data["name"]
        if self.instance.service.nodes.filter(name=name).exclude(pk=self.instance.pk).exists():
            raise ValidationError(
                f"{self.instance.service.name} already has a node called {name}. Choose a different name."
            )
        return name

    def clean(self) -> dict[str, Any]:
        """Ask for a role: a node with neither has nothing to back up."""
        cleaned = super().clean() or self.cleaned_data
        if not cleaned.get("config_node") and not cleaned.get("data_node"):
            self.add_error("config_node", "Choose ConfigNode, DataNode or both.")
        return cleaned
