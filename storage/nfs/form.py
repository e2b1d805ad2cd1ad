"""NFS: backup files in the NAS by the NFS protocol (seed, step 7)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, ClassVar

from storage.base import PathType, Store
from storage.checks import Endpoint
from storage.fields import ServerForm, address_field, ip_mode_field, path_field
from storage.rules import clean_shared_path

_NFS_PORT = 2049


class NFSForm(ServerForm):
    """The fields of NFS in the order of the seed."""

    ip_mode = ip_mode_field()
    server_ip = address_field("Server IP Address", "The IP address of the NAS server.")
    shared_path = path_field(
        "Server Shared Path",
        "The shared directory of the NAS server. It cannot be the root directory, and its user group and owner group "
        "must be nobody:nobody.",
    )

    field_order = ("ip_mode", "server_ip", "shared_path", "copies")
    widths: ClassVar[Mapping[str, str]] = {"ip_mode": "w2", "server_ip": "w4", "copies": "w4"}
    rules = {"shared_path": clean_shared_path}


class NFS(PathType):
    """A shared directory of a NAS server."""

    name = "NFS"
    note = "Backup files are stored in the NAS using the NFS protocol. Deploy the NAS server first."
    form_class = NFSForm
    available = True

    def path_of(self, shown: str) -> str:
        """Return the path in ``server:/path``."""
        server, colon, path = shown.partition(":/")
        if shown.startswith("["):
            server, colon, path = shown.partition("]:/")
        return f"/{path}" if colon and "/" not in server else shown

    def connect(self, parameters: Mapping[str, Any], secrets: Mapping[str, str]) -> Store:
        """Open the shared directory; where there is no NFS client for this machine, as an administrator mounted it."""
        if find_spec("nfs_rs") is None:
            from storage.nfs.mounted import open_mounted

            return open_mounted(str(parameters["server_ip"]), str(parameters["shared_path"]))
        from storage.nfs.dial import Target
        from storage.nfs.store import NFSStore

        return NFSStore(Target.of(parameters))

    def endpoints(self, parameters: Mapping[str, Any]) -> list[Endpoint]:
        """Return the port of NFS, which the form does not ask for; a mount is the operating system's own."""
        if find_spec("nfs_rs") is None:
            return []
        return [Endpoint(str(parameters["server_ip"]), int(parameters.get("nfs_port") or _NFS_PORT))]

    def account_words(self, parameters: Mapping[str, Any], store: Store | None) -> str:
        """Return by which numbers the console is known there, and which version was agreed on."""
        target, client = getattr(store, "target", None), getattr(store, "client", None)
        if target is None or client is None:
            return ""
        version = str(getattr(client.version, "value", client.version))
        return f"Used as user {target.uid} and group {target.gid} by NFS {version}."

    def path_words(self, parameters: Mapping[str, Any], store: Store) -> str:
        """Return what is proven of the shared directory."""
        words = super().path_words(parameters, store)
        return f"{words} It belongs to nobody:nobody." if hasattr(store, "client") else words


PATH_TYPE = NFS()
