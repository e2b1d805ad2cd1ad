"""The machines that nodes are on: this one, and others that are reached by SSH without an agent on them."""

from __future__ import annotations

from tasks.hosts.base import Done, FileStat, Host, HostFile, HostSpec, Process
from tasks.hosts.local import LocalHost

__all__ = ["Done", "FileStat", "Host", "HostFile", "HostSpec", "LocalHost", "Process", "connect"]


def connect(spec: HostSpec, node_name: str) -> Host:
    """Reach the machine of a node; the caller closes it. Raises errors of ``storage.errors`` that name the node."""
    if spec.reach == "local":
        return LocalHost(spec)
    # The libraries of SSH take a while to load, and most nodes are on this machine.
    from tasks.hosts.ssh import SSHHost

    return SSHHost(spec, node_name)
