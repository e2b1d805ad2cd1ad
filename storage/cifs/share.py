"""A connection by SMB 2 or 3 to one share: login, and the few requests that a store needs."""

from __future__ import annotations

import logging
import struct
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from smbprotocol.exceptions import SMBAuthenticationError, SMBException, SMBResponseException
from smbprotocol.file_info import (
    FileDispositionInformation,
    FileEndOfFileInformation,
    FileFsFullSizeInformation,
    FileInformationClass,
    FileRenameInformation,
)
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    ImpersonationLevel,
    Open,
    QueryDirectoryFlags,
    SMB2QueryInfoRequest,
    SMB2QueryInfoResponse,
    SMB2SetInfoRequest,
)
from smbprotocol.open import FilePipePrinterAccessMask as Access
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from storage.base import Space
from storage.cifs import words
from storage.cifs.transport import OwnConnection
from storage.cifs.words import Place
from storage.connection import Lost, of_loss, of_opening
from storage.errors import StoreError
from storage.heap import keep_heap
from storage.watchdog import Watchdog

# What the library raises for a connection in trouble: its own errors, and what its thread stumbled over.
FAULTS = (SMBException, OSError, EOFError, ValueError, KeyError, struct.error, InvalidTag, InvalidSignature)
_CREDIT = 65536
# Credits to have at hand; more than a request of 1 MiB takes, so that none is cut for want of them.
_CREDITS = 64
_DIRECTORY = 0x10
_NORMAL = 0x80
_DIALECT_3 = 0x0300
# Every fault is raised and translated; the library's own log would repeat it with a traceback.
for _name in ("smbprotocol", "smbclient", "spnego"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class Refusal(Exception):
    """The server's answer is no; ``status`` is its NTSTATUS."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Share:
    """An open share. ``CONNECT`` limits each step of connecting and ``SILENCE`` each later answer, in seconds.

    Everything that waits is watched, so that a frozen server ends in ``Lost`` and leaves no thread behind. Messages
    are signed, and encrypted where the server can. One request at a time: threads wait for each other. Requests raise
    ``Refusal`` or ``Lost``; connecting raises errors of ``storage.errors``.
    """

    CONNECT = 10.0
    SILENCE = 30.0
    # Longest wait for a good-bye; a server that does not answer it is left without.
    FAREWELL = 3.0

    def __init__(self, place: Place, password: str) -> None:
        keep_heap()
        self.place = place
        self._lock = threading.RLock()
        self.watchdog = Watchdog(self.cut)
        # A connection of our own: the library's pool would hand out one that was opened with an older password.
        self._connection = OwnConnection(uuid.uuid4(), place.host, place.port, require_signing=True)
        self._connection.silence = self.SILENCE
        try:
            self._open()
            self._session = self._log_in(password)
            self._tree = self._enter()
        except StoreError:
            self.cut()
            raise

    def open(self, place: Place, access: int, disposition: int, options: int, sharing: int = 7) -> Open:
        """Open a file or directory itself, not what a link points to."""
        kind = _DIRECTORY if options & CreateOptions.FILE_DIRECTORY_FILE else _NORMAL
        opened = Open(self._tree, place.inside)
        with self.request():
            opened.create(
                ImpersonationLevel.Impersonation,
                access | Access.FILE_READ_ATTRIBUTES,
                kind,
                sharing,
                disposition,
                options | CreateOptions.FILE_OPEN_REPARSE_POINT,
            )
        return opened

    @contextmanager
    def opened(self, place: Place, access: int = 0, options: int = 0) -> Iterator[Open]:
        """Open what is there, and close it."""
        opened = self.open(place, access, CreateDisposition.FILE_OPEN, options)
        try:
            yield opened
        finally:
            with suppress(Refusal, Lost):
                self.close_file(opened)

    def close_file(self, opened: Open) -> int:
        """Close a file and return its size, as the server tells it at the end."""
        with self.request():
            opened.close(get_attributes=True)
        return int(opened.end_of_file)

    def write(self, opened: Open, offset: int, data: memoryview) -> int:
        """Write as much of ``data`` as one request takes, and return how much that is."""
        with self.request():
            size, credits = self._size(len(data), self._connection.max_write_size)
            message, receive = opened.write(bytes(data[:size]), offset=offset, send=False)
            return int(receive(self._send(message, credits)))

    def read(self, opened: Open, offset: int, length: int) -> bytes:
        """Read at most ``length`` bytes; none at the end of the file."""
        try:
            with self.request():
                size, credits = self._size(length, self._connection.max_read_size)
                message, receive = opened.read(offset, size, send=False)
                return bytes(receive(self._send(message, credits)))
        except Refusal as refusal:
            if refusal.status == words.END_OF_FILE:
                return b""
            raise

    def flush(self, opened: Open) -> None:
        """Bring a file to the server's disk."""
        with self.request():
            opened.flush()

    def cut_file(self, opened: Open, size: int) -> None:
        """Drop everything after ``size`` bytes."""
        information = FileEndOfFileInformation()
        information["end_of_file"] = size
        self._set(opened, information)

    def rename(self, opened: Open, place: Place) -> None:
        """Rename an open file; a name that is taken is refused."""
        information = FileRenameInformation()
        information["replace_if_exists"] = False
        information["file_name"] = place.inside
        self._set(opened, information)

    def remove(self, opened: Open) -> None:
        """Remove an open file or directory when it is closed; a directory that is not empty is refused."""
        information = FileDispositionInformation()
        information["delete_pending"] = True
        self._set(opened, information)

    def names(self, opened: Open) -> Iterator[tuple[str, int, datetime, bool]]:
        """Yield name, size, time of change and whether it is a directory, of all that is in an open directory."""
        flags = QueryDirectoryFlags.SMB2_RESTART_SCANS
        while True:
            try:
                with self.request():
                    found = opened.query_directory("*", FileInformationClass.FILE_DIRECTORY_INFORMATION, flags)
            except Refusal as refusal:
                if refusal.status in words.MISSING or refusal.status == words.NO_MORE_FILES:
                    return
                raise
            flags = 0
            for one in found:
                name = one["file_name"].get_value().decode("utf-16-le", "replace")
                if name not in (".", ".."):
                    size, changed = one["end_of_file"].get_value(), one["last_write_time"].get_value()
                    yield name, size, changed, bool(one["file_attributes"].get_value() & _DIRECTORY)

    def space(self, opened: Open) -> Space:
        """Return the room on the file system of an open directory, as far as the account may use it."""
        wanted = FileFsFullSizeInformation()
        query = SMB2QueryInfoRequest()
        query["info_type"], query["file_info_class"] = wanted.INFO_TYPE, wanted.INFO_CLASS
        query["file_id"], query["output_buffer_length"] = opened.file_id, len(wanted)
        with self.request():
            answer = self._connection.receive(self._send(query, 1))
            told = SMB2QueryInfoResponse()
            told.unpack(answer["data"].get_value())
            wanted.unpack(told["buffer"].get_value())
        unit = wanted["sectors_per_unit"].get_value() * wanted["bytes_per_sector"].get_value()
        free, total = wanted["caller_available_units"].get_value(), wanted["total_allocation_units"].get_value()
        return Space(free=free * unit, total=total * unit)

    def close(self) -> None:
        """Say good-bye and end the connection; a server that does not answer is not waited for long."""
        with suppress(*FAULTS), self._lock, self.watchdog.watch(self.FAREWELL):
            self._connection.disconnect(True)
        self.cut()

    def cut(self) -> None:
        """End the connection at once and wake whoever waits on it; may be called again and from any thread."""
        self.watchdog.close()
        transport = self._connection.transport
        if transport is not None:
            transport.cut()
            with suppress(*FAULTS):
                transport.close()
        # Only now: whoever wakes looks whether the connection is closed, and takes an open one for an answer.
        for request in list(self._connection.outstanding_requests.values()):
            request.response_event.set()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Watch a request and sort what comes of it."""
        try:
            with self._lock, self.watchdog.watch(self.SILENCE):
                yield
        except SMBResponseException as error:
            raise Refusal(error.status) from error
        except FAULTS as error:
            raise Lost(self.watchdog.fired) from error

    def _open(self) -> None:
        """Open the connection and agree on the dialect."""
        try:
            with self.watchdog.watch(self.CONNECT):
                self._connection.connect(timeout=self.CONNECT)
        except Exception as error:
            # The library's thread passes on whatever a server of another protocol made it stumble over.
            transport = self._connection.transport
            if isinstance(error.__cause__, OSError) and not (transport and transport.connected):
                raise of_opening(error.__cause__, self.place, "CIFS", self.CONNECT) from error
            raise words.no_cifs(self.place, self.CONNECT) from error

    def _log_in(self, password: str) -> Session:
        """Log in; with NTLM, as addresses, not names, are given and Kerberos would look for a realm in vain."""
        able = self._connection.dialect >= _DIALECT_3 and self._connection.supports_encryption
        session = Session(self._connection, self.place.user, password, require_encryption=able, auth_protocol="ntlm")
        try:
            with self.watchdog.watch(self.CONNECT):
                session.connect()
        except SMBResponseException as error:
            raise words.of_login(error.status, self.place) from error
        except SMBAuthenticationError as error:
            raise words.bad_login(self.place) from error
        except FAULTS as error:
            # The library leaves this mark on the session of a guest, and only on that.
            if session.session_id is None:
                raise words.guest(self.place) from error
            raise of_loss(Lost(self.watchdog.fired), self.place, self.CONNECT, None) from error
        return session

    def _enter(self) -> TreeConnect:
        host = self.place.host
        tree = TreeConnect(self._session, rf"\\{host}\{self.place.share}")
        try:
            with self.watchdog.watch(self.CONNECT):
                tree.connect()
        except SMBResponseException as error:
            raise words.of_share(error.status, self.place) from error
        except FAULTS as error:
            raise of_loss(Lost(self.watchdog.fired), self.place, self.CONNECT, None) from error
        return tree

    def _set(self, opened: Open, information: Any) -> None:
        message = SMB2SetInfoRequest()
        message["info_type"], message["file_info_class"] = information.INFO_TYPE, information.INFO_CLASS
        message["file_id"], message["buffer"] = opened.file_id, information
        with self.request():
            self._connection.receive(self._send(message, 1))

    def _send(self, message: Any, credits: int) -> Any:
        tree = self._tree
        return self._connection.send(message, tree.session.session_id, tree.tree_connect_id, credit_request=credits)

    def _size(self, wanted: int, limit: int) -> tuple[int, int]:
        """Return how many bytes a request may carry by the credits at hand, and how many credits to ask for."""
        window = self._connection.sequence_window
        at_hand = window["high"] - window["low"]
        size = min(wanted, limit, max(1, at_hand) * _CREDIT)
        charge = max(1, -(-size // _CREDIT))
        return size, charge + (_CREDITS if at_hand < _CREDITS else 0)
