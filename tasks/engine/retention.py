"""Which backup file sets go and which stay (design.md, decision 8).

``plan`` is pure. It keeps the newest ``copies`` of the sets that are whole, and never takes the last one. A set of a
service that was sick never pushes a healthy one out: it counts as a copy against other sick ones only. ``apply``
removes what the plan says, by the names that were recorded and no others, an archive before its manifest. Each
destination keeps its own copies: sets of the task that lie elsewhere are neither counted nor touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from storage.base import Store
from storage.errors import ConsoleError
from tasks.engine import verdicts
from tasks.engine.record import stored_sets, write_line
from tasks.engine.snapshot import Snapshot
from tasks.errors import LeaseLost, RunEnded
from tasks.models import BackupFile, Run
from tasks.moments import stamp
from tasks.naming import manifest_name


@dataclass(frozen=True)
class SetInfo:
    """A verified backup file set: the run that made it, when, and whether all its files are still as recorded.

    ``healthy`` tells how the service was when the set was made; None where nobody could ask it, which counts as well.
    """

    run_id: int
    taken_at: datetime
    whole: bool = True
    healthy: bool | None = None

    @property
    def sick(self) -> bool:
        """Whether the service was known not to be well."""
        return self.healthy is False


@dataclass(frozen=True)
class Plan:
    """What stays and what goes, newest first. ``spare`` are sets that are not whole, but too new to go."""

    keep: tuple[SetInfo, ...]
    remove: tuple[SetInfo, ...]
    spare: tuple[SetInfo, ...] = ()

    @property
    def sick(self) -> int:
        """How many of the kept sets are of a service that was sick."""
        return sum(one.sick for one in self.keep)


def plan(sets: Sequence[SetInfo], copies: int) -> Plan:
    """Return what to do with the verified ``sets`` of a destination that may keep ``copies`` of them.

    The order of ``sets`` does not matter. At least one set is kept whatever ``copies`` says. Runs of a task follow each
    other, so their numbers tell which set is newer; a clock that was set back does not. A set that is not whole counts
    for nothing, and goes when ``copies`` whole ones are newer; so does one of a sick service. Any other one goes only
    when ``copies`` of its like are newer, so that up to ``copies`` sick ones may be kept besides.
    """
    newest_first = sorted(sets, key=lambda one: one.run_id, reverse=True)
    wanted = max(1, copies)
    keep: list[SetInfo] = []
    remove: list[SetInfo] = []
    spare: list[SetInfo] = []
    for one in newest_first:
        newer = keep if one.sick or not one.whole else [other for other in keep if not other.sick]
        if len(newer) >= wanted:
            remove.append(one)
        else:
            (keep if one.whole else spare).append(one)
    return Plan(tuple(keep), tuple(remove), tuple(spare))


def foreseen(kept: Sequence[Run], copies: int) -> Plan:
    """Return the plan for the moment when there is one set more than the ``kept`` ones, as far as the records know."""
    sets = [SetInfo(run.pk, run.began, run.damaged_at is None, run.healthy) for run in kept]
    coming = SetInfo(max((run.pk for run in kept), default=0) + 1, timezone.now())
    return plan([coming, *sets], copies)


def apply(snapshot: Snapshot, run: Run, store: Store, check: Callable[[], None]) -> list[str]:
    """Remove what the plan says and return warnings; what cannot be removed stays on record and is tried again.

    A set that goes is struck off before its first file is deleted, so that half a set never counts. ``check`` is asked
    before each set; where it ends the run, the rest stays for the next one. Raises ``LeaseLost``, and errors of the
    destination when it cannot be listed; then nothing was removed.
    """
    return _Retention(snapshot, run, store, check).apply()


@dataclass
class _Retention:
    snapshot: Snapshot
    run: Run
    store: Store
    check: Callable[[], None]
    warnings: list[str] = field(default_factory=list)

    def apply(self) -> list[str]:
        here, elsewhere = self._sets()
        found = self._found(here)
        lacks = {known.pk: _lacks(files, found) for known, files in here.items()}
        damaged = {known.pk: known.damage for known in here if known.damaged_at is not None}
        sets = [
            SetInfo(known.pk, known.began, not lacks[known.pk] and known.pk not in damaged, known.healthy)
            for known in here
        ]
        decided = plan(sets, self.snapshot.copies)
        for one in decided.spare:
            self._say_spare(one, lacks[one.run_id], damaged.get(one.run_id))
        self.check()
        self._strike_off([one.run_id for one in decided.remove], damaged)
        removed = self._remove_struck_off()
        text = f"Retention: {len(decided.keep)} of {self.snapshot.copies} sets are kept, {removed} removed."
        if decided.sick:
            text += f" Of those kept, {decided.sick} are of a service that was not well; they push no other set out."
        if elsewhere:
            text += f" Sets at another destination, which are not touched: {elsewhere}."
        write_line(self.run.pk, "INFO", text)
        return self.warnings

    def _say_spare(self, one: SetInfo, lacks: list[str], damage: str | None) -> None:
        """Say why a set does not count; of one that a check found damaged an alarm tells, and no run has to warn."""
        text = f"The set of {stamp(one.taken_at)} does not count: {damage or ' '.join(lacks)}"
        if damage is None:
            self.warnings.append(text)
        else:
            write_line(self.run.pk, "INFO", text)

    def _strike_off(self, gone: list[int], damaged: Mapping[int, str]) -> None:
        """Record that sets are removed, and let go of the alarms about them, before any file of them goes."""
        now = timezone.now()
        with transaction.atomic():
            Run.objects.filter(pk__in=gone, set_removed_at__isnull=True).update(set_removed_at=now)
            verdicts.removed(self.snapshot.task_id, [run_id for run_id in gone if run_id in damaged], now)

    def _sets(self) -> tuple[dict[Run, list[BackupFile]], int]:
        """Return the sets at this destination with their files, and the number of those elsewhere."""
        runs = list(stored_sets(self.snapshot.task_id).prefetch_related("files"))
        if all(known.pk != self.run.pk for known in runs):
            runs.append(self.run)
        sets = {known: list(known.files.all()) for known in runs}
        here = {known: files for known, files in sets.items() if self._is_here(files)}
        return here, len(sets) - len(here)

    def _is_here(self, files: list[BackupFile]) -> bool:
        """Tell whether all ``files`` lie at this destination: a task may have been configured to another one since."""
        return bool(files) and all(self.store.full_path(one.directory, one.name) == one.path for one in files)

    def _found(self, here: dict[Run, list[BackupFile]]) -> dict[tuple[str, str], int]:
        """Return the sizes of all files in the directories of these sets."""
        directories = {file.directory for files in here.values() for file in files}
        return {(one, entry.name): entry.size for one in directories for entry in self.store.list(one)}

    def _remove_struck_off(self) -> int:
        """Delete the files of all sets that were struck off, now or earlier, and return how many sets went."""
        files = BackupFile.objects.filter(
            run__task_id=self.snapshot.task_id, run__set_removed_at__isnull=False, removed_at__isnull=True
        )
        struck: dict[Run, list[BackupFile]] = {}
        for file in files.select_related("run").order_by("run_id", "pk"):
            struck.setdefault(file.run, []).append(file)
        removed = 0
        for known, its in struck.items():
            if not self._is_here(its):
                continue
            try:
                self.check()
                self._remove(known, its)
                removed += 1
            except LeaseLost:
                raise
            except ConsoleError as error:
                self.warnings.append(f"Retention: the set of {stamp(known.began)} could not be removed. {error}")
                if error.retryable or isinstance(error, RunEnded):
                    # A server that does not answer is not asked once more for each set.
                    break
        return removed

    def _remove(self, known: Run, files: list[BackupFile]) -> None:
        for file in files:
            self.store.delete(file.directory, file.name)
            self.store.delete(file.directory, manifest_name(file.name))
            BackupFile.objects.filter(pk=file.pk).update(removed_at=timezone.now())
        write_line(self.run.pk, "INFO", f"Retention: removed the set of {stamp(known.began)} ({len(files)} files).")


def _lacks(files: list[BackupFile], found: dict[tuple[str, str], int]) -> list[str]:
    """Hold the files of a set against what the destination shows; return sentences on what differs."""
    sentences = []
    for file in files:
        size = found.get((file.directory, file.name))
        if size is None:
            sentences.append(f"{file.path} is not there any more.")
        elif size != file.size:
            sentences.append(f"{file.path} has {size:,} of {file.size:,} bytes.")
    return sentences
