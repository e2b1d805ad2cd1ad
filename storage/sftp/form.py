"""SFTP: backup files in a server by the SFTP protocol (seed, step 7)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

from django import forms

from storage.base import PathType, Store
from storage.checks import Check
from storage.fields import (
    AccountForm,
    HostKeyField,
    SecretTextarea,
    address_field,
    ip_mode_field,
    password_field,
    path_field,
    port_field,
    username_field,
)
from storage.rules import clean_shared_path

CONFIRM_FIRST = "Verify the destination and confirm the host key first."
CONFIRM_AGAIN = "The host key was confirmed for another server. Verify the destination and confirm the key anew."


class SFTPForm(AccountForm):
    """The fields of SFTP in the order of the seed; besides it a private key, and the host key that was confirmed."""

    ip_mode = ip_mode_field()
    server_ip = address_field("Server IP Address", "The server where the backup data is stored.")
    port = port_field("Port", 22)
    username = username_field("For connecting to the server using the SFTP protocol.")
    password = password_field("Never shown again once saved.")
    private_key = forms.CharField(
        label="Private Key",
        required=False,
        max_length=20_000,
        strip=False,
        help_text="An OpenSSH or PEM private key (Ed25519, ECDSA or RSA), whole. Never shown again once saved.",
        widget=SecretTextarea(attrs={"rows": 4, "autocomplete": "off", "spellcheck": "false"}),
    )
    passphrase = forms.CharField(
        label="Passphrase",
        required=False,
        max_length=1024,
        strip=False,
        help_text="Of the private key, where it has one.",
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
    )
    shared_path = path_field("Server Shared Path", "The backup path on the SFTP server.")
    host_key = HostKeyField()

    field_order = (
        "ip_mode", "server_ip", "port", "username", "password", "private_key", "passphrase", "shared_path", "copies",
        "read_back", "host_key",
    )  # fmt: skip
    widths: ClassVar[Mapping[str, str]] = {
        "ip_mode": "w2", "server_ip": "w3", "port": "w1", "username": "w3", "password": "w3", "copies": "w4",
        "passphrase": "w3",
    }  # fmt: skip
    folded = {"Private key instead of a password": ("private_key", "passphrase")}
    rules = {"shared_path": clean_shared_path}
    confirm_first = CONFIRM_FIRST
    confirm_again = CONFIRM_AGAIN

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        confirmed, server = self.initial.get("host_key"), self.initial.get("server_ip")
        if confirmed and server:
            bound = HostKeyField.bind(confirmed, server, self.initial.get("port"))
            self.initial = {**self.initial, "host_key": bound}
        if self.data.get("private_key"):
            self.fields["password"].required = False

    def clean(self) -> dict[str, Any]:
        """Take a password or a key, and the host key for this server only."""
        cleaned = super().clean()
        if cleaned.get("password") and cleaned.get("private_key"):
            self.add_error("private_key", "A password is given too. Give one of the two.")
        elif cleaned.get("private_key"):
            self._read_key(cleaned)
        elif cleaned.get("passphrase") and not self.stored:
            self.add_error("passphrase", "There is no private key that it could open. Give the key, or leave it empty.")
        self._check_host_key()
        return self.cleaned_data

    def _typed_secret(self, cleaned: dict[str, Any]) -> bool:
        return bool(cleaned.get("password") or cleaned.get("private_key"))

    def _read_key(self, cleaned: dict[str, Any]) -> None:
        """Open the key, so that a wrong passphrase is told of here and not at night."""
        from storage.errors import AuthenticationFailed
        from storage.sftp.link import read_key

        cleaned["private_key"] = cleaned["private_key"].replace("\r\n", "\n").strip() + "\n"
        try:
            read_key(cleaned["private_key"], cleaned.get("passphrase", ""))
        except AuthenticationFailed as error:
            self.add_error("private_key", str(error))

    def _check_host_key(self) -> None:
        """Hold the confirmed key against the server that it was confirmed for."""
        key, server = HostKeyField.split(self.cleaned_data.get("host_key", ""))
        here = self.cleaned_data.get("server_ip"), self.cleaned_data.get("port")
        if None in here:
            self.cleaned_data["host_key"] = key
        elif not key:
            self.add_error("host_key", self.confirm_first)
        elif server != (str(here[0]), str(here[1])):
            self.add_error("host_key", self.confirm_again)
        else:
            self.cleaned_data["host_key"] = key


class SFTP(PathType):
    """A directory of a server that is reached by SSH."""

    name = "SFTP"
    note = "Backup files are stored in the server using the SFTP protocol."
    form_class = SFTPForm
    secret_fields = ("password", "private_key", "passphrase")
    trusted_fields = ("host_key",)
    available = True
    read_back_default = False

    def path_of(self, shown: str) -> str:
        """Return the path in ``sftp://user@host:22/path``."""
        found = re.match(r"sftp://[^/]*(/.*)", shown, re.DOTALL)
        return unquote(found[1], errors="surrogateescape") if found else shown

    def connect(self, parameters: Mapping[str, Any], secrets: Mapping[str, str]) -> Store:
        """Log in to the server; ``secrets`` holds ``password``, or ``private_key`` and its ``passphrase``."""
        # The libraries of SSH take a while to load, and the pages need the form only.
        from storage.sftp.store import connect_store

        return connect_store(parameters, secrets)

    def merge_secrets(self, stored: Mapping[str, str], typed: Mapping[str, str]) -> dict[str, str]:
        """Let a password take the place of a key and the other way round: only one of them is ever used."""
        if "private_key" in typed or "password" in typed:
            return dict(typed)
        return super().merge_secrets(stored, typed)

    def identify(self, parameters: Mapping[str, Any]) -> Check:
        """Compare the server's host key with the confirmed one; raise ``HostKeyUnknown`` or ``HostKeyChanged``."""
        from storage.sftp.link import Link
        from storage.sftp.words import Place

        pinned = str(parameters.get("host_key") or "")
        link = Link(Place(str(parameters["server_ip"]), int(parameters["port"])))
        try:
            link.check_key(pinned)
        finally:
            link.end()
        return Check("ok", "Identify", "The server shows the host key that was confirmed.", code=pinned)


PATH_TYPE = SFTP()
