"""The inventory of a stored archive, taken out of it without reading more of the archive than that.

It is the first member. So reading stops after it, and what the archive says of itself at its end is not seen: the
member is held against the manifest beside the archive instead, in which it stands on the first line.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from storage.base import Store
from storage.errors import PathMissing, StoreFault
from tasks.engine.archive import Damage
from tasks.engine.archive.inflate import Inflater
from tasks.engine.archive.manifest import CHUNK, member_lines, name_of, parse_head, split_lines
from tasks.engine.archive.members import Content, Reading
from tasks.engine.snapshot import scratch_directory
from tasks.errors import SourceError
from tasks.models import BackupFile
from tasks.naming import manifest_name
from tasks.units import format_size

MEMORY = 1 << 20  # bytes that stay in memory; more goes to a file without a name


class NoInventory(SourceError):
    """An archive holds no inventory that could be taken out of it."""

    code = "no-inventory"


class Taken(NamedTuple):
    """An inventory in a temporary file, at its beginning; ``compared`` tells whether there was something to compare."""

    file: tempfile.SpooledTemporaryFile[bytes]
    size: int
    compared: bool


def take_inventory_out(store: Store, file: BackupFile, name: str, *, limit: int, check: Callable[[], None]) -> Taken:
    """Copy the member ``name`` at the beginning of the archive ``file`` into a temporary file, which the caller closes.

    Raises ``NoInventory`` where the archive begins with something else or ``name`` has more than ``limit`` bytes,
    ``Corrupt`` where it is damaged, errors of the destination, and what ``check`` raises, which is asked all the time.
    """
    try:
        expected = _line_beside(store, file, name, check)
        with store.open(file.directory, file.name) as reader, Inflater(reader, check) as source:
            return _take(Reading(source), file, name, limit, expected)
    except PathMissing as error:
        raise NoInventory(f"{file.path} is not there any more.", cure="Choose another set.") from error
    except OSError as error:
        raise StoreFault(f"{file.path} cannot be read: {error.strerror or type(error).__name__}.") from error


def _take(reading: Reading, file: BackupFile, name: str, limit: int, expected: bytes | None) -> Taken:
    kept = tempfile.SpooledTemporaryFile(MEMORY, dir=scratch_directory())  # noqa: SIM115 - closed by the caller
    try:
        header = reading.next_header()
        if header is None or header.name != name:
            text = f"{file.name} was made without an inventory."
            raise NoInventory(text, cure="Give the service an account, so that the next set has one.")
        if header.size > limit:
            raise NoInventory(
                f"The inventory of {file.name} has {format_size(header.size)}, more than {format_size(limit)}.",
                cure=f"Take {name} out of the archive by hand; it is the first member.",
            )
        content = Content(reading, header)
        for chunk in content:
            kept.write(chunk)
        line = content.finish()
        if expected is not None and line != expected:
            raise Damage("it is not as the manifest beside the archive says")
        kept.seek(0)
        return Taken(kept, header.size, expected is not None)
    except Damage as error:
        kept.close()
        raise reading.corrupt(str(error)) from error
    except BaseException:
        kept.close()
        raise


def _line_beside(store: Store, file: BackupFile, name: str, check: Callable[[], None]) -> bytes | None:
    """Return the line of the member in the manifest beside the archive; None where that is gone or damaged."""
    try:
        with store.open(file.directory, manifest_name(file.name)) as reader:
            lines = split_lines(_chunks(reader, check))
            parse_head(next(lines, b""))
            line = next(member_lines(lines), b"")
            return line if line and name_of(line) == name else None
    except (PathMissing, Damage):
        return None


def _chunks(reader: BinaryIO, check: Callable[[], None]) -> Iterator[bytes]:
    while chunk := reader.read(CHUNK):
        check()
        yield chunk
