"""Read a gzip member as a stream of bytes, inflated and hashed by a thread of its own, in bounded memory.

The thread hands over chunks through a short queue and, as its last word, always either the end or its exception: a
consumer never waits for a thread that is gone.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from types import TracebackType
from typing import BinaryIO, cast

from isal import igzip_lib, isal_zlib

from .blocks import GZIP_HEADER, Damage, gzip_trailer
from .gzip import FAREWELL, PATIENCE

_DAMAGED = cast("type[Exception]", igzip_lib.IsalError)  # its stub declares an instance
_READ = 1 << 18  # bytes read at once
_CHUNK = 1 << 19  # bytes inflated at once, at most
_AHEAD = 4  # chunks that may wait for the consumer
_TRAILER = 8  # bytes


class Inflater:
    """The inflated bytes of one gzip member that fills the whole of ``reader``.

    ``size`` and ``sha256`` are those of the compressed bytes, complete once ``expect_end`` has returned. Damage
    says what is wrong with the stream; errors of the reader and of ``check`` come out as they are.
    """

    def __init__(self, reader: BinaryIO, check: Callable[[], None]) -> None:
        self._reader = reader
        self._check = check
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(_AHEAD)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inflate", daemon=True)
        self._sha = sha256(usedforsecurity=False)
        self._current = memoryview(b"")
        self._ended = False
        self._trailer = b""
        self._crc = self._inflated = 0
        self.size = 0

    @property
    def sha256(self) -> str:
        """SHA-256 of the compressed bytes read so far."""
        return self._sha.hexdigest()

    def __enter__(self) -> Inflater:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(FAREWELL)

    def exactly(self, size: int) -> bytes:
        """Return the next ``size`` bytes."""
        if size <= len(self._current):
            data = bytes(self._current[:size])
            self._current = self._current[size:]
            return data
        return b"".join(self.chunks(size))

    def chunks(self, size: int) -> Iterator[memoryview]:
        """Yield the next ``size`` bytes piece by piece; Damage where the stream has fewer."""
        while size:
            if not self._current and not self._next():
                raise Damage("it ends too early")
            piece = self._current[:size]
            self._current = self._current[len(piece) :]
            size -= len(piece)
            yield piece

    def expect_end(self) -> None:
        """Take the end of the stream and check it: nothing may follow, CRC and length have to be right."""
        if self._current or self._next():
            raise Damage("it goes on after its end")
        if self._trailer != gzip_trailer(self._crc, self._inflated):
            raise Damage("the checksum at its end is not that of its content")

    def _next(self) -> bool:
        """Take the next chunk into ``_current``; False at the end."""
        if self._ended:
            return False
        while True:
            self._check()
            try:
                item = self._queue.get(timeout=PATIENCE)
                break
            except queue.Empty:
                continue
        if isinstance(item, BaseException):
            raise item
        if item is None:
            self._ended = True
            return False
        self._crc = isal_zlib.crc32(item, self._crc)
        self._inflated += len(item)
        self._current = memoryview(item)
        return True

    def _run(self) -> None:
        try:
            self._inflate()
            self._hand_over(None)
        except BaseException as error:
            self._hand_over(error)

    def _hand_over(self, item: bytes | BaseException | None) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=PATIENCE)
                return
            except queue.Full:
                continue

    def _read(self) -> bytes:
        data = self._reader.read(_READ)
        self._sha.update(data)
        self.size += len(data)
        return data

    def _inflate(self) -> None:
        head = b""
        while len(head) < len(GZIP_HEADER) and (data := self._read()):
            head += data
        if not head.startswith(GZIP_HEADER):
            raise Damage("it does not begin like an archive of this console" if head else "it is empty")
        stream = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_DEFLATE)
        data = head[len(GZIP_HEADER) :]
        while not stream.eof:
            if self._stop.is_set():
                return
            if not data and stream.needs_input:
                data = self._read()
                if not data:
                    raise Damage("it ends too early")
            try:
                chunk = stream.decompress(data, _CHUNK)
            except _DAMAGED as error:
                raise Damage("it cannot be decompressed") from error
            if chunk:
                self._hand_over(chunk)
            elif not data and not stream.eof:
                raise Damage("it cannot be decompressed")
            data = b""
        self._finish(stream.unused_data)

    def _finish(self, rest: bytes) -> None:
        while len(rest) <= _TRAILER and (data := self._read()):
            rest += data
        if len(rest) < _TRAILER:
            raise Damage("it ends too early")
        if len(rest) > _TRAILER:
            raise Damage("it goes on after its end")
        self._trailer = rest
