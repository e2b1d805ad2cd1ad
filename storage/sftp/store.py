"""A directory of an SFTP server as a store."""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, BinaryIO

from storage.base import Entry, Space, Upload
from storage.connection import Lost, of_loss
from storage.errors import BadPath, PathMissing, StoreError
from storage.remote import RemoteStore, check_parts
from storage.rules import RuleBroken, clean_shared_path
from storage.sftp import words
from storage.sftp.link import Link, connect
from storage.sftp.reader import open_reader
from storage.sftp.upload import SFTPUpload
from storage.sftp.wire import Answer, Attributes, Code, Packet, Refusal, Wire, path_bytes, string
from storage.sftp.words import Place

_STATVFS, _FSYNC = "statvfs@openssh.com", "fsync@openssh.com"
_READ_FLAG = struct.pack(">I", 1)
_NO_ATTRIBUTES = struct.pack(">I", 0)
_DIRECTORY_MODE = struct.pack(">II", 4, 0o700)
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
                self.wire.ask(Packet.MKDIR, path_bytes(folder), _DIRECTORY_MODE)
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
            return sorted(entry.name for entry in self._read_directory(self.place.root) if entry.is_directory)

    def list(self, directory: str) -> list[Entry]:
        """Return what is in ``directory``."""
        folder = self.path(directory)
        with self.guard(directory):
            try:
                return sorted(self._read_directory(folder), key=lambda entry: entry.name)
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
        path = path_bytes(self.path(directory, name))
        with self.guard(directory, name):
            size = self.attributes(directory, name).size
            opened = self.wire.ask(Packet.OPEN, path, _READ_FLAG, _NO_ATTRIBUTES, expect=Packet.HANDLE)
            return open_reader(self.wire, opened.string(), size, partial(self.guard, directory, name))

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
        return self.wire.ask(Packet.LSTAT, path_bytes(self.path(*parts)), expect=Packet.ATTRS).attributes()

    def is_there(self, *parts: str) -> bool:
        """Tell whether a name is taken."""
        try:
            with self.guard(*parts):
                self.attributes(*parts)
        except PathMissing:
            return False
        return True

    def sync_directory(self, *parts: str) -> None:
        """Bring the names in a directory to the disk where the server can: OpenSSH lets a directory be opened."""
        if _FSYNC not in self.wire.extensions:
            return
        with self.guard(*parts), suppress(Refusal):
            path = path_bytes(self.path(*parts))
            opened = self.wire.ask(Packet.OPEN, path, _READ_FLAG, _NO_ATTRIBUTES, expect=Packet.HANDLE)
            handle = string(opened.string())
            with suppress(Refusal):
                self.wire.extended(_FSYNC, handle, expect=Packet.STATUS)
            self.wire.ask(Packet.CLOSE, handle)

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
        try:
            answer = self.wire.extended(_STATVFS, path_bytes(self.place.root))
        except Refusal as refusal:
            if refusal.code == Code.UNSUPPORTED:
                return None
            raise
        _, unit, blocks, _, available, files, _, free_files = (answer.long() for _ in range(8))
        # A file system without a free inode takes no file; those that count none report zero of zero.
        if files and not free_files:
            available = 0
        return Space(free=available * unit, total=blocks * unit)

    def _read_directory(self, path: str) -> Iterable[Entry]:
        handle = self.wire.ask(Packet.OPENDIR, path_bytes(path), expect=Packet.HANDLE).string()
        try:
            yield from self._read_entries(handle)
        finally:
            with suppress(Refusal, Lost):
                self.wire.ask(Packet.CLOSE, string(handle))

    def _read_entries(self, handle: bytes) -> Iterator[Entry]:
        while True:
            try:
                answer = self.wire.ask(Packet.READDIR, string(handle), expect=Packet.NAME)
            except Refusal as refusal:
                if refusal.code == Code.EOF:
                    return
                raise
            yield from _entries(answer)

    def _is_directory(self, *parts: str) -> bool:
        try:
            return stat.S_ISDIR(self.attributes(*parts).mode)
        except Refusal:
            return False

    def _check_root(self) -> None:
        """Hold the root against the rules again, now as the server resolves it."""
        root = path_bytes(self.place.root)
        with self.guard():
            mode = self.wire.ask(Packet.STAT, root, expect=Packet.ATTRS).attributes().mode
            resolved = self.wire.ask(Packet.REALPATH, root, expect=Packet.NAME)
            resolved.number()
            if not resolved.string().strip(b"/"):
                raise words.is_root(self.place)
        if mode and not stat.S_ISDIR(mode):
            raise words.no_directory(self.place)


def _entries(answer: Answer) -> Iterator[Entry]:
    for _ in range(answer.number()):
        name = answer.string().decode("utf-8", "surrogateescape")
        answer.string()
        attributes = answer.attributes()
        if name not in (".", ".."):
            yield _entry(name, attributes)


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
