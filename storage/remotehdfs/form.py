"""RemoteHDFS: backup files in the HDFS of the standby cluster (seed, step 7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from storage.base import PathType, Store
from storage.fields import (
    ServerForm,
    address_field,
    ip_mode_field,
    name_service_field,
    path_field,
    port_field,
)
from storage.rules import clean_hdfs_path, clean_name_service


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

    field_order = ("name_service", "ip_mode", "active_ip", "standby_ip", "rpc_port", "target_path", "copies")
    widths: ClassVar[Mapping[str, str]] = {
        "name_service": "w4", "ip_mode": "w2", "active_ip": "w3", "standby_ip": "w3", "rpc_port": "w3", "copies": "w4",
    }  # fmt: skip
    address_fields = ("active_ip", "standby_ip")
    rules = {"name_service": clean_name_service, "target_path": clean_hdfs_path}

    def clean(self) -> dict[str, Any]:
        """Refuse one NameNode given twice: it could not take over from itself."""
        cleaned = super().clean()
        active, standby = cleaned.get("active_ip"), cleaned.get("standby_ip")
        if active and active == standby:
            self.add_error(
                "standby_ip", f"{standby} is the address of the active NameNode too. Give that of the standby NameNode."
            )
        return self.cleaned_data


class RemoteHDFS(PathType):
    """A directory in the HDFS of another cluster, reached by the RPC port of its NameNodes."""

    name = "RemoteHDFS"
    note = "Backup files are stored in the HDFS directory of the standby cluster."
    form_class = RemoteHDFSForm

    def summary(self, parameters: Mapping[str, Any]) -> str:
        """Return the NameService and the directory."""
        return f"{parameters.get('name_service', '')}{parameters.get('target_path', '')}"

    def connect(self, parameters: Mapping[str, Any], secrets: Mapping[str, str]) -> Store:
        """Open the directory through the NameNode that is active now, by RPC unless ``transport`` says otherwise."""
        from storage.remotehdfs.store import HDFSStore
        from storage.remotehdfs.target import Target

        return HDFSStore(Target.of(parameters))


PATH_TYPE = RemoteHDFS()
