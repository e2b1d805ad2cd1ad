"""One run from claim to result.

The steps: look at the source; look for room; write, read back and prove each service's archive under a hidden name;
publish all; record the set; keep the copies. The set is published when every archive of it is proven, and counts from
the moment its record is written under the lease. Whatever ends a run before that leaves no file behind.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from contextlib import ExitStack, suppress

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from storage.base import Space, Store
from storage.errors import ConsoleError, NoSpace, StoreError
from storage.probe import ahead_by
from storage.registry import get_path_type
from tasks.engine import publishing, record, retention, spaces, sweep
from tasks.engine.asking import Asking
from tasks.engine.execution import Execution
from tasks.engine.keeper import Keeper
from tasks.engine.lease import Lease
from tasks.engine.oneservice import Sealed, Writing
from tasks.engine.record import Outcome
from tasks.engine.snapshot import Snapshot, scratch_directory, take
from tasks.engine.standby import Standby
from tasks.engine.watches import clocks
from tasks.errors import LeaseLost, RunEnded
from tasks.models import Run
from tasks.naming import manifest_name
from tasks.sources.base import ServiceSpec, Survey
from tasks.units import format_size

log = logging.getLogger(__name__)
# A later set is seldom much bigger than the one before; the first one is bounded by its source.
GROWTH = 1.5


class Backup(Execution):
    """The steps of one backup, with what they share."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(lease)
        self.step = "Looking at the source"
        self.writing: Writing | None = None

    def left_something(self) -> bool:
        """Tell whether anything was written."""
        return self.writing is not None

    def clean_up(self) -> None:
        """Remove partial files and files that were never proven."""
        sweep.sweep_run(self.lease.run_id)

    def carry_out(self) -> Outcome:
        """Go through the steps and return the outcome of a run that gave a set."""
        run = self.run
        self.claimed()
        with self.keeper() as keeper, ExitStack() as stack:
            snapshot = take(run)
            Run.objects.filter(pk=run.pk).update(parameters=snapshot.as_json())
            run.parameters = snapshot.as_json()
            asking = Asking(self.lease, snapshot, keeper.check, self.info, self.warn)
            surveys = self.survey(snapshot, keeper.check, asking)
            store = stack.enter_context(snapshot.connect())
            self.look_for_room(snapshot, store, sum(survey.bytes for _, survey in surveys))
            self.sweep(snapshot, store)
            snapshot = self.take_names(snapshot, surveys, store)
            self.writing = Writing(snapshot, store, keeper.check, self.log, stack, asking)
            sealed = self.write_all(surveys, stack)
            asking.conclude()
            keeper.check()
            self.step = "Publishing"
            publishing.publish(self.lease, snapshot, sealed, store, self.info)
            self.compare_clocks(snapshot, sealed[-1], store)
            self.keep_copies(snapshot, store, keeper)
            self.synchronize(snapshot, store, keeper)
            self.tell_space(snapshot, store)
            return self.outcome()

    def progress(self) -> dict[str, int | str]:
        """Return what the page shows while the run goes on; called from the keeper's thread."""
        figures: dict[str, int | str] = {"step": self.step}
        if self.writing is not None:
            figures.update(self.writing.progress())
        return figures

    def survey(self, snapshot: Snapshot, check: Callable[[], None], asking: Asking) -> list[tuple[ServiceSpec, Survey]]:
        """Look at every service before anything is written, so that a missing one costs nothing."""
        surveys = []
        for service in snapshot.services:
            survey = asking.begin(service, snapshot.source.survey(service, check))
            self.info(
                f"{snapshot.cluster} {service.name}: version {survey.version or 'unknown'}, "
                f"{survey.files:,} files, {format_size(survey.bytes)}."
            )
            for warning in survey.warnings:
                self.warn(warning)
            clocks.of_nodes(self.run.cluster_id, service.name, survey.clocks, timezone.now())
            surveys.append((service, survey))
        check()
        expected = sum(survey.bytes for _, survey in surveys)
        Run.objects.filter(pk=self.run.pk).update(bytes_expected=expected)
        return surveys

    def look_for_room(self, snapshot: Snapshot, store: Store, source_bytes: int) -> None:
        """Refuse to start what would not fit; raise ``NoSpace`` with the figures."""
        last = record.kept_sets(snapshot.task_id).values_list("size", flat=True).first()
        need = min(source_bytes, int(last * GROWTH)) if last else source_bytes
        space = store.free_space()
        self.record_space(snapshot, space)
        if not store.in_place:
            self._look_for_room_in_spool(need)
        if space is None:
            self.info("The destination does not tell how much room it has.")
            return
        where = f"{snapshot.path_type} {get_path_type(snapshot.path_type).summary(snapshot.destination)}"
        self.info(f"Free space on {where}: {format_size(space.free)}. Estimate for this run: {format_size(need)}.")
        floor = settings.FREE_SPACE_FLOOR
        if space.free - need < floor:
            raise NoSpace(
                f"{where} has {format_size(space.free)} free. This run needs about {format_size(need)}, and "
                f"{format_size(floor)} have to stay free.",
                cure="Free space there, keep fewer copies, or lower FREE_SPACE_FLOOR_MB.",
                field="copies",
            )

    def _look_for_room_in_spool(self, need: int) -> None:
        """The archive waits on this machine for its upload: it has to fit here as well."""
        sweep.sweep_spool()
        free = shutil.disk_usage(scratch_directory()).free
        if free - need < settings.FREE_SPACE_FLOOR:
            raise NoSpace(
                f"The disk of this machine that holds {settings.DATA_DIR} has {format_size(free)} free. Archives wait "
                f"there for their upload; this one may need {format_size(need)}, and "
                f"{format_size(settings.FREE_SPACE_FLOOR)} have to stay free.",
                cure="Free space there, or lower FREE_SPACE_FLOOR_MB.",
            )

    def sweep(self, snapshot: Snapshot, store: Store) -> None:
        """Remove what earlier runs left behind; what resists is no reason not to back up."""
        try:
            removed = sweep.sweep_task(snapshot.task_id, store, snapshot.directory)
        except StoreError as error:
            self.warn(f"What an earlier run left behind could not be removed. {error}")
            return
        if removed:
            self.info(f"Removed {removed} partial files that earlier runs had left behind.")

    def take_names(self, snapshot: Snapshot, surveys: list[tuple[ServiceSpec, Survey]], store: Store) -> Snapshot:
        """Return the snapshot with names that are free, and say so where they are not those of the clock."""
        named = publishing.with_free_names(snapshot, surveys, store)
        if named.started != snapshot.started:
            local = timezone.localtime(named.started, timezone.get_default_timezone())
            self.info(
                "A file with the time of this run in its name is there already. "
                f"The names of this run have the next free second, {local:%Y-%m-%d %H:%M:%S}."
            )
        return named

    def write_all(self, surveys: list[tuple[ServiceSpec, Survey]], stack: ExitStack) -> list[Sealed]:
        """Write and prove the archives of all services; none is published before all are whole."""
        assert self.writing is not None
        sealed = []
        for service, survey in surveys:
            self.step = f"Taking the inventory of {service.name}"
            self.writing.asking.inventory(service)
            self.step = f"Copying {service.name}"
            one = self.writing.write(service, survey, self._checking)
            stack.callback(one.abort)
            sealed.append(one)
            self.info(
                f"Archive complete: {one.result.members:,} members, {format_size(one.result.size)}, "
                f"SHA-256 {one.result.sha256}."
            )
            self.info(one.proof)
        return sealed

    def _checking(self) -> None:
        self.step = "Reading back"

    def compare_clocks(self, snapshot: Snapshot, last: Sealed, store: Store) -> None:
        """Look which time the destination gave to the file that was written last; it need not tell."""
        servers = get_path_type(snapshot.path_type).servers(snapshot.destination)
        if store.in_place or not servers or self.run.task is None:
            return
        with suppress(StoreError):
            modified = store.stat(snapshot.directory, manifest_name(last.name)).modified
            ahead = ahead_by(modified, *last.written)
            clocks.of_destination(self.run.task, servers[0], ahead, timezone.now())

    def keep_copies(self, snapshot: Snapshot, store: Store, keeper: Keeper) -> None:
        """Remove the sets that are too many; from here on nothing can make the run fail."""
        self.step = "Keeping copies"
        self.run.refresh_from_db()
        try:
            for warning in retention.apply(snapshot, self.run, store, keeper.check):
                self.warn(warning)
        except LeaseLost:
            raise
        except ConsoleError as error:
            self.warn(f"Retention: nothing was removed. {error}")

    def synchronize(self, snapshot: Snapshot, store: Store, keeper: Keeper) -> None:
        """Bring the copies on the standby node up to date; the set counts whatever becomes of them."""
        if not get_path_type(snapshot.path_type).has_standby:
            return
        self.step = "Copying to the standby node"
        try:
            for warning in Standby(snapshot.task_id, self.run.pk, store, keeper.check, self.log).synchronize():
                self.warn(warning)
        except LeaseLost:
            raise
        except RunEnded as error:
            self.warn(f"The copy on the standby node was broken off. {error} It is made up for at the next run.")

    def tell_space(self, snapshot: Snapshot, store: Store) -> None:
        """Put on record how much room is left now; a destination that does not answer that spoils no set."""
        try:
            self.record_space(snapshot, store.free_space())
        except StoreError as error:
            self.info(f"How much room is left was not told. {error}")

    def record_space(self, snapshot: Snapshot, space: Space | None) -> None:
        """Put the room at the destination on record; that the database is away is for the keeper to say."""
        place = spaces.Place.of(snapshot.path_type, snapshot.destination)
        try:
            spaces.record(place, space, timezone.now(), snapshot.task_id)
        except (DatabaseError, InterfaceError) as error:
            log.warning("run %s: the room of %s is not on record, %s", self.run.pk, place.label, type(error).__name__)
            connection.close()
