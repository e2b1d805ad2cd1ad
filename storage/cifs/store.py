"""A directory of a CIFS share as a store."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, BinaryIO

from smbprotocol.open import CreateDisposition, CreateOptions
from smbprotocol.open import FilePipePrinterAccessMask as Access

from storage.base import Entry, Space, Upload
from storage.cifs import words
from storage.cifs.share import Refusal, Share
from storage.cifs.upload import CIFSUpload, open_reader
from storage.cifs.words import Place
from storage.connection import Lost, of_loss
from storage.errors import BadPath, StoreError, Unreachable
from storage.remote import RemoteStore, check_parts
from storage.rules import RuleBroken, clean_cifs_path

_FOLDER = CreateOptions.FILE_DIRECTORY_FILE
_FILE = CreateOptions.FILE_NON_DIRECTORY_FILE
_IS_DIRECTORY = 0x10
# What MS-FSCC 2.1.5 does not take in a name; a dot or blank at its end would be dropped by the server.
_BAD_NAME = re.compile(r'[\x00-\x1f<>:"/\\|?*]|[ .]\Z')


class CIFSStore(RemoteStore):
    """Who may read the archives is the share's to say: CIFS has no modes that would hold on every server.

    A fault of the connection ends it; every later call then raises ``Unreachable`` at once.
    """

    place: Place

    def __init__(self, place: Place, secrets: Mapping[str, str]) -> None:
        self.place = place
        self.broken = False
        # Not a partial: its text would show the secrets.
        self._again = lambda: CIFSStore(place, secrets)
        self.share = Share(place, secrets.get("password", ""))
        try:
            self._check_root()
        except StoreError:
            self.close()
            raise

    def free_space(self) -> Space | None:
        """Return the room on the server's disk, as far as the account and its quota may use it."""
        with self.guard(), self.share.opened(self.place, Access.FILE_READ_DATA, _FOLDER) as root:
            return self.share.space(root)

    def put(self, directory: str, name: str, partial: str) -> Upload:
        """Begin a file; its directory is made where it is missing."""
        folder = self.place_of(directory)
        self.place_of(directory, name)
        self.place_of(directory, partial)
        with self.guard(directory):
            self.share.close_file(self.share.open(folder, 0, CreateDisposition.FILE_OPEN_IF, _FOLDER))
        return CIFSUpload(self, directory, name, partial)

    def full_path(self, directory: str, name: str) -> str:
        r"""Return the file as ``\\host\share\directory\name``."""
        return self.place_of(directory, name).path

    def directories(self) -> list[str]:
        """Return the names of the directories at the root."""
        with self.guard():
            return sorted(entry.name for entry in self._entries(self.place) if entry.is_directory)

    def list(self, directory: str) -> list[Entry]:
        """Return what is in ``directory``."""
        folder = self.place_of(directory)
        with self.guard(directory):
            try:
                return sorted(self._entries(folder), key=lambda entry: entry.name)
            except Refusal as refusal:
                if refusal.status in words.MISSING:
                    return []
                raise

    def stat(self, directory: str, name: str) -> Entry:
        """Return the entry of a file."""
        place = self.place_of(directory, name)
        with self.guard(directory, name), self.share.opened(place) as opened:
            is_directory = bool(opened.file_attributes & _IS_DIRECTORY)
            return _entry(name, opened.end_of_file, opened.last_write_time, is_directory)

    def open(self, directory: str, name: str) -> BinaryIO:
        """Open a file for reading."""
        place = self.place_of(directory, name)
        with self.guard(directory, name):
            opened = self.share.open(place, Access.FILE_READ_DATA, CreateDisposition.FILE_OPEN, _FILE)
        return open_reader(self.share, opened, partial(self.guard, directory, name))

    def delete(self, directory: str, name: str) -> None:
        """Remove a file and, when it was the last one, its directory."""
        file, folder = self.place_of(directory, name), self.place_of(directory)
        with self.guard(directory, name):
            try:
                self._remove(file, _FILE)
            except Refusal as refusal:
                if refusal.status not in words.MISSING:
                    raise
            with suppress(Refusal):
                self._remove(folder, _FOLDER)

    def close(self) -> None:
        """End the connection; waits only a moment for the server."""
        if self.broken:
            self.share.cut()
        else:
            self.broken = True
            self.share.close()

    # What the upload uses besides.
    def place_of(self, *parts: str) -> Place:
        """Return the place of something below the root; raise ``BadPath`` for a part that leads elsewhere."""
        check_parts(parts, _BAD_NAME)
        return self.place.below(*parts)

    @contextmanager
    def guard(self, *parts: str, written: int | None = None) -> Iterator[None]:
        """Translate what goes wrong with the place of ``parts``, of which ``written`` bytes had been sent."""
        place = self.place.below(*parts)
        if self.broken:
            raise of_loss(Lost(), place, Share.SILENCE, written)
        try:
            yield
        except Lost as error:
            self.broken = True
            self.share.cut()
            raise of_loss(error, place, self.share.SILENCE, written) from error
        except Refusal as error:
            fault = words.of_status(error.status, place, root=not parts)
            if isinstance(fault, Unreachable):
                self.broken = True
                self.share.cut()
            raise fault from error

    def _entries(self, folder: Place) -> Iterable[Entry]:
        with self.share.opened(folder, Access.FILE_READ_DATA, _FOLDER) as opened:
            return [_entry(*one) for one in self.share.names(opened)]

    def _remove(self, place: Place, options: int) -> None:
        with self.share.opened(place, Access.DELETE, options) as opened:
            self.share.remove(opened)

    def _check_root(self) -> None:
        """The directory has to be there; the rules for its path were applied before anything was sent."""
        with self.guard(), self.share.opened(self.place, Access.FILE_READ_DATA, _FOLDER):
            pass


def _entry(name: str, size: int, modified: datetime, is_directory: bool) -> Entry:
    return Entry(name, size, modified if modified.tzinfo else modified.replace(tzinfo=UTC), is_directory)


def connect_store(parameters: Mapping[str, Any], secrets: Mapping[str, str]) -> CIFSStore:
    """Open the destination of a form's values."""
    try:
        path = clean_cifs_path(str(parameters.get("shared_path", "")))
    except RuleBroken as broken:
        raise BadPath(str(broken), field="shared_path") from broken
    share, *parts = path.strip("/").split("/")
    host, port = str(parameters["server_ip"]), int(parameters["port"])
    return CIFSStore(Place(host, port, str(parameters["username"]), share, tuple(parts)), secrets)
