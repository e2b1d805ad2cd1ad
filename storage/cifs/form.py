"""CIFS: backup files in the NAS by the CIFS protocol (seed, step 7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from storage.base import PathType, Store
from storage.checks import Check
from storage.fields import (
    AccountForm,
    address_field,
    ip_mode_field,
    password_field,
    path_field,
    port_field,
    username_field,
)
from storage.rules import clean_cifs_path


class CIFSForm(AccountForm):
    """The fields of CIFS in the order of the seed."""

    ip_mode = ip_mode_field()
    server_ip = address_field("Server IP Address", "The IP address of the NAS server.")
    port = port_field("Port", 445)
    username = username_field("The username set when the CIFS protocol was configured.")
    password = password_field("The password set when the CIFS protocol was configured. Never shown again once saved.")
    shared_path = path_field(
        "Server Shared Path",
        "The share, and the directory in it, for example /backup/iotdb. It cannot be the root directory, and its user "
        "group and owner group must be nobody:nobody.",
    )

    field_order = ("ip_mode", "server_ip", "port", "username", "password", "shared_path", "copies")
    widths: ClassVar[Mapping[str, str]] = {
        "ip_mode": "w2", "server_ip": "w3", "port": "w1", "username": "w3", "password": "w3", "copies": "w4",
    }  # fmt: skip
    rules = {"shared_path": clean_cifs_path}


class CIFS(PathType):
    """A share of a NAS server."""

    name = "CIFS"
    note = "Backup files are stored in the NAS using the CIFS protocol. Deploy the NAS server first."
    form_class = CIFSForm
    secret_fields = ("password",)
    available = True

    def path_of(self, shown: str) -> str:
        r"""Return share and path in ``\\host\share\path``."""
        slashed = shown.replace("\\", "/")
        return "/" + slashed[2:].partition("/")[2] if slashed.startswith("//") else slashed

    def connect(self, parameters: Mapping[str, Any], secrets: Mapping[str, str]) -> Store:
        """Log in to the server; ``secrets`` holds ``password``."""
        # The libraries of SMB take a while to load, and the pages need the form only.
        from storage.cifs.store import connect_store

        return connect_store(parameters, secrets)

    def identify(self, parameters: Mapping[str, Any]) -> Check:
        """Agree with the server on a dialect, without logging in."""
        from storage.cifs.greeting import identify

        return identify("Identify", str(parameters["server_ip"]), int(parameters["port"]))

    def path_words(self, parameters: Mapping[str, Any], store: Store) -> str:
        """Return what is proven, and what CIFS does not tell."""
        return (
            f"{parameters['shared_path']} exists and is not the root directory. CIFS does not show the owner: that it "
            "is nobody:nobody has to be looked up on the server."
        )


PATH_TYPE = CIFS()
