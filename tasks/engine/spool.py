"""The upload that follows an archive while it still grows (design.md, decision 6).

A destination on another host gets its bytes from a spool file on this machine: the archive is written once, at the
speed of the source, and a thread carries what is there to the destination. A fault that may pass starts the upload
over from the spool, under a new partial name; the archive is not made again. ``SpooledUpload`` has the same interface
as a direct upload, so that nothing else in the engine knows which one it writes to.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from storage.base import Buffer, Upload
from storage.errors import Corrupt, NoSpace, StoreError
from storage.threads import helper

log = logging.getLogger(__name__)
CHUNK = 1 << 20
TRIES = 3
PAUSES = (2.0, 8.0)  # seconds before the second and the third try
ABORT_WAIT = 3.0
_WAIT = 0.2

OpenUpload = Callable[[int], Upload]
"""Takes a number that goes up from 1, for the partial name, and begins an upload on a connection of its own."""


class SpooledUpload(Upload):
    """An upload fed from a spool file.

    ``open_upload`` begins a try; ``path`` is the spool file, made here and removed by ``publish`` and ``abort``.
    ``check`` may raise what ends the run; it is asked while waiting. ``warn`` takes a sentence for the run's log.
    An ``eager`` upload begins at once, so that a wrong password is known in seconds; another one waits for ``seal``,
    so that no connection lies idle for as long as an archive takes.
    """

    def __init__(
        self,
        path: Path,
        open_upload: OpenUpload,
        check: Callable[[], None],
        warn: Callable[[str], None],
        *,
        eager: bool = True,
    ) -> None:
        self._path = path
        self._open_upload = open_upload
        self._check = check
        self._warn = warn
        self._eager = eager
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._changed = threading.Condition()
        self._size = 0
        self._ended = self._leave = self._done = self._abandoned = False
        # What the thread has sent, what it has taken to send, and to where it has to go back.
        self._sent = self._taken = 0
        self._cut_to: int | None = None
        self._begun = 0
        self._upload: Upload | None = None
        self._error: BaseException | None = None
        self._thread = helper(self._carry, f"upload {path.name}")
        self._thread.start()

    @property
    def sent(self) -> int:
        """Bytes that the destination has taken in the present try."""
        return self._sent

    # --- The side of the archive -------------------------------------------------------------------------------------
    def write(self, data: Buffer) -> None:
        """Add to the spool; raises what ended the upload for good."""
        self._raise_error()
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise NoSpace(
                f"The disk that holds {self._path.parent}, where archives wait for their upload, is full.",
                cure="Free space there.",
            ) from error
        with self._changed:
            self._size += memoryview(data).nbytes
            self._changed.notify_all()

    def truncate(self, size: int) -> None:
        """Take back what follows ``size``; what was sent of it already is taken back there too."""
        with self._changed:
            os.ftruncate(self._fd, size)
            os.lseek(self._fd, size, os.SEEK_SET)
            self._size = size
            if self._taken > size:
                self._cut_to = size if self._cut_to is None else min(size, self._cut_to)
            self._changed.notify_all()

    def seal(self, size: int) -> None:
        """Wait until the destination has everything and has flushed it."""
        if self._size != size:
            raise Corrupt(f"The spool file has {self._size} of {size} bytes.", cure="Check the disk of this machine.")
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        while self._thread.is_alive():
            self._thread.join(_WAIT)
            self._check()
        self._raise_error()

    def reader(self) -> BinaryIO:
        """Open what the destination holds."""
        return self._sealed().reader()

    def publish(self) -> str:
        """Give the file its final name at the destination, and drop the spool file."""
        path = self._sealed().publish()
        # It has its final name: an abort that follows must find nothing to remove.
        self._upload = None
        self._drop()
        return path

    def abort(self) -> None:
        """End the upload, remove its partial file and the spool file."""
        with suppress(OSError):
            self._path.unlink()
        with self._changed:
            self._leave = True
            self._changed.notify_all()
        self._thread.join(ABORT_WAIT)
        with self._changed:
            # A server that hangs must not hold up a stop: the thread tidies up when the server lets go of it.
            self._abandoned = not self._done
        if not self._abandoned:
            self._tidy()

    def _sealed(self) -> Upload:
        assert self._upload is not None and self._ended, "seal comes first"
        return self._upload

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _tidy(self) -> None:
        self._give_up_try()
        self._drop()

    def _drop(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        with suppress(OSError):
            self._path.unlink()

    # --- The side of the destination, in a thread of its own ---------------------------------------------------------
    def _carry(self) -> None:
        try:
            for number in range(1, TRIES + 1):
                if self._one_try(number):
                    return
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._done = True
                abandoned = self._abandoned
            if abandoned:
                self._tidy()

    def _one_try(self, number: int) -> bool:
        """Carry everything; return False when another try is worth it, raise when it is not."""
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._eager or self._ended or self._leave)
            if not self._leave:
                self._begin()
                self._send_all()
            return True
        except StoreError as error:
            self._give_up_try()
            if self._leave:
                return True
            if not error.retryable or number == TRIES:
                raise
            self._warn(f"Try {number} of {TRIES} ended: {error} The upload starts over from the spool.")
            with self._changed:
                self._changed.wait_for(lambda: self._leave, timeout=PAUSES[number - 1])
            return self._leave

    def _begin(self) -> None:
        """Begin an upload from the first byte of the spool."""
        self._begun += 1
        self._upload = self._open_upload(self._begun)
        with self._changed:
            self._sent = self._taken = 0
            self._cut_to = None

    def _give_up_try(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            with suppress(StoreError):
                upload.abort()

    def _send_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work)
                if self._leave:
                    return
                cut_to, self._cut_to = self._cut_to, None
                if cut_to is None:
                    self._taken = min(self._size, self._sent + CHUNK)
                count = self._taken - self._sent
            assert self._upload is not None
            if cut_to is not None:
                self._go_back(self._upload, cut_to)
            elif count > 0:
                self._upload.write(os.pread(self._fd, count, self._sent))
                self._sent += count
            else:
                self._upload.seal(self._sent)
                return

    def _has_work(self) -> bool:
        return self._leave or self._ended or self._cut_to is not None or self._size > self._sent

    def _go_back(self, upload: Upload, size: int) -> None:
        """Drop what was sent after ``size``; a destination that cannot do that gets the file anew."""
        try:
            upload.truncate(size)
        except StoreError:
            self._give_up_try()
            self._begin()
            return
        self._sent = self._taken = size
