"""Rehearsal: a set is restored into a scratch home, a real IoTDB starts from it, and what it holds is counted.

The live service is never touched: the scratch server runs in namespaces of its own, writes to the scratch directory
and nowhere else, and reaches no network (``tasks.rehearsal``). Whatever ends the run, nothing of it stays.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from django.utils import timezone

from storage.errors import ConsoleError, Corrupt
from tasks.engine import fetching, rehearsable, sweep, verdicts
from tasks.engine.archive import Listing, Verified
from tasks.engine.checking import CURE
from tasks.engine.execution import Execution
from tasks.engine.fetching import Archive, Recorded
from tasks.engine.lease import Lease
from tasks.engine.place import open_set
from tasks.engine.record import Outcome
from tasks.engine.rehearsedservice import RehearsedService, Unrestorable
from tasks.engine.snapshot import scratch_directory, spool_path
from tasks.engine.steps import Steps
from tasks.errors import RunEnded
from tasks.models import BackupFile, Run
from tasks.moments import stamp
from tasks.rehearsal import scratch
from tasks.states import RunState
from tasks.units import format_size

STEPS = {
    "fetch": "Fetch the set",
    "verify": "Verify every hash",
    "unpack": "Unpack to a scratch home",
    "start": "Start IoTDB in a namespace",
    "health": "Health",
    "compare": "Compare counts",
    "remove": "Remove everything",
}
# What a started service writes besides what was unpacked, in bytes (61 MB of Ratis logs in 14 databases).
GROWTH = 256_000_000
_STEP_TEXT = 1000


class Rehearsal(Execution):
    """One rehearsal of the set of ``run.subject``, one service after the other."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(lease)
        assert self.run.subject is not None  # run_kind_has_its_object
        self.subject: Run = self.run.subject
        self.steps = Steps(STEPS, self.store_steps)
        self.root = spool_path(self.run.pk, "rehearsal")

    def progress(self) -> dict[str, Any]:
        """Return the steps and how far the present one is; called from the keeper's thread."""
        return {"step": self.steps.words[:60], "steps": self.steps.as_json()}

    def store_steps(self) -> None:
        """Store the steps while the run is ours."""
        Run.objects.filter(pk=self.run.pk, lease_token=self.lease.token).update(steps=self.steps.as_json())

    def carry_out(self) -> Outcome:
        """Rehearse every service of the set, record the verdict and return the outcome."""
        self.claimed()
        files = list(self.subject.files.order_by("service"))
        if self.subject.set_removed_at is not None or not files:
            return Outcome(RunState.STOPPED, "The set was removed before it was rehearsed.", "set-removed")
        self.info(f"Rehearsing the set of {stamp(self.subject.began)}.")
        try:
            with self.keeper() as keeper:
                return self.judged(lambda: self.rehearse(files, keeper.check))
        finally:
            # The keeper may have written an earlier state of them last.
            self.store_steps()

    def judged(self, rehearse: Callable[[], str]) -> Outcome:
        """Return the outcome of ``rehearse``, whose verdict is on record then; raise what says nothing of the set."""
        try:
            words = rehearse()
        except RunEnded:
            raise
        except Corrupt as error:
            verdicts.found_damaged(self.lease, self.subject, error.message, CURE, timezone.now())
            reason = f"The set is damaged and counts no more. {error.message} {CURE}"
            return Outcome(RunState.FAILED, reason, error.code)
        except Unrestorable as error:
            verdicts.rehearsal_failed(self.lease, self.subject, error.message, error.cure, timezone.now())
            raise
        except ConsoleError as error:
            verdicts.unproven(self.lease, self.subject, str(error))
            raise
        verdicts.rehearsed(self.lease, self.subject, timezone.now())
        return self.outcome(words)

    def rehearse(self, files: list[BackupFile], check: Callable[[], None]) -> str:
        """Fetch and verify all archives, start one service after the other, and return how that went."""
        with self.removing(), ExitStack() as stack:
            self.steps.begin("fetch")
            self.look_before(files)
            store = stack.enter_context(open_set(self.subject))
            archives = [self.fetch(store, file, check) for file in files]
            self.steps.done(f"{len(files)} of {len(files)}, {format_size(sum(file.size for file in files))}.")
            listings = [stack.enter_context(Listing(scratch_directory())) for _ in files]
            proven = self.verify(archives, listings, check)
            alone = len(archives) == 1
            place = (self.subject, self.root, alone, self.steps, self.info)
            pairs = zip(archives, files, strict=True)
            services = [RehearsedService(archive, file.version, *place) for archive, file in pairs]
            for service, verified, listing in zip(services, proven, listings, strict=True):
                service.rehearse(verified, listing, check)
            return " ".join(service.words for service in services)

    def look_before(self, files: list[BackupFile]) -> None:
        """Refuse what cannot end well before anything is fetched. Raises Lacking, NoSpace."""
        for version in dict.fromkeys(file.version for file in files):
            refused = rehearsable.refusal(rehearsable.lacking(version))
            if refused is not None:
                raise refused
        sweep.sweep_spool()
        need = max(file.source_bytes for file in files) + sum(file.size for file in files) + GROWTH
        free = shutil.disk_usage(scratch_directory()).free
        self.info(f"Free space for the scratch home: {format_size(free)}. Estimate: {format_size(need)}.")
        fetching.look_for_room(need, "The rehearsal may need")

    def fetch(self, store: Any, file: BackupFile, check: Callable[[], None]) -> Archive:
        """Bring one archive within reach."""
        self.steps.tell(file.name, 0, file.size)
        done = 0

        def count(size: int) -> None:
            nonlocal done
            done += size
            self.steps.tell(done=done)

        return fetching.fetch(store, fetching.known(store, Recorded.of(file)), self.root / file.name, check, count)

    def verify(self, archives: list[Archive], listings: list[Listing], check: Callable[[], None]) -> list[Verified]:
        """Prove every byte of every archive before anything is unpacked. Raises Corrupt."""
        self.steps.begin("verify")
        proven = []
        for archive, listing in zip(archives, listings, strict=True):
            self.steps.tell(archive.recorded.name)
            proven.append(archive.verify(listing, check))
        members = sum(one.members for one in proven)
        self.steps.done(f"{members:,} members, {format_size(sum(one.source_bytes for one in proven))}: as written.")
        return proven

    @contextmanager
    def removing(self) -> Iterator[None]:
        """Give the scratch directory, and remove it whatever happens; the step that broke it off is marked."""
        self.root.mkdir(mode=0o700)
        try:
            yield
        except BaseException as error:
            self.steps.fail(str(error)[:_STEP_TEXT] if isinstance(error, ConsoleError) else "Broken off.")
            raise
        finally:
            self.remove(self.root)

    def remove(self, root: Path) -> None:
        """Remove the scratch directory; the processes are gone by then."""
        self.steps.begin("remove")
        if scratch.remove(root):
            self.steps.done("No process, no namespace and no file of it is left.")
        else:
            self.steps.fail(f"{root} could not be removed; the next tick tries again.")
            self.warn(f"{root} could not be removed as a whole; the next tick tries again.")
        self.steps.skip_rest()
