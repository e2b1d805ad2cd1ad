"""The probe of Verify: a small file that goes the way of an archive, and is gone afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from storage.base import Store
from storage.errors import Corrupt, StoreError

# A directory of its own, so that a probe never stands among backup files; what a crash left goes with the next probe.
DIRECTORY = ".backup-console-verify"
LEFT_BEHIND = timedelta(days=1)
_BELOW = re.compile(rf"[/\\]{re.escape(DIRECTORY)}(?:[/\\]\.?probe-[0-9a-f]+(?:\.partial)?)?")


def probe(store: Store, name: str, now: Callable[[], datetime]) -> timedelta:
    """Write, read back, publish, look up and delete a file; return how far the destination's clock is ahead.

    Raises errors of ``storage.errors`` that name the destination's own directory. Nothing is left behind, also after
    a failure, as far as the destination still answers.
    """
    try:
        began = now()
        _round_trip(store, name)
        modified = store.stat(DIRECTORY, name).modified
        ahead = ahead_by(modified, began, now())
        _sweep(store, now())
        store.delete(DIRECTORY, name)
        return ahead
    except StoreError as error:
        with suppress(StoreError):
            store.delete(DIRECTORY, name)
        error.message = _BELOW.sub("", error.message)
        error.cure = _BELOW.sub("", error.cure)
        raise


def _round_trip(store: Store, name: str) -> None:
    content = f"Backup Console looks whether it can write here ({name}).\n".encode()
    upload = store.put(DIRECTORY, name, f".{name}.partial")
    try:
        upload.write(content)
        upload.seal(len(content))
        with upload.reader() as reader:
            found = reader.read()
        if found != content:
            raise Corrupt("What was read back is not what was written.", cure="Check the disk of the server.")
        upload.publish()
    except BaseException:
        upload.abort()
        raise
    with store.open(DIRECTORY, name) as reader:
        if reader.read() != content:
            raise Corrupt("The renamed file is not what was written.", cure="Check the disk of the server.")


def ahead_by(modified: datetime, began: datetime, ended: datetime) -> timedelta:
    """Return how far a destination's clock is ahead: ``modified`` is the time it gave a file written in between."""
    # Some servers keep whole seconds only.
    if modified < began - timedelta(seconds=1):
        return modified - began
    return max(modified - ended, timedelta(0))


def _sweep(store: Store, now: datetime) -> None:
    for entry in store.list(DIRECTORY):
        if not entry.is_directory and now - entry.modified > LEFT_BEHIND:
            store.delete(DIRECTORY, entry.name)
