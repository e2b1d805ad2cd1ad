"""How the machine of a node is reached: its files, its commands, its ports and processes."""

from tasks.hosts.base import Done, FileStat, Host, HostFile, HostSpec, Process

__all__ = ["Done", "FileStat", "Host", "HostFile", "HostSpec", "Process"]
