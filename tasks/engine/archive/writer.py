"""Write an archive in one pass: files are read once, straight into the block that will be compressed.

Hashes of members and archive are taken on the way, the manifest grows in a temporary file, memory stays the same
whatever the size. A part that turns out wrong is taken back with ``rollback``, as if it had never been added.
"""

from __future__ import annotations

import os
import stat as stat_modes
import time
from collections.abc import Callable, Iterable
from functools import partial
from hashlib import sha256
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any
from weakref import WeakSet

from . import manifest, tar
from .blocks import Sink, Writable
from .gzip import BLOCK, ParallelGzip
from .manifest import MANIFEST_NAME, Member, Totals
from .reading import member_name, read_at, read_next
from .results import ArchiveResult, Checkpoint
from .tar import Attributes, attributes_of

Fill = Callable[[memoryview, int], None]
"""Fills a part of a block with the bytes of a member from an offset on."""

_CHECK_EVERY = 256  # members; many small ones share a block, and a slow source must not delay a stop


class ArchiveWriter:
    """One ``.tar.gz`` into a sink. Use as a context manager; ``finish`` and ``write_manifest`` belong inside it.

    ``level`` is ``fast``, ``balanced`` or ``small``; ``threads`` compress (None: as many as suit the machine) and do
    not change the bytes. ``check`` is called at least once a block, in the caller's thread, and may raise: that comes
    out of the call in progress. ``scratch`` is the directory for the temporary file of the manifest.

    ``source_bytes``, ``archive_bytes``, ``members`` (all kinds) and ``files`` may be read by another thread.

    Errors: OSError of a file that is read carries the member's name as ``filename`` and leaves the archive as it was
    before that member, as FileShrank does. Any error of sink, threads, check or temporary file breaks the archive:
    every later call raises, ``broken`` is true, and what the sink holds has to be thrown away. Names are relative,
    without ``.`` and ``..``; bytes that are not UTF-8 are given as surrogates (``os.fsdecode``); ValueError otherwise.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        level: str = "fast",
        threads: int | None = 2,
        check: Callable[[], None] | None = None,
        scratch: str | os.PathLike[str] | None = None,
    ) -> None:
        self._gz = ParallelGzip(sink, level=level, threads=threads, check=check)
        self._lines = manifest.Lines(scratch)
        self._checkpoints: WeakSet[Checkpoint] = WeakSet()
        self._serial = 0
        self._result: ArchiveResult | None = None
        self.source_bytes = 0
        self.members = 0
        self.files = 0

    @property
    def archive_bytes(self) -> int:
        """Bytes of the archive handed to the sink so far."""
        return self._gz.archive_bytes

    @property
    def broken(self) -> bool:
        """Whether the archive cannot be finished any more."""
        return self._result is None and self._gz.failure is not None

    @property
    def totals(self) -> Totals:
        """What the archive holds at the moment, its manifest not counted."""
        return Totals(self.members, self.files, self.source_bytes)

    def __enter__(self) -> ArchiveWriter:
        try:
            self._gz.__enter__()
        except BaseException:
            self._lines.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._gz.__exit__(kind, error, trace)
        finally:
            self._lines.close()

    def add_directory(self, name: str, stat: os.stat_result | Attributes) -> None:
        """Add a directory itself, not what is in it."""
        name = name.rstrip("/")
        about = attributes_of(stat)
        self._gz.write(tar.member_header(member_name(name) + b"/", 0, about, tar.DIRECTORY))
        self._count(manifest.directory_line(name + "/", about.mode, about.mtime))

    def add_symlink(self, name: str, target: str, stat: os.stat_result | Attributes) -> None:
        """Add a symbolic link as a link; where it points to is neither followed nor judged."""
        about = attributes_of(stat)
        self._gz.write(tar.member_header(member_name(name), 0, about, tar.SYMLINK, tar.encode_name(target)))
        self._count(manifest.symlink_line(name, target, about.mode, about.mtime))

    def add_file(self, name: str, fd: int, stat: os.stat_result | None = None) -> Member:
        """Add the regular file open as ``fd``, from its beginning, with exactly the size in ``stat`` (default: now).

        What was appended since is left out. FileShrank where the file ends earlier, OSError where reading fails.
        """
        if stat is None:
            stat = os.fstat(fd)
        if not stat_modes.S_ISREG(stat.st_mode):
            raise ValueError(f"{name} is not a regular file")
        return self._add(name, stat.st_size, attributes_of(stat), partial(read_at, name, fd))

    def add_stream(self, name: str, read: Callable[[int], bytes], size: int, about: Attributes) -> Member:
        """Add a file of exactly ``size`` bytes, which ``read`` gives in parts of at most the number it is asked for.

        FileShrank where the stream ends earlier; what ``read`` raises comes out and leaves the archive as it was.
        """
        return self._add(name, size, about, partial(read_next, name, read))

    def _add(self, name: str, size: int, about: Attributes, fill: Fill) -> Member:
        header = tar.member_header(member_name(name), size, about)
        if self._gz.pos + len(header) + size + tar.padding(size) < BLOCK:
            digest = self._small(fill, size, header)
        else:
            digest = self._large(fill, size, header)
        return self._record(name, size, about, digest)

    def add_bytes(self, name: str, data: bytes, mtime: int) -> Member:
        """Add ``data`` as a file of mode 0600 that belongs to the user of this process."""
        about = tar.own_attributes(mtime)
        self._put(tar.member_header(member_name(name), len(data), about), (data,), len(data))
        self.source_bytes += len(data)
        return self._record(name, len(data), about, sha256(data, usedforsecurity=False).hexdigest())

    def check(self) -> None:
        """Raise what ``check`` or a thread would raise; for a caller that works long without adding a block."""
        self._gz.check()

    def checkpoint(self) -> Checkpoint:
        """Remember the present state; cheap, and good until the writer rolls back to an earlier one."""
        self._serial += 1
        checkpoint = Checkpoint(self._gz.mark(), self._lines.size, self.totals, self._serial)
        self._checkpoints.add(checkpoint)
        return checkpoint

    def rollback(self, checkpoint: Checkpoint) -> None:
        """Make the archive, hashes, manifest and counters exactly as they were at ``checkpoint``.

        The finished archive will have the bytes it would have had without what was added since. ValueError for a
        checkpoint of another archive, or one that an earlier rollback went behind.
        """
        if checkpoint not in self._checkpoints:
            raise ValueError("this checkpoint does not belong to the present state of the archive")
        self._gz.rewind(checkpoint.mark)
        try:
            self._lines.rewind(checkpoint.lines)
        except BaseException as error:
            self._gz.fail(error)
            raise
        self.members, self.files, self.source_bytes = checkpoint.totals
        for later in [other for other in self._checkpoints if other.serial > checkpoint.serial]:
            self._checkpoints.discard(later)

    def finish(self, facts: dict[str, Any], *, mtime: int | None = None) -> ArchiveResult:
        """Write ``MANIFEST.json`` with ``facts`` as the last member and end tar and gzip.

        ``mtime`` is the manifest's time in seconds since the epoch (default: now). TypeError where JSON cannot hold
        a fact; nothing is written then.
        """
        head = manifest.head_line(facts, self.totals)
        size = len(head) + self._lines.size + len(manifest.END)
        about = tar.own_attributes(int(time.time()) if mtime is None else mtime)
        header = tar.member_header(MANIFEST_NAME.encode(), size, about)
        self._put(header, chain((head,), self._lines.chunks(), (manifest.END,)), size)
        self._gz.write(tar.END)
        archive_size, digest = self._gz.finish()
        self._result = ArchiveResult(archive_size, digest, self.members, self.source_bytes, self.files)
        return self._result

    def write_manifest(
        self, target: str | os.PathLike[str] | Writable, facts: dict[str, Any], archive_name: str
    ) -> None:
        """Write the manifest that lies beside the archive: to a new file (mode 0600), or to whatever takes bytes.

        FileExistsError where the file is there already; RuntimeError before ``finish``.
        """
        if self._result is None:
            raise RuntimeError("the archive is not finished")
        about = {"name": archive_name, "size": self._result.size, "sha256": self._result.sha256}
        if isinstance(target, str | os.PathLike):
            with open(Path(target), "xb", opener=_private) as file:
                self._write_manifest(file, manifest.head_line(facts, self.totals, about))
        else:
            self._write_manifest(target, manifest.head_line(facts, self.totals, about))

    def _write_manifest(self, target: Writable, head: bytes) -> None:
        target.write(head)
        for chunk in self._lines.chunks():
            target.write(chunk)
        target.write(manifest.END)

    def _put(self, header: bytes, chunks: Iterable[bytes], size: int) -> None:
        try:
            self._gz.write(header)
            for chunk in chunks:
                self._gz.write(chunk)
            self._gz.write(tar.ZEROS[: tar.padding(size)])
        except BaseException as error:
            self._gz.fail(error)
            raise

    def _record(self, name: str, size: int, about: Attributes, digest: str) -> Member:
        self.files += 1
        self._count(manifest.file_line(name, size, about.mode, about.mtime, digest))
        return Member(name, size, digest, about.mode, about.mtime)

    def _count(self, line: bytes) -> None:
        """Record a member that is in the archive now; a member without its line would make the archive worthless."""
        try:
            self._lines.add(line)
        except BaseException as error:
            self._gz.fail(error)
            raise
        self.members += 1
        if not self.members % _CHECK_EVERY:
            self._gz.check()

    def _small(self, fill: Fill, size: int, header: bytes) -> str:
        """Place a whole member in the block in work, or leave that block as it is."""
        gz = self._gz
        start = gz.pos + len(header)
        end = start + size
        if not size:
            gz.view[gz.pos : start] = header
            gz.pos = start
            return _EMPTY
        data = gz.view[start:end]
        fill(data, 0)
        gz.view[gz.pos : start] = header
        stop = end + tar.padding(size)
        gz.view[end:stop] = tar.ZEROS[: stop - end]
        gz.pos = stop
        self.source_bytes += size
        return sha256(data, usedforsecurity=False).hexdigest()

    def _large(self, fill: Fill, size: int, header: bytes) -> str:
        """Read a member that crosses blocks; where reading fails the archive is as it was before."""
        gz = self._gz
        before, source_bytes = gz.mark(), self.source_bytes
        try:
            gz.write(header)
            digest = self._stream(fill, size)
        except Exception:
            # What goes wrong with the archive itself is known to it by now; else it was the reading.
            if gz.failure is None:
                gz.rewind(before)
                self.source_bytes = source_bytes
            raise
        except BaseException as error:
            gz.fail(error)
            raise
        gz.write(tar.ZEROS[: tar.padding(size)])
        return digest

    def _stream(self, fill: Fill, size: int) -> str:
        gz = self._gz
        digest = sha256(usedforsecurity=False)
        done = 0
        while done < size:
            step = min(BLOCK - gz.pos, size - done)
            data = gz.view[gz.pos : gz.pos + step]
            fill(data, done)
            digest.update(data)
            gz.pos += step
            done += step
            self.source_bytes += step
            if gz.pos == BLOCK:
                gz.ship()
        return digest.hexdigest()


_EMPTY = sha256(usedforsecurity=False).hexdigest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
