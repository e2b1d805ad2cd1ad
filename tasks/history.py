"""View History as its templates read it: the facts of a task, its runs by pages, and what refreshes by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from tasks.engine import pruning
from tasks.engine.record import OUTCOME_STATES, sets_beside_newest
from tasks.engine.retention import foreseen
from tasks.entries import Entry, with_proofs
from tasks.listing import PACE_ACTIVE, PACE_CALM
from tasks.models import BackupTask, Run
from tasks.models.run import HEAVY, PROOFS
from tasks.rows import rows_of
from tasks.standing import standing
from tasks.states import ACTIVE, GOOD, Kind

PAGE_SIZE = 25
# Runs are counted so far; that there are more of them is all that is said then.
COUNTED = 10_000


@dataclass(frozen=True)
class RunPage:
    """Runs of a task, newest first; ``older`` is the key of the next page, None on the last one."""

    entries: list[Entry]
    older: int | None
    shown: Shown


@dataclass(frozen=True)
class Shown:
    """What the page of a browser holds: the keys of its newest and oldest run, and the sets it shows being proven.

    ``known`` is the newest run of any kind when it was made: a proof may begin and end between two looks.
    """

    newest: int = 0
    oldest: int = 0
    proving: tuple[int, ...] = ()
    known: int = 0

    @property
    def query(self) -> str:
        """The same for an address."""
        pairs: dict[str, int | str] = {
            "newest": self.newest,
            "oldest": self.oldest,
            "known": self.known,
            "proving": ",".join(map(str, self.proving)),
        }
        return urlencode({name: value for name, value in pairs.items() if value})


def runs_of(task: BackupTask) -> QuerySet[Run]:
    """Return the backup runs of a task, newest first, with what their entries need."""
    return with_proofs(task.backups.order_by("-pk")).defer("inventory", "steps")


def run_page(task: BackupTask, before: int | None) -> RunPage:
    """Return the runs older than the run ``before``, or the newest ones; by key, so it costs the same at any depth."""
    known = newest_run(task)
    found = runs_of(task)
    if before:
        found = found.filter(pk__lt=before)
    runs = list(found[: PAGE_SIZE + 1])
    entries = [Entry(run) for run in runs[:PAGE_SIZE]]
    older = entries[-1].run.pk if len(runs) > PAGE_SIZE else None
    return RunPage(entries, older, shown_by(entries, known))


def newest_run(task: BackupTask) -> int:
    """Return the key of the newest run of a task, of whatever kind; 0 where there is none.

    Look at it before the runs. Runs of a task are made under its lock, so that none comes later with a smaller key.
    """
    return task.runs.order_by("-pk").values_list("pk", flat=True).first() or 0


def shown_by(entries: Iterable[Entry], known: int) -> Shown:
    """Return what a page of these entries shows, newest first."""
    entries = list(entries)
    if not entries:
        return Shown(known=known)
    proving = tuple(entry.run.pk for entry in entries if entry.under_way)
    return Shown(entries[0].run.pk, entries[-1].run.pk, proving, known)


def newer_runs(task: BackupTask, newest: int) -> list[Entry]:
    """Return the runs that were made after the run ``newest``, newest first."""
    return [Entry(run) for run in runs_of(task).filter(pk__gt=newest)[:PAGE_SIZE]]


def proving(task: BackupTask, shown: Shown) -> list[Entry]:
    """Return the runs on a page whose sets are being proven, or were since it was made."""
    since = Q(state__in=ACTIVE) | Q(pk__gt=shown.known)
    subjects = Run.objects.filter(since, task=task, kind__in=PROOFS)
    now = set(subjects.values_list("subject_id", flat=True)) | set(shown.proving)
    runs = runs_of(task).filter(pk__in=now, pk__lte=shown.newest, pk__gte=shown.oldest)
    return [Entry(run) for run in runs]


def facts_of(task: BackupTask) -> dict[str, Any]:
    """Return what the head of the page tells of a task whose last run is fetched."""
    states = [OUTCOME_STATES[code] for code in task.outcomes if code in OUTCOME_STATES]
    kept = list(sets_beside_newest(task.pk).defer("parameters", "reason", *HEAVY))
    rehearsals = task.runs.filter(kind=Kind.REHEARSAL, state__in=GOOD).order_by("-pk").defer(*HEAVY)
    rehearsal = rehearsals.first() if task.last_rehearsed_at else None
    return {
        "task": task,
        "row": rows_of([task])[0],
        "remembered": len(states),
        "usable": sum(state in GOOD for state in states),
        "standing": standing(task, kept, rehearsal, timezone.now()),
        "kept": len(kept),
        "sick": sum(run.healthy is False for run in kept),
        "kept_size": sum(run.size or 0 for run in kept),
        "going": foreseen(kept, task.copies).remove if kept and not task.deleted_at else (),
        "total": task.backups.order_by()[: COUNTED + 1].count(),
        "counted": COUNTED,
        "pruned": pruning.reached(task.created_at, timezone.now()),
        "records_days": settings.RECORDS_DAYS,
        "newest_kept": pruning.NEWEST_KEPT,
    }


def refresh(task: BackupTask, shown: Shown) -> dict[str, Any]:
    """Return where the page asks for news, and how soon: of the run that is active, else of the whole task."""
    run = task.last_run
    if run is not None and run.active and run.pk <= shown.newest:
        # The state on the page is told, so that the whole row is sent only when that changed.
        url = f"{reverse('run-row', args=[run.pk])}?{shown.query}&state={run.state}"
        return {"poll_url": url, "watched": run.pk, "pace": PACE_ACTIVE}
    busy = bool(shown.proving) or (run is not None and run.active)
    url = f"{reverse('task-history-head', args=[task.pk])}?{shown.query}"
    return {"poll_url": url, "pace": PACE_ACTIVE if busy else PACE_CALM}
