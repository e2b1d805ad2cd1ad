"""A directory of an SFTP server as a store."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, BinaryIO

from storage.base import Entry, Space, Upload
from storage.connection import Lost, of_loss
from storage.errors import BadPath, PathMissing, StoreError
from storage.remote import RemoteStore, check_parts
from storage.rules import RuleBroken, clean_shared_path
from storage.sftp import requests, words
from storage.sftp.link import Link, connect
from storage.sftp.reader import open_reader
from storage.sftp.upload import SFTPUpload
from storage.sftp.wire import Attributes, Code, Packet, Refusal, Wire, path_bytes
from storage.sftp.words import Place

_DIRECTORY_MODE = 0o700
# A refused write with less room than this left is a full disk; servers of version 3 have no word for it.
FULL_BELOW = 8 << 20


class SFTPStore(RemoteStore):
    """Directories are 0700 and files 0600: archives of IoTDB hold passwords in clear.

    A fault of the connection ends it; every later call then raises ``Unreachable`` at once.
    """

    place: Place

    def __init__(self, place: Place, host_key: str, secrets: Mapping[str, str]) -> None:
        self.place = place
        self.broken = False
        # Not a partial: its text would show the secrets.
        self._again = lambda: SFTPStore(place, host_key, secrets)
        self._link: Link
        self.wire: Wire
        self._link, self.wire = connect(place, host_key, secrets)
        try:
            self._check_root()
        except StoreError:
            self.close()
            raise

    def free_space(self) -> Space | None:
        """Return the room on the server's disk, as far as an ordinary account may use it; None where it is not told."""
        with self.guard():
            return self._space()

    def put(self, directory: str, name: str, partial: str) -> Upload:
        """Begin a file; its directory is made where it is missing."""
        folder = self.path(directory)
        self.path(directory, name)
        self.path(directory, partial)
        with self.guard(directory):
            try:
                requests.make_directory(self.wire, folder, _DIRECTORY_MODE)
            except Refusal:
                # It is there already as a rule, and the answer does not tell.
                if not self._is_directory(directory):
                    raise
            else:
                self.sync_directory()
        return SFTPUpload(self, directory, name, partial)

    def full_path(self, directory: str, name: str) -> str:
        """Return the file as a URL for sftp(1)."""
        self.path(directory, name)
        return self.place.url(directory, name)

    def directories(self) -> list[str]:
        """Return the names of the directories at the root."""
        with self.guard():
            return sorted(entry.name for entry in self._entries(self.place.root) if entry.is_directory)

    def list(self, directory: str) -> list[Entry]:
        """Return what is in ``directory``."""
        folder = self.path(directory)
        with self.guard(directory):
            try:
                return sorted(self._entries(folder), key=lambda entry: entry.name)
            except Refusal as refusal:
                if refusal.code in (Code.NO_SUCH_FILE, Code.NO_SUCH_PATH):
                    return []
                raise

    def stat(self, directory: str, name: str) -> Entry:
        """Return the entry of a file."""
        with self.guard(directory, name):
            return _entry(name, self.attributes(directory, name))

    def open(self, directory: str, name: str) -> BinaryIO:
        """Open a file for reading."""
        with self.guard(directory, name):
            size = self.attributes(directory, name).size
            handle = requests.open_file(self.wire, self.path(directory, name))
            return open_reader(self.wire, handle, size, partial(self.guard, directory, name))

    def delete(self, directory: str, name: str) -> None:
        """Remove a file and, when it was the last one, its directory."""
        path = self.path(directory, name)
        with self.guard(directory, name):
            try:
                self.wire.ask(Packet.REMOVE, path_bytes(path))
            except Refusal as refusal:
                if refusal.code not in (Code.NO_SUCH_FILE, Code.NO_SUCH_PATH):
                    raise
            with suppress(Refusal):
                self.wire.ask(Packet.RMDIR, path_bytes(self.path(directory)))

    def close(self) -> None:
        """End the connection; does not wait for the server."""
        self._link.end()

    # What the upload uses besides.
    def path(self, *parts: str) -> str:
        """Return the path of something below the root; raise ``BadPath`` for a part that leads elsewhere."""
        check_parts(parts)
        return "/".join((self.place.root, *parts))

    def attributes(self, *parts: str) -> Attributes:
        """Return what the server tells of a name itself, not of what a link points to; raises ``Refusal``."""
        return requests.attributes(self.wire, self.path(*parts))

    def is_there(self, *parts: str) -> bool:
        """Tell whether a name is taken."""
        try:
            with self.guard(*parts):
                self.attributes(*parts)
        except PathMissing:
            return False
        return True

    def sync_directory(self, *parts: str) -> None:
        """Bring the names in a directory to the disk where the server can."""
        with self.guard(*parts):
            requests.sync_directory(self.wire, self.path(*parts))

    @contextmanager
    def guard(self, *parts: str, taken: bool = False, written: int | None = None) -> Iterator[None]:
        """Translate what goes wrong with the place of ``parts``.

        With ``taken`` a refusal may mean that the name is taken; ``written`` bytes were sent, and a refusal may mean
        a full disk.
        """
        place = self.place.below(*parts)
        if self.broken:
            raise of_loss(Lost(), place, Link.SILENCE, written)
        try:
            yield
        except Lost as error:
            self.broken = True
            self._link.end()
            raise of_loss(error, place, self._link.SILENCE, written) from error
        except Refusal as error:
            raise self._reason(error, parts, place, taken) from error

    def _reason(self, refusal: Refusal, parts: tuple[str, ...], place: Place, taken: bool) -> StoreError:
        """Return the error for a refusal; a plain failure is looked into, as the server does not say more."""
        if refusal.code == Code.FAILURE:
            with suppress(Refusal, Lost):
                if taken and self.attributes(*parts):
                    return words.exists(place)
            with suppress(Refusal, Lost):
                space = self._space()
                if space and space.free < FULL_BELOW:
                    return words.full(self.place, space.free)
        return words.of_refusal(refusal, place, None if parts else "shared_path")

    def _space(self) -> Space | None:
        return requests.space(self.wire, self.place.root)

    def _entries(self, path: str) -> Iterator[Entry]:
        return (_entry(*one) for one in requests.listing(self.wire, path) if one[0] not in (".", ".."))

    def _is_directory(self, *parts: str) -> bool:
        try:
            return stat.S_ISDIR(self.attributes(*parts).mode)
        except Refusal:
            return False

    def _check_root(self) -> None:
        """Hold the root against the rules again, now as the server resolves it."""
        root = self.place.root
        with self.guard():
            mode = requests.attributes(self.wire, root, follow=True).mode
            if not requests.real_path(self.wire, root).strip("/"):
                raise words.is_root(self.place)
        if mode and not stat.S_ISDIR(mode):
            raise words.no_directory(self.place)


def _entry(name: str, attributes: Attributes) -> Entry:
    modified = datetime.fromtimestamp(attributes.modified, UTC)
    return Entry(name, attributes.size, modified, stat.S_ISDIR(attributes.mode))


def connect_store(parameters: Mapping[str, Any], secrets: Mapping[str, str]) -> SFTPStore:
    """Open the destination of a form's values; ``host_key`` is the pinned key, empty where none is confirmed yet."""
    try:
        root = clean_shared_path(str(parameters.get("shared_path", "")))
    except RuleBroken as broken:
        raise BadPath(str(broken), field="shared_path") from broken
    place = Place(str(parameters["server_ip"]), int(parameters["port"]), str(parameters["username"]), root)
    return SFTPStore(place, str(parameters.get("host_key") or ""), secrets)
