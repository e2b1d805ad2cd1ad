"""The form of a node: what it is, how its files are reached, and how its IoTDB is stopped and started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from crispy_forms.layout import HTML, Field
from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from storage.fields import address_field, port_field, username_field
from storage.registry import get_path_type
from storage.rules import clean_host
from storage.sftp import SFTPForm
from tasks.forms.editor import Problem, focus_first, problems_of, unjudged
from tasks.forms.fields import Cards
from tasks.forms.inventory import PLAIN_TEXT, helper
from tasks.forms.layout import Section, destination_helper
from tasks.models import Node
from tasks.states import Control, Reach

if TYPE_CHECKING:
    NodeModelForm = forms.ModelForm[Node]
else:
    # The real class takes no parameter.
    NodeModelForm = forms.ModelForm

SECRETS = get_path_type("SFTP").secret_fields
# The fields of the path type that an SSH login shares with it, and those of a node that they become.
SSH_FIELDS = {"server_ip": "ssh_address", "port": "ssh_port", "username": "ssh_user", "host_key": "host_key"}
_EMPTY = Node()
COMMANDS = {
    "stop_data_node": ("data_node", "For example systemctl stop iotdb-datanode. It has to end by itself."),
    "stop_config_node": ("config_node", "After the DataNodes have stopped."),
    "start_config_node": ("config_node", "It has to return while the ConfigNode runs on."),
    "start_data_node": ("data_node", "After the ConfigNodes run."),
}


class NodeForm(NodeModelForm):
    """A node of a service, but for the SSH login, which is a form of its own."""

    rpc_port = port_field("RPC port", 6667)

    class Meta:
        model = Node
        fields = (
            "name", "config_node", "data_node", "home", "reach", "sudo_user", "control", *COMMANDS, "rpc_host",
            "rpc_port",
        )  # fmt: skip
        widgets: ClassVar[dict[str, Any]] = {
            **dict.fromkeys(("name", "home", "rpc_host", "sudo_user", *COMMANDS), forms.TextInput(attrs=PLAIN_TEXT)),
            "config_node": forms.CheckboxInput(attrs={"class": "form-check-input"}),
            "data_node": forms.CheckboxInput(attrs={"class": "form-check-input"}),
            "reach": Cards(
                hints={Reach.LOCAL: "The console reads them itself", Reach.SSH: "By SFTP; no agent is needed there"}
            ),
            "control": Cards(
                hints={
                    Control.HAND: "A restoration waits until it is done",
                    Control.SCRIPTS: "sbin/stop-… and start-… of the IoTDB home",
                    Control.SYSTEMD: "systemctl on iotdb-confignode and iotdb-datanode",
                    Control.COMMANDS: "One for each step",
                }
            ),
        }
        help_texts: ClassVar[dict[str, str]] = {
            "name": "The archive holds the node's files under this name.",
            "sudo_user": (
                "The account that IoTDB runs as. Commands are run as it by sudo; over SSH, files are read and written "
                "as it too. Empty: the SSH user, or the account of the console."
            ),
            "rpc_host": (
                "Where a Session asks this DataNode for health and inventory. Empty: the SSH address, or this machine."
            ),
            **{name: help_text for name, (_, help_text) in COMMANDS.items()},
        }

    helper = helper(
        Section(
            "Node",
            "node",
            Field("name", wrapper_class="w3"),
            Field("config_node", template="inventory/form_roles.html"),
            Field("home"),
        ),
        Section(
            "Files",
            "files",
            Field("reach", template="tasks/form_cards.html"),
            HTML('{% include "inventory/form_ssh.html" %}'),
            Field("sudo_user", wrapper_class="w3"),
        ),
        Section(
            "Stop and start",
            "control",
            Field("control", template="tasks/form_cards.html"),
            *(Field(name, wrapper_class="own-command") for name in COMMANDS),
        ),
        Section("Session", "session", Field("rpc_host", wrapper_class="w4"), Field("rpc_port", wrapper_class="w2")),
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

    def clean_sudo_user(self) -> str:
        """Take the name of an account only: it becomes a word of a command."""
        name: str = self.cleaned_data["sudo_user"]
        if name and (name.startswith("-") or not all(sign.isalnum() or sign in "._-@$+" for sign in name)):
            raise ValidationError("Give the name of an account, for example iotdb.")
        return name

    def clean(self) -> dict[str, Any]:
        """Ask for a role, as a node with neither has nothing to back up, and for the commands of each role."""
        cleaned = super().clean() or self.cleaned_data
        if not cleaned.get("config_node") and not cleaned.get("data_node"):
            self.add_error("config_node", "Choose ConfigNode, DataNode or both.")
        own = cleaned.get("control") == Control.COMMANDS
        for name, (role, _) in COMMANDS.items():
            if not own:
                cleaned[name] = ""
            elif cleaned.get(role) and name not in self.errors and not cleaned.get(name):
                self.add_error(name, "Give the command, or choose another way to stop and start IoTDB.")
        return cleaned


class SSHForm(SFTPForm):
    """The SSH login of a node: the fields of SFTP, without what concerns a destination only."""

    ip_mode = None  # type: ignore[assignment]
    shared_path = None  # type: ignore[assignment]
    copies = None  # type: ignore[assignment]
    read_back = None  # type: ignore[assignment]
    confirm_first = "Verify the node and confirm the host key first."
    confirm_again = "The host key was confirmed for another host. Verify the node and confirm the key anew."
    rules = {"server_ip": clean_host}
    server_ip = address_field("SSH address", "Host name or address of the node.", 255)
    port = port_field("SSH port", 22)
    username = username_field("It reads the IoTDB home, or becomes the IoTDB account by sudo.", "SSH user", 64)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.stored:
            self.fields["password"].help_text = "sudo is given it too, where it asks. Never shown again once saved."


class NodeEditor:
    """Both forms of the page, bound to what was posted or filled with what is stored."""

    def __init__(self, node: Node, data: QueryDict | None = None) -> None:
        self.node = node
        stored = {name: getattr(node, ours) for name, ours in SSH_FIELDS.items() if getattr(node, ours)}
        self.ssh = SSHForm(data, initial=stored, stored=bool(node.sealed_secrets))
        self.form = NodeForm(data, instance=node)
        if data is not None and not self.over_ssh:
            unjudged(self.ssh)
        self.ssh_helper = destination_helper(self.ssh)

    @property
    def over_ssh(self) -> bool:
        """Whether the node is on another host, as the form stands."""
        return str(self.form["reach"].value()) == Reach.SSH

    def is_valid(self) -> bool:
        """Check the first form, and the second one where the node is on another host."""
        first = self.form.is_valid()
        return (self.ssh.is_valid() and first) if self.over_ssh else first

    def problems(self) -> list[Problem]:
        """Return what is wrong, in the order of the page."""
        second = problems_of(self.ssh) if self.over_ssh else []
        focus_first(self.form, *([self.ssh] if self.over_ssh else []))
        return [*problems_of(self.form), *second]

    def fill(self) -> dict[str, str]:
        """Put what holds into the node, and return the secrets that were typed now. Call after ``is_valid``."""
        if not self.over_ssh:
            for ours in SSH_FIELDS.values():
                setattr(self.node, ours, getattr(_EMPTY, ours))
            return {}
        cleaned = self.ssh.cleaned_data
        for name, ours in SSH_FIELDS.items():
            setattr(self.node, ours, cleaned.get(name) or getattr(_EMPTY, ours))
        return {name: cleaned[name] for name in SECRETS if cleaned.get(name)}
