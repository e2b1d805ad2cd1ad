"""View History as its templates read it: the facts of a task, its runs by pages, and a run's log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.urls import reverse

from tasks.engine.record import OUTCOME_STATES, sets_beside_newest
from tasks.engine.retention import foreseen
from tasks.listing import PACE_ACTIVE, PACE_CALM
from tasks.models import BackupTask, LogLine, Run
from tasks.rows import rows_of
from tasks.states import GOOD

PAGE_SIZE = 25
# A page shows this many lines of a log at most; the download has them all.
LOG_LIMIT = 2000


@dataclass(frozen=True)
class RunPage:
    """Runs of a task, newest first; ``older`` is the key of the next page, None on the last one."""

    runs: list[Run]
    older: int | None
    newest: int


def runs_of(task: BackupTask) -> QuerySet[Run]:
    """Return the runs of a task, newest first, with their files."""
    return task.backups.order_by("-pk").prefetch_related("files")


def run_page(task: BackupTask, before: int | None) -> RunPage:
    """Return the runs older than the run ``before``, or the newest ones; by key, so it costs the same at any depth."""
    found = runs_of(task)
    if before:
        found = found.filter(pk__lt=before)
    runs = list(found[: PAGE_SIZE + 1])
    shown = runs[:PAGE_SIZE]
    return RunPage(shown, shown[-1].pk if len(runs) > PAGE_SIZE else None, shown[0].pk if shown else 0)


def newer_runs(task: BackupTask, newest: int) -> list[Run]:
    """Return the runs that were made after the run ``newest``, newest first."""
    return list(runs_of(task).filter(pk__gt=newest)[:PAGE_SIZE])


@dataclass(frozen=True)
class Log:
    """Lines of a run's log; ``hidden`` earlier ones are only in the download."""

    lines: list[LogLine]
    total: int
    warnings: int
    errors: int
    hidden: int

    @property
    def counted(self) -> str:
        """How many lines there are, and how many of them are warnings and errors, in words."""
        figures = ((self.total, "line"), (self.warnings, "warning"), (self.errors, "error"))
        shown = [(number, noun) for number, noun in figures if number or noun == "line"]
        return ", ".join(f"{number:,} {noun}{'' if number == 1 else 's'}" for number, noun in shown)


def log_of(run: Run, after: int = 0) -> Log:
    """Return the log of a run, or what was written to it after the line ``after``; counts are of the whole log."""
    found = run.log.aggregate(
        total=Count("pk"),
        warnings=Count("pk", filter=Q(level=LogLine.Level.WARN)),
        errors=Count("pk", filter=Q(level=LogLine.Level.ERROR)),
    )
    lines = list(run.log.filter(pk__gt=after).order_by("-pk")[:LOG_LIMIT])[::-1]
    hidden = 0 if after else found["total"] - len(lines)
    return Log(lines, found["total"], found["warnings"], found["errors"], hidden)


def facts_of(task: BackupTask) -> dict[str, Any]:
    """Return what the head of the page tells of a task whose last run is fetched."""
    states = [OUTCOME_STATES[code] for code in task.outcomes if code in OUTCOME_STATES]
    kept = list(sets_beside_newest(task.pk).defer("parameters", "reason"))
    return {
        "task": task,
        "row": rows_of([task])[0],
        "remembered": len(states),
        "usable": sum(state in GOOD for state in states),
        "kept": len(kept),
        "kept_size": sum(run.size or 0 for run in kept),
        "going": foreseen(kept, task.copies).remove if kept and not task.deleted_at else (),
        "total": task.backups.count(),
    }


def refresh(task: BackupTask, newest: int) -> dict[str, Any]:
    """Return where the page asks for news, and how soon: of the run that is active, else of the whole task."""
    run = task.last_run
    if run is not None and run.active and run.pk <= newest:
        # The state on the page is told, so that the whole row is sent only when that changed.
        url = f"{reverse('run-row', args=[run.pk])}?newest={newest}&state={run.state}"
        return {"poll_url": url, "watched": run.pk, "pace": PACE_ACTIVE}
    pace = PACE_ACTIVE if run is not None and run.active else PACE_CALM
    return {"poll_url": f"{reverse('task-history-head', args=[task.pk])}?newest={newest}", "pace": pace}
