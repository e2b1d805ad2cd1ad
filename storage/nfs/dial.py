"""Connecting to an NFS server without a mount and without privileges: NFS 4.1 first, then NFS 3.

A process that forks later, such as a web server that loads the console first, may import this but not connect.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import nfs_rs
from django.conf import settings

from storage.errors import BadPath, StoreError, Unreachable
from storage.nfs.faults import FAULTS, Place, not_nfs, silent, translate
from storage.rules import RuleBroken, clean_shared_path

NOBODY = 65534
NFS_PORT = 2049
VERSIONS = ("4.1", "3")
_CAP_NET_BIND_SERVICE = 10
# What the library takes in the path of a URL as it stands; it does not decode percent signs. Other names are looked up
# below the mount.
_PLAIN = re.compile(r"[A-Za-z0-9._~+=@-]+\Z")


@dataclass(frozen=True)
class Target:
    """A shared directory on a server, and as whom it is used. Times are in seconds."""

    host: str
    shared: str
    nfs_port: int = NFS_PORT
    mount_port: int | None = None
    uid: int = NOBODY
    gid: int = NOBODY
    connect_seconds: float = 10.0
    silence_seconds: float = 30.0

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Target:
        """Return the target of a form's values; raise ``BadPath``, whatever the form let pass before.

        ``nfs_port`` and ``mount_port`` may be among the values; without the second the server's portmapper is asked,
        which NFS 3 alone needs. The account is that of ``NFS_UID`` and ``NFS_GID`` of the settings, or nobody.
        """
        try:
            shared = clean_shared_path(str(parameters["shared_path"]))
        except RuleBroken as broken:
            raise BadPath(str(broken), field="shared_path") from broken
        host = str(parameters["server_ip"])
        if "%" in host:
            raise BadPath(
                f"{host} is a link-local address, which NFS cannot use.",
                cure="Give another address of the server.",
                field="server_ip",
            )
        mount_port = parameters.get("mount_port")
        return cls(
            host=host,
            shared=shared,
            nfs_port=int(parameters.get("nfs_port") or NFS_PORT),
            mount_port=int(mount_port) if mount_port else None,
            uid=getattr(settings, "NFS_UID", NOBODY),
            gid=getattr(settings, "NFS_GID", NOBODY),
        )

    @property
    def server(self) -> str:
        """The server as it stands before the colon of an NFS path."""
        return f"[{self.host}]" if ip_address(self.host).version == 6 else self.host

    @property
    def place(self) -> Place:
        """What messages name."""
        return Place(self.server, self.shared, self.silence_seconds)

    @property
    def connecting(self) -> Place:
        """What messages name before there is a connection, which is borne for a shorter time."""
        return Place(self.server, self.shared, self.connect_seconds)

    def split(self) -> tuple[str, str]:
        """Return the part of the shared path that is mounted, and what is looked up below it."""
        parts = self.shared.strip("/").split("/")
        plain = next((at for at, part in enumerate(parts) if not _PLAIN.match(part)), len(parts))
        return "/" + "/".join(parts[:plain]), "/".join(parts[plain:])


def dial(target: Target) -> tuple[nfs_rs.Client, str]:
    """Return a connection, and the path of the shared directory below its root.

    NFS 3 is tried where NFS 4.1 is refused or does not know the path, not where nothing answers: both together end
    within ``connect_seconds``. Raises an error of ``storage.errors``: of two the first that knows more than that the
    server cannot be reached.
    """
    mounted, below = target.split()
    until = time.monotonic() + target.connect_seconds
    told: list[StoreError] = []
    for version in VERSIONS:
        try:
            return _connect(target, mounted, version, max(until - time.monotonic(), 0.5)), below
        except FAULTS as fault:
            told.append(translate(fault, target.connecting))
            if isinstance(fault, TimeoutError):
                raise _silent(target) from fault
    raise next((error for error in told if not isinstance(error, Unreachable)), told[0])


def _silent(target: Target) -> Unreachable:
    """Return why a server did not answer, as far as its port shows; looks for three seconds at the most."""
    try:
        with socket.create_connection((target.host, target.nfs_port), 2) as probe:
            probe.settimeout(1)
            # A server of NFS never speaks first; many others do.
            return not_nfs(target.connecting) if probe.recv(1) else silent(target.connecting)
    except OSError:
        return silent(target.connecting)


def dial_root(target: Target) -> nfs_rs.Client:
    """Return a connection by NFS 4.1 to the root above all exports."""
    return _connect(target, "/", "4.1", target.connect_seconds)


def _connect(target: Target, path: str, version: str, seconds: float) -> nfs_rs.Client:
    return nfs_rs.Client.connect(
        f"nfs://{target.server}{path}",
        versions=[version],
        uid=target.uid,
        gid=target.gid,
        nfs_port=target.nfs_port if version != "3" or target.mount_port else None,
        mount_port=target.mount_port,
        noresvport=not may_bind_low_ports(),
        connect_timeout=seconds,
        operation_timeout=target.silence_seconds,
    )


@cache
def may_bind_low_ports() -> bool:
    """Tell whether this process may use a port below 1024, which many servers demand of their clients."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    return effective is not None and bool(int(effective[1], 16) >> _CAP_NET_BIND_SERVICE & 1)
