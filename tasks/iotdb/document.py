"""``inventory.json``: the inventory of a service, in the archive and as the matter of Salvage.

It is JSON, and at the same time lines, as the manifest is: a head with facts and the summary, then one object a line,
then an end. So it is written and read in bounded memory whatever the number of series.

    {"format":"backup-console-inventory","version":1,"facts":{...},"summary":{...},"objects":[
    {"type":"table_database","name":"metering","ttl":"31536000000000","time_partition_interval":604800000},
    {"type":"series","path":"root.plant1.d1.s1","datatype":"FLOAT","encoding":"GORILLA","compression":"LZ4"}
    ]}

Types: database, template, template_set, template_used, ttl, device, series, not_listed; user, role, privilege,
role_of_user; function, trigger, continuous_query, pipe, pipe_plugin; table_database, table, column. A fact that is
empty is left out; names of facts follow the columns of the statement that showed them. Paths and template nodes are
written as the server writes them (backquotes included), other names are plain. Lifetimes are in the precision of the
server's times, as it shows them.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from storage.units import format_size
from tasks.errors import SourceError
from tasks.iotdb.base import Summary

INVENTORY_NAME = "inventory.json"
FORMAT = "backup-console-inventory"
VERSION = 1
MAX_LINE = 16 << 20  # bytes; the head holds names, every other line is far shorter
_END = b"]}"
_CHUNK = 1 << 18


class BadInventory(SourceError):
    """A file that is no inventory, or not a whole one."""

    code = "bad-inventory"


class Head(NamedTuple):
    """The first line of an inventory."""

    facts: dict[str, Any]
    summary: Summary


class Writer:
    """Writes an inventory whose summary is known at the end only: its lines wait in a file without a name."""

    def __init__(self, scratch: Path) -> None:
        self._lines = tempfile.TemporaryFile(dir=scratch, buffering=_CHUNK)  # noqa: SIM115 - close() ends it

    def add(self, line: bytes) -> None:
        """Add one object, a line of JSON without its end."""
        self._lines.write(line + b",\n")

    def finish(self, path: Path, facts: Mapping[str, Any], summary: Summary) -> None:
        """Write it all to ``path``, a new file that only this account may read; raises OSError."""
        head = {"format": FORMAT, "version": VERSION, "facts": dict(facts), "summary": summary.as_json()}
        size = max(self._lines.tell() - 2, 0)  # without the last comma
        self._lines.seek(0)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(json.dumps(head, separators=(",", ":")).encode("ascii")[:-1] + b',"objects":[\n')
            while chunk := self._lines.read(min(_CHUNK, size)):
                size -= file.write(chunk)
            file.write(b"\n" + _END + b"\n")

    def close(self) -> None:
        """Forget the lines; once is enough, twice does no harm."""
        self._lines.close()


def read(lines: Iterable[bytes]) -> tuple[Head, Iterator[dict[str, Any]]]:
    """Return the head of an inventory and its objects one by one; lines may still have their ends.

    Raises BadInventory, also while the objects are read where the end is missing.
    """
    rest = iter(lines)
    try:
        first = json.loads(next(rest, b"").rstrip() + b"]}")
        if (first["format"], first["version"], first["objects"]) != (FORMAT, VERSION, []):
            raise BadInventory("The inventory has a format that this version of the console does not know.")
        head = Head(first["facts"], Summary.of(first["summary"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInventory("The head of the inventory is not complete.") from error
    return head, _objects(rest)


def _objects(lines: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        text = line.strip()
        if text == _END:
            return
        if len(line) > MAX_LINE:
            raise BadInventory(f"A line of the inventory is longer than {format_size(MAX_LINE)}.")
        if text:
            try:
                yield dict(json.loads(text.removesuffix(b",")))
            except (ValueError, TypeError) as error:
                raise BadInventory("A line of the inventory is not readable.") from error
    raise BadInventory("The inventory ends early.")
