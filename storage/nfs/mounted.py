"""NFS on machines for which there is no NFS client package: the directory as an administrator mounted it.

The mount table says whether the directory really is on the server; a directory of the system disk of the same name is
never written to, not even when the mount is lost during a run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path, PurePosixPath

from storage.base import Space
from storage.errors import BadPath, StoreFault
from storage.localdir import LocalDirStore
from storage.rules import RuleBroken, clean_shared_path

MOUNT_TABLE = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")
_ADDRESS = re.compile(r"(?:^|,)addr=([^,]+)")


@dataclass(frozen=True)
class NFSMount:
    """A line of the mount table: what of which server is mounted where, by which device number."""

    server: str
    exported: str
    point: str
    device: str


class NotMounted(StoreFault):
    """The shared directory is not mounted; an administrator has to do it."""

    code = "not-mounted"
    retryable = False


def nfs_mounts(table: str) -> Iterator[NFSMount]:
    """Yield the NFS mounts of a mount table (proc(5), mountinfo); later lines hide earlier ones of the same point."""
    for line in table.splitlines():
        fields, _, tail = line.partition(" - ")
        left, right = fields.split(), tail.split()
        if len(left) < 5 or len(right) < 3 or right[0] not in ("nfs", "nfs4"):
            continue
        source = _unescaped(right[1])
        name, _, exported = source.rpartition(":/")
        address = _ADDRESS.search(right[2])
        server = address[1] if address else name.strip("[]")
        # The root of a bind or of an automounted part stands in the fourth field, below what the source says.
        below = PurePosixPath(f"/{exported}") / _unescaped(left[3]).lstrip("/")
        yield NFSMount(server, str(below), _unescaped(left[4]), left[2])


def locate(server: str, shared: str, table: str) -> tuple[Path, NFSMount]:
    """Return the local path of a shared directory, and its mount; raise ``NotMounted`` where there is none."""
    wanted = PurePosixPath(shared)
    fitting = [
        mount
        for mount in nfs_mounts(table)
        if _same_host(mount.server, server) and wanted.is_relative_to(mount.exported)
    ]
    if not fitting:
        raise NotMounted(
            f"{server}:{shared} is not mounted on this machine, and NFS without a mount is not offered here.",
            cure="Mount it, and run the task again.",
            field="shared_path",
        )
    best = max(fitting, key=lambda mount: len(mount.exported))
    return Path(best.point) / wanted.relative_to(best.exported), best


def _same_host(one: str, other: str) -> bool:
    try:
        return ip_address(one) == ip_address(other)
    except ValueError:
        return one == other


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text).encode("latin-1", "replace").decode(errors="replace")


class MountedStore(LocalDirStore):
    """A directory on a mounted NFS export. Before each use the mount table is asked whether it still is one."""

    # The server may squash every account to one of its own.
    owned = False

    def __init__(self, server: str, shared: str) -> None:
        self.server = server
        self.shared = shared
        root, self._mount = locate(server, shared, MOUNT_TABLE.read_text())
        if not root.is_dir():
            raise BadPath(f"{server}:{shared} does not exist.", cure="Check Server Shared Path.", field="shared_path")
        super().__init__(root)

    def _path(self, *parts: str) -> Path:
        _, now = locate(self.server, self.shared, MOUNT_TABLE.read_text())
        if now != self._mount:
            raise NotMounted(f"The mount of {self.server}:{self.shared} changed.", cure="Run the task again.")
        return super()._path(*parts)

    def directories(self) -> list[str]:
        """Return the names of the directories of the export."""
        self._path("any")
        return super().directories()

    def free_space(self) -> Space:
        """Return the room of the export."""
        self._path("any")
        return super().free_space()


def open_mounted(server: str, shared: str) -> MountedStore:
    """Return the store of a mounted shared directory; raise ``NotMounted`` or ``BadPath``."""
    try:
        return MountedStore(server, clean_shared_path(shared))
    except RuleBroken as broken:
        raise BadPath(str(broken), field="shared_path") from broken
