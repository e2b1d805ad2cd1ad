"""Check set: every archive of a set is read back from its destination and held against what is on record.

Compared are every byte with the SHA-256 that was recorded, every member with the manifest inside, the manifest beside
with the one inside, version and cluster id with the record, and the members with what the data source needs to start
again. What is wrong with the set is damage, and takes it out of those that count. A destination that cannot be reached
says nothing about the set. Nothing is ever written there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils import timezone

from storage.errors import ConsoleError, Corrupt
from storage.registry import get_path_type
from tasks.engine import verdicts
from tasks.engine.execution import Execution
from tasks.engine.lease import Lease
from tasks.engine.place import open_set
from tasks.engine.record import Outcome
from tasks.engine.storedarchive import StoredArchive
from tasks.errors import RunEnded
from tasks.models import BackupFile, Run
from tasks.moments import stamp
from tasks.states import RunState
from tasks.units import format_size

CURE = "Do not restore from it. Run the task again, and look at the disk of the destination."


class CheckSet(Execution):
    """One check of the set of ``run.subject``."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(lease)
        assert self.run.subject is not None  # run_kind_has_its_object
        self.subject: Run = self.run.subject
        self.data_source = self.run.task.data_source if self.run.task else ""
        self.step = "Opening the destination"
        self.bytes_read = 0

    def progress(self) -> dict[str, Any]:
        """Return what the page shows while the check goes on."""
        return {"step": self.step, "bytes_read": self.bytes_read}

    def carry_out(self) -> Outcome:
        """Read all archives of the set and record the verdict."""
        self.claimed()
        files = list(self.subject.files.all())
        total = sum(file.size for file in files)
        Run.objects.filter(pk=self.run.pk).update(bytes_expected=total)
        if self.subject.set_removed_at is not None:
            return Outcome(RunState.STOPPED, "The set was removed before it was checked.", "set-removed")
        with self.keeper() as keeper:
            try:
                damages = self._read_all(files, keeper.check)
            except RunEnded:
                raise
            except ConsoleError as error:
                verdicts.unproven(self.lease, self.subject, str(error))
                raise
            Run.objects.filter(pk=self.run.pk).update(bytes_read=self.bytes_read)
            if damages:
                return self._damaged(damages, files)
            verdicts.found_whole(self.lease, self.subject, timezone.now())
        return self.outcome(f"Every byte is as it was written: {len(files)} {_archives(files)}, {format_size(total)}.")

    def _read_all(self, files: list[BackupFile], check: Callable[[], None]) -> list[str]:
        """Return sentences on what is wrong with the archives; raise what kept them from being read."""
        parameters = self.subject.parameters
        store = open_set(self.subject)
        with store:
            where = get_path_type(parameters["path_type"]).summary(parameters["destination"])
            self.info(f"Checking the set of {stamp(self.subject.began)} at {parameters['path_type']} {where}.")
            damages = []
            for file in files:
                check()
                self.step = f"Reading {file.service}"
                found = StoredArchive(file, self.data_source, store, self._count, check).problems()
                for sentence in found:
                    self.log("ERROR", sentence)
                if not found:
                    self.info(f"{file.name}: {file.members:,} members, {format_size(file.size)}, as written.")
                damages += found
        return damages

    def _count(self, size: int) -> None:
        self.bytes_read += size

    def _damaged(self, damages: list[str], files: list[BackupFile]) -> Outcome:
        cure = CURE
        if all(file.standby_at for file in files):
            cure += " The standby node has a copy, which was read back when it was made."
        damage = " ".join(damages)
        verdicts.found_damaged(self.lease, self.subject, damage, cure, timezone.now())
        return Outcome(RunState.FAILED, f"The set is damaged and counts no more. {damage} {cure}", Corrupt.code)


def _archives(files: list[BackupFile]) -> str:
    return "archive" if len(files) == 1 else "archives"
