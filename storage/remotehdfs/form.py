"""RemoteHDFS: backup files in the HDFS of the standby cluster (seed, step 7)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms

from storage.base import PathType, Store
from storage.checks import Check, Endpoint
from storage.fields import (
    ServerForm,
    address_field,
    ip_mode_field,
    name_service_field,
    path_field,
    port_field,
)
from storage.rules import clean_hdfs_path, clean_name_service, clean_username

_RPC, _WEBHDFS = "rpc", "webhdfs"


class RemoteHDFSForm(ServerForm):
    """The fields of RemoteHDFS in the order of the seed."""

    name_service = name_service_field()
    ip_mode = ip_mode_field()
    active_ip = address_field(
        "Destination Active NameNode IP Address",
        "The service plane IP address of the active NameNode in the standby cluster.",
    )
    standby_ip = address_field(
        "Destination Standby NameNode IP Address",
        "The service plane IP address of the standby NameNode in the standby cluster.",
    )
    rpc_port = port_field(
        "Destination NameNode RPC Port",
        None,
        "The value of dfs.namenode.rpc.port in the HDFS basic configuration of the standby cluster.",
    )
    target_path = path_field(
        "Target Path",
        "The HDFS directory for storing standby cluster backup data. It cannot be a hidden directory, such as a "
        "snapshot or recycle bin directory, or a default system directory, such as /hbase or /user/hbase/backup.",
    )

    # Besides the seed: as whom, and the other way in.
    username = forms.CharField(
        label="HDFS User",
        required=False,
        max_length=256,
        help_text="As whom the files are written. Left empty, it is the account that the console runs as.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}),
    )
    transport = forms.ChoiceField(
        label="Transport",
        choices=((_RPC, "RPC"), (_WEBHDFS, "WebHDFS")),
        initial=_RPC,
        required=False,
        help_text="WebHDFS where the RPC ports of NameNodes and DataNodes cannot be reached.",
    )
    http_port = port_field("Destination NameNode HTTP Port", 9870, "For WebHDFS only.")

    field_order = (
        "name_service", "ip_mode", "active_ip", "standby_ip", "rpc_port", "target_path", "copies", "read_back",
        "username", "transport", "http_port",
    )  # fmt: skip
    folded: ClassVar[Mapping[str, tuple[str, ...]]] = {"User and transport": ("username", "transport", "http_port")}
    widths: ClassVar[Mapping[str, str]] = {
        "name_service": "w4", "ip_mode": "w2", "active_ip": "w3", "standby_ip": "w3", "rpc_port": "w3", "copies": "w4",
        "username": "w3", "transport": "w2", "http_port": "w2",
    }  # fmt: skip
    address_fields = ("active_ip", "standby_ip")
    rules = {"name_service": clean_name_service, "target_path": clean_hdfs_path, "username": clean_username}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["http_port"].required = False

    def clean(self) -> dict[str, Any]:
        """Refuse one NameNode given twice: it could not take over from itself."""
        cleaned = super().clean()
        active, standby = cleaned.get("active_ip"), cleaned.get("standby_ip")
        if active and active == standby:
            self.add_error(
                "standby_ip", f"{standby} is the address of the active NameNode too. Give that of the standby NameNode."
            )
        cleaned["transport"] = cleaned.get("transport") or _RPC
        cleaned["http_port"] = cleaned.get("http_port") or self.fields["http_port"].initial
        return self.cleaned_data


class RemoteHDFS(PathType):
    """A directory in the HDFS of another cluster, reached by the RPC port of its NameNodes."""

    name = "RemoteHDFS"
    note = "Backup files are stored in the HDFS directory of the standby cluster."
    form_class = RemoteHDFSForm
    read_back_default = False
    available = True
    path_field = "target_path"
    # A NameService of the same name may be that of another cluster.
    location_fields = ("name_service", "active_ip", "standby_ip", "username")

    def summary(self, parameters: Mapping[str, Any]) -> str:
        """Return the NameService and the directory."""
        return f"{parameters.get('name_service', '')}{parameters.get('target_path', '')}"

    def title(self, parameters: Mapping[str, Any]) -> str:
        """Return what ``summary`` says: the directory is in it."""
        return self.summary(parameters)

    def path_of(self, shown: str) -> str:
        """Return the path in ``hdfs://nameservice/path``."""
        found = re.match(r"hdfs://[^/]*(/.*)", shown, re.DOTALL)
        return found[1] if found else shown

    def connect(self, parameters: Mapping[str, Any], secrets: Mapping[str, str]) -> Store:
        """Open the directory through the NameNode that is active now, by RPC unless ``transport`` says otherwise."""
        from storage.remotehdfs.store import HDFSStore
        from storage.remotehdfs.target import Target

        return HDFSStore(Target.of(parameters))

    def endpoints(self, parameters: Mapping[str, Any]) -> list[Endpoint]:
        """Return the port of each NameNode that the transport uses."""
        field = "http_port" if parameters.get("transport") == _WEBHDFS else "rpc_port"
        if not parameters.get(field):
            return []
        hosts = {str(parameters[name]): name for name in ("standby_ip", "active_ip") if parameters.get(name)}
        return [Endpoint(host, int(parameters[field]), name, field) for host, name in reversed(hosts.items())]

    def servers(self, parameters: Mapping[str, Any]) -> list[str]:
        """Return the addresses of the NameNodes; the DataNodes are of the same cluster."""
        return [str(parameters[name]) for name in ("active_ip", "standby_ip") if parameters.get(name)]

    def identify(self, parameters: Mapping[str, Any]) -> Check:
        """Say which NameNode is active; raise the reason where none is."""
        from storage.remotehdfs.namenodes import State, explain, find
        from storage.remotehdfs.target import Target

        found = find(Target.of(parameters))
        reason = explain(found)
        if reason:
            raise reason
        words = ", ".join(f"{address} {_said(state.value)}" for address, state in found.states.items())
        if all(state in (State.ACTIVE, State.STANDBY) for state in found.states.values()):
            return Check("ok", "Identify", f"{words}.")
        cure = "Look after the other NameNode: a failover would leave the backups without one."
        return Check("warning", "Identify", f"{words}.", cure, "standby_ip")

    def account_words(self, parameters: Mapping[str, Any], store: Store | None) -> str:
        """Return as whom the console writes; simple authentication believes the name."""
        target = getattr(store, "target", None)
        return f"Used as {target.user}, whom HDFS believes without a password." if target else ""


def _said(state: str) -> str:
    return f"is {state}" if state in ("active", "standby") else state


PATH_TYPE = RemoteHDFS()
