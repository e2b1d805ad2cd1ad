"""The archives of a set on this machine: fetched, proven, and what they say of themselves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from storage.base import Store
from storage.errors import Corrupt, StoreError
from storage.registry import get_path_type
from tasks.engine import fetching
from tasks.engine.archive import Listing, Verified
from tasks.engine.fetching import ANOTHER, Count, Recorded
from tasks.engine.restore.matching import ServiceOfSet
from tasks.engine.snapshot import scratch_directory, spool_path
from tasks.iotdb.base import Summary
from tasks.models import Restoration
from tasks.sourcewords import error_of_source

Check = Callable[[], None]


@dataclass
class Archive:
    """One archive of the set, where it can be read; ``listing`` holds its members once it is verified."""

    fetched: fetching.Archive
    listing: Listing
    _proven: Verified | None = None

    @property
    def service(self) -> str:
        """The service that it is of."""
        return self.fetched.recorded.service

    @property
    def name(self) -> str:
        """The name of its file."""
        return self.fetched.recorded.name

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.fetched.size

    @property
    def proven(self) -> Verified:
        """What was found when it was verified."""
        assert self._proven is not None, "not verified yet"
        return self._proven

    def verify(self, check: Check, count: Count) -> None:
        """Prove every byte and every member. Raises Corrupt."""
        self._proven = self.fetched.verify(self.listing, check, count)

    @property
    def of_set(self) -> ServiceOfSet:
        """What the archive says of its service and its nodes. Raises Corrupt where that is not known."""
        try:
            return ServiceOfSet.of(self.proven.facts["source"])
        except (KeyError, TypeError) as error:
            raise Corrupt(f"{self.name} does not say which nodes it is of.", cure=ANOTHER) from error

    def listed(self) -> Iterator[Mapping[str, Any]]:
        """Yield what the manifest says of each member."""
        return (json.loads(line) for line in self.listing.lines())

    @property
    def summary(self) -> Summary | None:
        """The inventory that was taken with the set; None where nobody could be asked then."""
        stored = self.proven.facts.get("inventory")
        return Summary.of(stored) if isinstance(stored, dict) else None


def fetched(restoration: Restoration, run_id: int, check: Check, count: Count, stack: ExitStack) -> list[Archive]:
    """Return the archives of a restoration, read where they lie on this machine, else copied to the spool.

    ``count`` is told of bytes that were copied; copies are removed at the end of ``stack``. Raises Corrupt, NoSpace,
    and errors of the destination.
    """

    def fetch(store: Store, recorded: Recorded) -> Archive:
        copy = spool_path(run_id, recorded.name)
        if not store.in_place:
            stack.callback(copy.unlink, missing_ok=True)
        found = fetching.fetch(store, recorded, copy, check, count)
        return Archive(found, stack.enter_context(Listing(scratch_directory())))

    path_type = get_path_type(restoration.path_type)
    try:
        with path_type.connect_to_read(restoration.destination, restoration.secrets()) as store:
            files = [fetching.known(store, Recorded.listed(file)) for file in restoration.files]
            if not store.in_place:
                fetching.look_for_room(sum(file.size or 0 for file in files), "The set needs")
            return [fetch(store, file) for file in files]
    except StoreError as error:
        raise error_of_source(error, restoration.path_type) from error
