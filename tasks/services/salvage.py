"""The verb Salvage: the inventory of a set as SQL, to make again by hand what is missing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from itertools import chain

from django.utils.text import get_valid_filename
from django.utils.timezone import get_default_timezone

from storage.errors import ConsoleError
from tasks import audit, permissions
from tasks.audit import Actor
from tasks.engine.firstmember import Taken, take_inventory_out
from tasks.engine.place import open_set
from tasks.errors import Refused
from tasks.iotdb.document import INVENTORY_NAME, MAX_LINE
from tasks.iotdb.salvage import statements
from tasks.models import BackupFile, Run
from tasks.moments import stamp
from tasks.naming import stamp as digits
from tasks.services.common import require
from tasks.states import Kind
from tasks.units import format_duration, format_size

VERB = "salvage set"
LIMIT = 2 << 30  # bytes of an inventory; ten million series have about half of it
SECONDS = 120  # to read it out of the archive
_BLOCK = 1 << 16  # characters that are sent at once
# A salvage holds one of the web server's few threads; the pages need the others.
_slots = threading.BoundedSemaphore(2)


class Salvage:
    """A download: ``name`` of its file, and its text piece by piece. ``close`` ends it early, and may come twice."""

    def __init__(self, name: str, text: Generator[str]) -> None:
        self.name = name
        # The first piece is made now: until then a fault can still be told on a page.
        self._first = [next(text)]
        self._text = text

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return self._first.pop() if self._first else next(self._text)

    def close(self) -> None:
        """Forget what was not taken yet."""
        self._text.close()


def salvage_set(actor: Actor, run: Run, service: str) -> Salvage:
    """Read the inventory of one ``service`` out of the set of ``run`` and return it as SQL.

    All of the set that is needed was read, and found as recorded, when this returns; the SQL is made while it is taken,
    in bounded memory. Raises ``Refused`` where there is no such set, or others are being salvaged, ``NoInventory``,
    errors of the destination, ``Corrupt`` and ``KeyLost``.
    """
    require(actor, permissions.RESTORE, VERB, run.thing)
    file = _file_of(run, service)
    if not _slots.acquire(blocking=False):
        raise Refused("Other sets are being salvaged at the moment.", cure="Try again in a minute.")
    try:
        with open_set(run) as store:
            taken = take_inventory_out(store, file, INVENTORY_NAME, limit=LIMIT, check=_deadline())
    except BaseException:
        _slots.release()
        raise
    name = get_valid_filename(f"{run.thing.name}-{service}-{digits(run.began, get_default_timezone())}.sql")
    salvage = Salvage(name, _text(run, file, taken))
    audit.record(actor, VERB, run.thing, note=f"run {run.pk}, {service}, inventory of {format_size(taken.size)}")
    return salvage


def _file_of(run: Run, service: str) -> BackupFile:
    if run.kind != Kind.BACKUP or not run.good:
        raise Refused(f"Run {run.pk} gave no set.")
    if run.set_removed_at is not None:
        raise Refused(f"The set of {stamp(run.began)} was removed at {stamp(run.set_removed_at)}.")
    file = run.files.filter(service=service).first()
    if file is None:
        raise Refused(f"The set of run {run.pk} holds no service {service}.", cure="Choose one of its services.")
    return file


def _deadline() -> Callable[[], None]:
    """Return what raises once reading has taken too long."""
    end = time.monotonic() + SECONDS

    def check() -> None:
        if time.monotonic() > end:
            limit = format_duration(SECONDS)
            raise Refused(
                f"The destination gave the inventory too slowly: it took longer than {limit}.", cure="Try again later."
            )

    return check


def _text(run: Run, file: BackupFile, taken: Taken) -> Generator[str]:
    """Yield the SQL in pieces; a fault that shows only now ends it with a line that says so."""
    try:
        yield from _pieces(chain(_head(run, file, taken), _lines(taken)))
    finally:
        taken.file.close()
        _slots.release()


def _head(run: Run, file: BackupFile, taken: Taken) -> Iterator[str]:
    yield f"-- Salvaged from {file.name}, run {run.pk} of {run.thing.name}\n"
    yield f"-- Cluster {run.cluster.name}, service {file.service}, taken {stamp(run.began)}\n"
    if not taken.compared:
        yield "-- The manifest beside the archive is missing or damaged: nothing vouches for what follows\n"


def _lines(taken: Taken) -> Iterator[str]:
    try:
        # A line that is too long to be one comes in pieces, and is refused as such.
        yield from statements(iter(lambda: taken.file.readline(MAX_LINE + 1), b""))
    except ConsoleError as error:
        yield f"-- BROKEN OFF: {error.message} What stands above is not all.\n"


def _pieces(lines: Iterator[str]) -> Iterator[str]:
    """Yield lines, which have their ends, in blocks of about ``_BLOCK`` characters."""
    block: list[str] = []
    size = 0
    for line in lines:
        block.append(line)
        size += len(line)
        if size >= _BLOCK:
            yield "".join(block)
            block, size = [], 0
    if block:
        yield "".join(block)
