"""A gzip stream that several threads compress: bounded memory, one member, and the same bytes whatever the threads.

The producer fills blocks of 1 MiB out of a fixed pool; compressing threads deflate each block on its own, primed with
the last 32 KiB of the block before it and ended by a sync flush (the layout of pigz, RFC 1951 and RFC 1952); one
writer thread joins them in order, hashes what goes out and hands it to the sink. Blocks are always full but the last,
so block boundaries, and with them every byte, depend on the data alone.

An exception in any thread is kept and comes out of the producer's next call; no queue is ever waited for without end.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from isal import isal_zlib
from zlib_ng import zlib_ng

from .blocks import GZIP_HEADER, LAST_BLOCK, Boundary, Mark, Output, Sink, Slot, gzip_trailer

BLOCK = 1 << 20  # bytes; measured best, smaller and larger blocks are slower
WINDOW = 1 << 15  # bytes; deflate looks back no further
PATIENCE = 0.2  # seconds a wait may last before the caller's check is asked again
FAREWELL = 3.0  # seconds that a thread stuck in the sink is given to end

LEVELS: dict[str, tuple[Any, int]] = {"fast": (isal_zlib, 1), "balanced": (zlib_ng, 2), "small": (zlib_ng, 6)}


def default_threads() -> int:
    """Return how many compressing threads suit this machine: one per usable core, at most four."""
    return max(1, min(len(os.sched_getaffinity(0)), 4))


class ParallelGzip:
    """Compress what is put into ``view`` at ``pos`` (or given to ``write``) into one gzip member.

    ``view`` and ``pos`` are the block in work; whoever fills it calls ``ship`` as soon as ``pos`` is ``BLOCK``.
    ``check`` is called by the producer's thread for every block and while it waits, and may raise.
    Use as a context manager: leaving it ends all threads; the sink stays with its owner.
    """

    def __init__(
        self, sink: Sink, *, level: str = "fast", threads: int | None = 2, check: Callable[[], None] | None = None
    ) -> None:
        if level not in LEVELS:
            raise ValueError(f"level is one of {', '.join(LEVELS)}, not {level!r}")
        self._codec, self._level = LEVELS[level]
        self._check = check or (lambda: None)
        self._output = Output(sink)
        self._failure: BaseException | None = None
        self._dictionary = b""
        self._boundary: Boundary | None = None
        self._free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        self._work: queue.SimpleQueue[Slot | None] = queue.SimpleQueue()
        self._order: queue.SimpleQueue[Slot | threading.Event | None] = queue.SimpleQueue()
        count = default_threads() if threads is None else max(1, threads)
        self._threads = [threading.Thread(target=self._compress, name="deflate", daemon=True) for _ in range(count)]
        self._threads.append(threading.Thread(target=self._write_out, name="archive-writer", daemon=True))
        for _ in range(2 * count + 1):
            self._free.put(bytearray(BLOCK))
        self._buffer = bytearray(BLOCK)
        self.view = memoryview(self._buffer)
        self.pos = 0
        self._running = False

    @property
    def archive_bytes(self) -> int:
        """Bytes handed to the sink so far."""
        return self._output.offset

    @property
    def failure(self) -> BaseException | None:
        """What broke the stream (an error of the sink, of a thread, of the check), or None while it is whole."""
        return self._failure

    def __enter__(self) -> ParallelGzip:
        self._output.write(GZIP_HEADER)
        self._running = True
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._failure is None:
            self._failure = error or RuntimeError("the gzip stream is closed")
        self._end_threads()

    def fail(self, error: BaseException) -> None:
        """Break the stream: every later call raises the first such error, and nothing more reaches the sink."""
        self._failure = self._failure or error

    def check(self) -> None:
        """Raise what broke the stream, or what the caller's check raises (which breaks it, too)."""
        if self._failure is not None:
            raise self._failure
        try:
            self._check()
        except BaseException as error:
            self.fail(error)
            raise

    def ship(self) -> None:
        """Hand the block in work to the compressing threads and take a free one; waits while none is free."""
        self.check()
        try:
            self._ship()
        except BaseException as error:
            self.fail(error)
            raise

    def write(self, data: bytes | memoryview) -> None:
        """Append ``data``."""
        done, size = 0, len(data)
        while done < size:
            step = min(BLOCK - self.pos, size - done)
            self.view[self.pos : self.pos + step] = data[done : done + step]
            self.pos += step
            done += step
            if self.pos == BLOCK:
                self.ship()

    def mark(self) -> Mark:
        """Return the present place. Costs next to nothing: what a return needs is kept when the block is shipped."""
        if self._boundary is None:
            self._boundary = Boundary(self._dictionary)
        self._boundary.keep = self.pos
        return Mark(self._boundary, self.pos)

    def rewind(self, mark: Mark) -> None:
        """Return to ``mark``: what follows gives the same bytes as if nothing had been written since."""
        if self._failure is not None:
            raise self._failure
        boundary = mark.boundary
        if boundary is not self._boundary:
            self._drain()
            try:
                boundary.restore(self._output)
            except BaseException as error:
                self.fail(error)
                raise
            self.view[: mark.position] = boundary.prefix[: mark.position]
            self._dictionary = boundary.dictionary
            self._boundary = boundary
        boundary.keep = self.pos = mark.position

    def finish(self) -> tuple[int, str]:
        """End the stream; return the size of the archive in bytes and its SHA-256. All threads have ended."""
        if self.pos:
            self.ship()
        self._drain()
        self._end_threads()
        output = self._output
        try:
            output.write(LAST_BLOCK + gzip_trailer(output.crc, output.size))
        except BaseException as error:
            self.fail(error)
            raise
        return output.offset, output.sha.hexdigest()

    def _ship(self) -> None:
        boundary, self._boundary = self._boundary, None
        if boundary is not None:
            boundary.prefix = bytes(self.view[: boundary.keep])
        slot = Slot(self._buffer, self.pos, self._dictionary, boundary)
        self._dictionary = bytes(self.view[max(0, self.pos - WINDOW) : self.pos])
        self._order.put(slot)
        self._work.put(slot)
        self._buffer = self._take_free()
        self.view = memoryview(self._buffer)
        self.pos = 0

    def _take_free(self) -> bytearray:
        while True:
            try:
                return self._free.get(timeout=PATIENCE)
            except queue.Empty:
                self.check()

    def _drain(self) -> None:
        """Wait until everything shipped has reached the sink; the writer then rests until the next block."""
        reached = threading.Event()
        self._order.put(reached)
        while not reached.wait(PATIENCE):
            self.check()
        if self._failure is not None:
            raise self._failure

    def _end_threads(self) -> None:
        if not self._running:
            return
        self._running = False
        for _ in self._threads[:-1]:
            self._work.put(None)
        self._order.put(None)
        deadline = time.monotonic() + FAREWELL
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _compress(self) -> None:
        while (slot := self._work.get()) is not None:
            if self._failure is None:
                slot.deflate(self._codec, self._level)
            else:
                slot.ready.set()

    def _write_out(self) -> None:
        while (item := self._order.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
                continue
            item.ready.wait()
            self._free.put(item.buffer)
            try:
                self._write_slot(item)
            except BaseException as error:
                self.fail(error)

    def _write_slot(self, slot: Slot) -> None:
        if slot.error is not None:
            raise slot.error
        output = self._output
        if self._failure is None and slot.boundary is not None:
            slot.boundary.capture(output)
        for part in slot.parts:
            if self._failure is None:
                output.write(part)
        output.crc = isal_zlib.crc32_combine(output.crc, slot.crc, slot.size)
        output.size += slot.size
