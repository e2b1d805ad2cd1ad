"""One run from claim to result.

The steps: look at the source; look for room; write, read back and prove each service's archive under a hidden name;
publish all; record the set; keep the copies. The set is published when every archive of it is proven, and counts from
the moment its record is written under the lease. Whatever ends a run before that leaves no file behind.
"""

from __future__ import annotations

import errno
import logging
import shutil
from contextlib import ExitStack
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from storage.base import Store
from storage.errors import ConsoleError, NoSpace, StoreFault
from storage.registry import get_path_type
from tasks.engine import record, retention, sweep
from tasks.engine.keeper import Keeper
from tasks.engine.lease import Lease
from tasks.engine.oneservice import Sealed, Writing
from tasks.engine.record import Outcome
from tasks.engine.snapshot import Snapshot, scratch_directory, take
from tasks.engine.standby import Standby
from tasks.errors import LeaseLost, RunEnded, RunStopped, Unreadable
from tasks.models import BackupFile, Run
from tasks.sources.base import ServiceSpec, Survey
from tasks.states import GOOD, RunState
from tasks.units import format_duration, format_size

log = logging.getLogger(__name__)
# A later set is seldom much bigger than the one before; the first one is bounded by its source.
GROWTH = 1.5


def execute(lease: Lease) -> None:
    """Carry out the run of ``lease`` and record how it ended; raises only what ends the process."""
    execution = _Execution(lease)
    try:
        outcome = execution.carry_out()
    except LeaseLost:
        # Whoever took the lease away has recorded the end; what this worker left is swept by its name.
        log.warning("run %s lost its lease", lease.run_id)
        sweep.sweep_run(lease.run_id)
        return
    except RunStopped as error:
        outcome = Outcome(RunState.STOPPED, str(error), error.code)
    except ConsoleError as error:
        outcome = Outcome(RunState.FAILED, str(error), error.code)
    except Exception as error:
        log.exception("run %s failed unforeseen", lease.run_id)
        outcome = Outcome(RunState.FAILED, *_unforeseen(lease.run_id, error))
    _end(lease, outcome, began_to_write=execution.writing is not None)


def _end(lease: Lease, outcome: Outcome, *, began_to_write: bool) -> None:
    """Record the end in log and database, and remove what a run without a set left behind.

    A destination that refused the password is not asked a second time for the sake of nothing: accounts get locked.
    """
    run = Run.objects.select_related("task").get(pk=lease.run_id)
    took = format_duration(timezone.now() - run.began)
    if outcome.state in GOOD:
        text = f"{outcome.state.label} in {took}."
        if run.task.next_run_at:
            zone = timezone.get_default_timezone()
            text += f" The next run is {timezone.localtime(run.task.next_run_at, zone):%Y-%m-%d %H:%M}."
        record.write_line(lease.run_id, "INFO", text)
    else:
        level = "INFO" if outcome.state == RunState.STOPPED else "ERROR"
        record.write_line(lease.run_id, level, outcome.reason)
    record.finish(lease.run_id, outcome, timezone.now(), token=lease.token)
    record.count_sets(run.task_id)
    if outcome.state not in GOOD and began_to_write:
        sweep.sweep_run(lease.run_id)


def _unforeseen(run_id: int, error: Exception) -> tuple[str, str]:
    """Return message and code for an error that nobody translated; its text may hold anything and is not shown."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk that holds {settings.DATA_DIR} is full. Free space there.", NoSpace.code
    if isinstance(error, PermissionError):
        return "The console may not read or write a file. The server's log names it.", Unreadable.code
    return (
        f"The run failed for a reason that the console did not foresee ({type(error).__name__}). "
        f"The server's log holds the details under run {run_id}.",
        StoreFault.code,
    )


class _Execution:
    """The steps of one run, with what they share."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.run = Run.objects.select_related("task").get(pk=lease.run_id)
        self.step = "Looking at the source"
        self.writing: Writing | None = None
        self.warnings: list[str] = []

    def carry_out(self) -> Outcome:
        """Go through the steps and return the outcome of a run that gave a set."""
        run = self.run
        self.info(f"Run {run.pk} claimed by worker {run.worker}. Started by: {run.who}.")
        deadline = run.began + timedelta(seconds=settings.RUN_TIME_LIMIT)
        with Keeper(self.lease, self.progress, deadline) as keeper, ExitStack() as stack:
            snapshot = take(run)
            Run.objects.filter(pk=run.pk).update(parameters=snapshot.as_json())
            run.parameters = snapshot.as_json()
            surveys = self.survey(snapshot)
            store = stack.enter_context(snapshot.connect())
            self.look_for_room(snapshot, store, sum(survey.bytes for _, survey in surveys))
            sweep.sweep_partials(store, snapshot.directory)
            self.writing = Writing(snapshot, store, keeper.check, self.log, stack)
            sealed = self.write_all(surveys, stack)
            keeper.check()
            self.publish(snapshot, sealed, store)
            self.keep_copies(snapshot, store)
            self.synchronize(snapshot, store, keeper)
            return self.outcome()

    def progress(self) -> dict[str, int | str]:
        """Return what the page shows while the run goes on; called from the keeper's thread."""
        figures: dict[str, int | str] = {"step": self.step}
        if self.writing is not None:
            figures.update(self.writing.progress())
        return figures

    def info(self, text: str) -> None:
        """Add a line to the run's log."""
        record.write_line(self.run.pk, "INFO", text)

    def log(self, level: str, text: str) -> None:
        """Take a line from the source."""
        record.write_line(self.run.pk, level, text)

    def warn(self, text: str) -> None:
        """Note something that makes the run end as *Successful with warnings*."""
        record.write_line(self.run.pk, "WARN", text)
        self.warnings.append(text)

    def survey(self, snapshot: Snapshot) -> list[tuple[ServiceSpec, Survey]]:
        """Look at every service before anything is written, so that a missing one costs nothing."""
        surveys = []
        for service in snapshot.services:
            survey = snapshot.source.survey(service)
            self.info(
                f"{snapshot.cluster} {service.name}: version {survey.version or 'unknown'}, "
                f"{survey.files:,} files, {format_size(survey.bytes)}."
            )
            for warning in survey.warnings:
                self.warn(warning)
            surveys.append((service, survey))
        expected = sum(survey.bytes for _, survey in surveys)
        Run.objects.filter(pk=self.run.pk).update(bytes_expected=expected)
        return surveys

    def look_for_room(self, snapshot: Snapshot, store: Store, source_bytes: int) -> None:
        """Refuse to start what would not fit; raise ``NoSpace`` with the figures."""
        space = store.free_space()
        if not store.in_place:
            self._look_for_room_in_spool(source_bytes)
        if space is None:
            self.info("The destination does not tell how much room it has.")
            return
        last = record.kept_sets(snapshot.task_id).values_list("size", flat=True).first()
        need = min(source_bytes, int(last * GROWTH)) if last else source_bytes
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

    def _look_for_room_in_spool(self, source_bytes: int) -> None:
        """The archive waits on this machine for its upload: it has to fit here as well."""
        free = shutil.disk_usage(scratch_directory()).free
        if free - source_bytes < settings.FREE_SPACE_FLOOR:
            raise NoSpace(
                f"The disk of this machine that holds {settings.DATA_DIR} has {format_size(free)} free. Archives wait "
                f"there for their upload; this one may need {format_size(source_bytes)}, and "
                f"{format_size(settings.FREE_SPACE_FLOOR)} have to stay free.",
                cure="Free space there, or lower FREE_SPACE_FLOOR_MB.",
            )

    def write_all(self, surveys: list[tuple[ServiceSpec, Survey]], stack: ExitStack) -> list[Sealed]:
        """Write and prove the archives of all services; none is published before all are whole."""
        assert self.writing is not None
        sealed = []
        for service, survey in surveys:
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

    def publish(self, snapshot: Snapshot, sealed: list[Sealed], store: Store) -> None:
        """Rename all archives to their final names and record the set.

        The files are on record before they get their names: what a crash leaves in between is found and removed.
        """
        self.step = "Publishing"
        files = [self.file_of(one, snapshot, store) for one in sealed]
        if not record.announce(self.lease.run_id, self.lease.token, files):
            raise LeaseLost("The run no longer belonged to this worker when its files were to be published.")
        for position, one in enumerate(sealed):
            try:
                path = one.publish()
            except BaseException:
                # What never got its final name is not ours under that name, and must not be swept by it.
                names = [later.name for later in sealed[position:]]
                BackupFile.objects.filter(run=self.run, name__in=names).delete()
                raise
            self.info(f"Published as {path}.")
        size = sum(one.result.size for one in sealed)
        if not record.prove(self.lease.run_id, self.lease.token, timezone.now(), size):
            raise LeaseLost("The run no longer belonged to this worker when its files were published.")

    def file_of(self, one: Sealed, snapshot: Snapshot, store: Store) -> BackupFile:
        """Return the record of an archive that is about to be published."""
        return BackupFile(
            run=self.run,
            service=one.service.name,
            directory=snapshot.directory,
            name=one.name,
            path=store.full_path(snapshot.directory, one.name),
            size=one.result.size,
            sha256=one.result.sha256,
            members=one.result.members,
            source_bytes=one.result.source_bytes,
            version=one.survey.version,
            cluster_id=one.survey.cluster_id,
        )

    def keep_copies(self, snapshot: Snapshot, store: Store) -> None:
        """Remove the sets that are too many; from here on nothing can make the run fail."""
        self.step = "Keeping copies"
        self.run.refresh_from_db()
        try:
            for warning in retention.apply(snapshot, self.run, store):
                self.warn(warning)
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

    def outcome(self) -> Outcome:
        """Return how a run ended whose set is proven."""
        state = RunState.WARNINGS if self.warnings else RunState.SUCCESSFUL
        return Outcome(state, " ".join(self.warnings))
