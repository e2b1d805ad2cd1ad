"""The verb Find sets: look into a destination for what can be restored, with or without a record of it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar, cast

from django.utils import timezone

from storage.base import Store
from storage.checks import Check
from storage.errors import ConsoleError, PathMissing, StoreFault, Unreachable
from storage.registry import get_path_type
from storage.threads import helper
from storage.verification import verify
from tasks import audit, permissions
from tasks.audit import Actor
from tasks.errors import Refused
from tasks.findsets import FoundSet, Index, Named, SourcePath, describe, index_of
from tasks.models import Cluster, Restoration
from tasks.services.common import require
from tasks.services.restorations import RestorationDraft, create_restoration
from tasks.services.sight import Sight, sight_of
from tasks.services.verify import slots
from tasks.sourcewords import check_of_source, error_of_source

log = logging.getLogger(__name__)
VERB = "find sets"
PAGE_SIZE = 25
SECONDS = 25.0
"""What a search may take; the page waits for it."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Search:
    """A destination to look into for a restoration task that is to be called ``name``."""

    name: str
    cluster: Cluster
    path_type: str
    parameters: Mapping[str, Any]
    source: SourcePath
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def place(self) -> str:
        """Where it is, in a few words."""
        return f"{self.path_type} {get_path_type(self.path_type).summary(self.parameters)}".strip()

    @property
    def restoration(self) -> Restoration:
        """The restoration task that it is for, which is not saved yet."""
        return Restoration(name=self.name, cluster=self.cluster)


@dataclass(frozen=True)
class FoundPage:
    """One page of the sets of a destination, newest first; ``others`` directories there have names of no set."""

    sets: list[FoundSet]
    number: int
    pages: int
    total: int
    others: int


def verify_source(actor: Actor, search: Search) -> Iterator[Check]:
    """Try to reach a destination without writing to it; the lines come as the steps end."""
    require(actor, permissions.RESTORE, "verify source", search.restoration)
    return _verified(search)


def _verified(search: Search) -> Iterator[Check]:
    try:
        with _slot():
            path_type = get_path_type(search.path_type)
            values = search.parameters, search.secrets
            for check in verify(path_type, *values, estimate=lambda: None, now=timezone.now, reading=True):
                yield check_of_source(check, search.path_type)
    except Refused as refusal:
        yield Check("failed", "Verify", refusal.message, refusal.cure)


def begin_search(actor: Actor, search: Search) -> None:
    """Put on record that somebody looks into a destination for sets."""
    require(actor, permissions.RESTORE, VERB, search.restoration)
    audit.record(actor, VERB, search.restoration, after={"destination": dict(search.parameters)}, note=search.place)


def find_sets(actor: Actor, search: Search, page: int = 1) -> FoundPage:
    """Return a page of what lies there. Raises an error of ``storage.errors``, ``Unreachable`` after ``SECONDS``."""
    require(actor, permissions.RESTORE, VERB, search.restoration)
    zone = timezone.get_default_timezone()

    sight = sight_of(actor)

    def look(store: Store, check: Callable[[], None]) -> FoundPage:
        index = _index(search, store, check, sight)
        pages = max(1, -(-len(index.sets) // PAGE_SIZE))
        number = max(1, min(page, pages))
        shown = index.sets[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
        found = sight.shown(describe(store, shown, zone, check))
        return FoundPage(found, number, pages, len(index.sets), index.others)

    return _within(search, look)


def restore_found(actor: Actor, search: Search, key: str, name: str, now: datetime) -> Restoration:
    """Create the restoration task of one set that lies there, or of the archive that the search names.

    The set is looked at again, so what was shown may be as old as it likes. Raises ``Refused`` naming the field, and
    errors of ``storage.errors``.
    """
    require(actor, permissions.RESTORE, "create restoration", search.restoration)
    zone, sight = timezone.get_default_timezone(), sight_of(actor)

    def look(store: Store, check: Callable[[], None]) -> FoundSet | None:
        only = key.partition("/")[0] or search.source.directory
        index = sight.within(index_of(store, check, only))
        named = [one for one in index.sets if _is_meant(one, key, search.source)]
        return next(iter(sight.shown(describe(store, named[:1], zone, check))), None)

    found = _within(search, look)
    if found is None:
        missing = f"There is no backup file {search.source.archive} there." if not key else "The set is gone."
        raise Refused(missing, cure="Find the sets again.", field="set")
    files = [file for file in found.files if search.source.archive in ("", file.name)]
    problem = next((file.problem for file in files if file.problem), found.problem if len(files) > 1 else "")
    if problem:
        raise Refused(f"This set cannot be restored. {problem}", field="set")
    draft = RestorationDraft(
        name=name,
        cluster=search.cluster,
        path_type=search.path_type,
        destination=dict(search.parameters),
        secrets=dict(search.secrets),
        files=[
            {
                "service": file.service,
                "directory": found.directory,
                "name": file.name,
                "size": file.size,
                "sha256": file.sha256,
            }
            for file in files
        ],
        taken_at=found.taken_at,
        version=found.version,
        source_task=found.task,
    )
    return create_restoration(actor, draft, now)


def _is_meant(named: Named, key: str, source: SourcePath) -> bool:
    if source.archive and not key:
        return any(entry.name == source.archive for entry in (*named.archives, *named.manifests))
    return named.key == key


def _index(search: Search, store: Store, check: Callable[[], None], sight: Sight) -> Index:
    """Return what the names tell; a directory that was asked for by name has to be there, and in sight."""
    directory = search.source.directory
    index = sight.within(index_of(store, check, directory))
    hidden = directory in sight.directories
    if directory and not index.sets and (hidden or directory not in store.directories()):
        raise PathMissing(f"{directory} is not there.", cure="Check Source Path.", field="source_path")
    return index


@contextmanager
def _slot() -> Iterator[None]:
    if not slots.acquire(blocking=False):
        raise Refused("Other destinations are being looked into at the moment.", cure="Try again in 15 s.")
    try:
        yield
    finally:
        slots.release()


def _within(search: Search, work: Callable[[Store, Callable[[], None]], Result]) -> Result:
    """Connect and do ``work`` in a thread, for no client library can be trusted with a time limit."""
    path_type = get_path_type(search.path_type)
    parameters = path_type.prepare(search.parameters)
    left = threading.Event()
    answers: queue.SimpleQueue[tuple[Result | None, ConsoleError | None]] = queue.SimpleQueue()

    def check() -> None:
        if left.is_set():
            raise Unreachable("Nobody waits for this search any more.")

    def run() -> None:
        try:
            with path_type.connect(parameters, search.secrets) as store:
                answers.put((work(store, check), None))
        except ConsoleError as error:
            answers.put((None, error))
        except Exception as error:
            # What nobody translated is logged by its kind, for its text may hold anything.
            log.error("find sets, %s: unforeseen %s", search.path_type, type(error).__name__)
            text = f"This failed for a reason that the console did not foresee ({type(error).__name__})."
            answers.put((None, StoreFault(text, cure="Look into the server's log.")))

    with _slot():
        helper(run, f"find sets {search.path_type}").start()
        try:
            result, error = answers.get(timeout=SECONDS)
        except queue.Empty:
            left.set()
            raise Unreachable(
                f"{search.place} was not looked through within {SECONDS:.0f} s.",
                cure="Give the directory of one task, or the path of an archive, as Source Path.",
            ) from None
    if error is not None:
        raise error_of_source(error, search.path_type)
    return cast(Result, result)
