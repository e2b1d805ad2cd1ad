"""The store behind NFS: a shared directory of a NAS server, used without mounting it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, BinaryIO

import nfs_rs

from storage.base import Entry, Space, Store, Upload
from storage.errors import BadPath, StoreError, Unreachable
from storage.nfs.dial import Target, dial, dial_root
from storage.nfs.faults import FAULTS, cannot_link, translated
from storage.nfs.upload import NFSUpload, open_reader
from storage.remote import check_parts

# nobody on Linux of today and of before 2019.
NOBODY_IDS = ("65534", "99")
NOBODY_NAMES = ("nobody",)
NO_GROUPS = ("nobody", "nogroup")


class NFSStore(Store):
    """A connection to a shared directory. It is used by one thread; directories are 0700 and files 0600.

    ``broken`` is set by the first loss of the connection: from then on nothing waits for the server again.
    """

    CONNECT_SECONDS = 10.0
    SILENCE_SECONDS = 30.0
    CLEANING_SECONDS = 5.0

    def __init__(self, target: Target) -> None:
        self.target = replace(target, connect_seconds=self.CONNECT_SECONDS, silence_seconds=self.SILENCE_SECONDS)
        self.place = self.target.place
        self.broken = False
        self.client, self._below = dial(self.target)
        try:
            self._check_owner()
        except BaseException:
            self.close()
            raise

    # --- What the parts of the store share ---------------------------------------------------------------------------
    @contextmanager
    def call(self, path: str = "") -> Iterator[None]:
        """Translate the faults of the block, which concerns ``path`` below the mount, and note a lost connection."""
        try:
            with translated(self.place, self._relative(path)):
                yield
        except Unreachable:
            self.broken = True
            raise

    def create(self, path: str) -> nfs_rs.File:
        """Open a new file at ``path``; raise ``FileExistsError`` where there is one.

        The library cannot create exclusively. The file is made under a name that nobody else has and then linked to
        its own, which fails where that is taken.
        """
        directory, _, name = path.rpartition("/")
        fresh = f"{directory}/.{secrets.token_hex(4)}{name}"
        file = self.client.open(fresh, "wb")
        try:
            self.client.chmod(fresh, 0o600)
            try:
                self.client.link(fresh, path)
            except FAULTS as fault:
                if not cannot_link(fault):
                    raise
                self.rename_carefully(fresh, path)
            self.client.remove(fresh, missing_ok=True)
        except BaseException:
            with suppress(*FAULTS):
                file.close()
                self.client.remove(fresh, missing_ok=True)
            raise
        return file

    def rename_carefully(self, source: str, target: str) -> None:
        """Rename where there are no hard links; a rename of NFS overwrites, so the name is looked up before."""
        if self.client.exists(target):
            raise FileExistsError(target)
        self.client.rename(source, target)

    def remove_anew(self, path: str) -> None:
        """Remove a file over a new connection within a few seconds, or leave it to the next run's sweep."""
        brief = replace(self.target, connect_seconds=self.CLEANING_SECONDS, silence_seconds=self.CLEANING_SECONDS)
        with suppress(StoreError, *FAULTS):
            client, _ = dial(brief)
            client.remove(path, missing_ok=True)
            client.close()

    def typed(self, path: str) -> str:
        """Return ``path`` below the mount as an administrator types it."""
        return f"{self.place.on_server}/{self._relative(path)}"

    def _relative(self, path: str) -> str:
        return path.removeprefix(f"{self._below}/") if self._below else path

    def _path(self, *parts: str) -> str:
        check_parts(parts)
        return "/".join((self._below, *parts) if self._below else parts)

    # --- The owner ----------------------------------------------------------------------------------------------------
    def _check_owner(self) -> None:
        """Refuse a shared directory that is not nobody's (seed, step 7)."""
        with self.call():
            found = self._shared_directory()
        if found.type is not nfs_rs.FileType.DIRECTORY:
            raise BadPath(
                f"{self.place.on_server} is not a directory.", cure="Check Server Shared Path.", field="shared_path"
            )
        owner, group = found.owner or str(found.uid), found.group or str(found.gid)
        if _is_nobody(owner, NOBODY_NAMES, self.target.uid) and _is_nobody(group, NO_GROUPS, self.target.gid):
            return
        raise BadPath(
            f"{self.place.on_server} belongs to {owner}:{group}, not to nobody:nobody.",
            cure=f"Change the owner on the NFS server: chown nobody:nobody {self.place.shared}",
            field="shared_path",
        )

    def _shared_directory(self) -> nfs_rs.FileInfo:
        """Return what the server says of the shared directory. NFS 4 cannot be asked for the root of a mount."""
        if self._below or self.client.version is nfs_rs.Version.NFS_V3:
            return self.client.stat(self._below or ".")
        with dial_root(self.target) as root:
            return root.stat(self.target.shared.strip("/"))

    # --- Store --------------------------------------------------------------------------------------------------------
    def free_space(self) -> Space | None:
        """Return the room that the account may use, or None where the server gives no figures."""
        with self.call():
            figures = self.client.fs_stat()
        if not figures.total_bytes:
            return None
        return Space(free=min(figures.available_bytes, figures.total_bytes), total=figures.total_bytes)

    def put(self, directory: str, name: str, partial: str) -> Upload:
        """Begin a file; its directory is made where it is missing."""
        folder, final, hidden = self._path(directory), self._path(directory, name), self._path(directory, partial)
        with self.call(folder):
            self.client.mkdir(folder, 0o700, exist_ok=True)
        return NFSUpload(self, hidden, final, name)

    def full_path(self, directory: str, name: str) -> str:
        """Return ``server:/export/path``, an IPv6 address in brackets."""
        return self.typed(self._path(directory, name))

    def directories(self) -> list[str]:
        """Return the names of the directories of the shared directory."""
        with self.call(self._below):
            return sorted(entry.name for entry in self._at_root() if entry.is_directory)

    def _at_root(self) -> list[Entry]:
        """Return what is in the shared directory. NFS 4 cannot list the root of a mount: its parent can."""
        if self._below or self.client.version is nfs_rs.Version.NFS_V3:
            return [*_entries(self.client, self._below or ".")]
        with dial_root(self.target) as root:
            return [*_entries(root, self.target.shared.strip("/"))]

    def list(self, directory: str) -> list[Entry]:
        """Return what is in ``directory``."""
        folder = self._path(directory)
        with self.call(folder):
            try:
                return sorted(_entries(self.client, folder), key=lambda entry: entry.name)
            except FileNotFoundError:
                return []

    def stat(self, directory: str, name: str) -> Entry:
        """Return the entry of a file."""
        path = self._path(directory, name)
        with self.call(path):
            return _entry(name, self.client.stat(path))

    def open(self, directory: str, name: str) -> BinaryIO:
        """Open a file for reading."""
        return open_reader(self, self._path(directory, name))

    def delete(self, directory: str, name: str) -> None:
        """Remove a file and, when it was the last one, its directory."""
        folder, path = self._path(directory), self._path(directory, name)
        with self.call(path):
            self.client.remove(path, missing_ok=True)
            with suppress(OSError):
                self.client.rmdir(folder)

    def close(self) -> None:
        """End the connection; a broken one is dropped, for ending it would wait for the server."""
        client: Any = self.client
        if not self.broken and not client.closed:
            with suppress(*FAULTS):
                client.close()
        self.broken = True


def _is_nobody(owner: str, names: tuple[str, ...], own: int) -> bool:
    """Tell whether an owner is nobody, as a number or a name with or without a domain; ``own`` is the console's id."""
    return owner in NOBODY_IDS or owner == str(own) or owner.partition("@")[0] in names


def _entries(client: nfs_rs.Client, folder: str) -> Iterator[Entry]:
    for item in client.scandir(folder):
        if item.name not in (".", ".."):
            yield _entry(item.name, item.info)


def _entry(name: str, info: nfs_rs.FileInfo) -> Entry:
    modified = datetime.fromtimestamp(info.mtime / 1_000_000_000, UTC)
    return Entry(name, info.size, modified, info.type is nfs_rs.FileType.DIRECTORY)
