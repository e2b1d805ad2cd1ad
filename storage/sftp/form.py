"""SFTP: backup files in a server by the SFTP protocol (seed, step 7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from storage.base import PathType, Store
from storage.fields import (
    AccountForm,
    address_field,
    ip_mode_field,
    password_field,
    path_field,
    port_field,
    username_field,
)
from storage.rules import clean_shared_path


class SFTPForm(AccountForm):
    """The fields of SFTP in the order of the seed."""

    ip_mode = ip_mode_field()
    server_ip = address_field("Server IP Address", "The server where the backup data is stored.")
    port = port_field("Port", 22)
    username = username_field("For connecting to the server using the SFTP protocol.")
    password = password_field("Never shown again once saved.")
    shared_path = path_field("Server Shared Path", "The backup path on the SFTP server.")

    field_order = ("ip_mode", "server_ip", "port", "username", "password", "shared_path", "copies")
    widths: ClassVar[Mapping[str, str]] = {
        "ip_mode": "w2", "server_ip": "w3", "port": "w1", "username": "w3", "password": "w3", "copies": "w4",
    }  # fmt: skip
    rules = {"shared_path": clean_shared_path}


class SFTP(PathType):
    """A directory of a server that is reached by SSH."""

    name = "SFTP"
    note = "Backup files are stored in the server using the SFTP protocol."
    form_class = SFTPForm
    secret_fields = ("password",)

    def connect(self, parameters: Mapping[str, Any], secrets: Mapping[str, str]) -> Store:
        """Log in to the server; ``secrets`` holds ``password``, or ``private_key`` and its ``passphrase``."""
        # The libraries of SSH take a while to load, and the pages need the form only.
        from storage.sftp.store import connect_store

        return connect_store(parameters, secrets)


PATH_TYPE = SFTP()
