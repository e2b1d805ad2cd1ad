"""The page of a run: what it is called, its steps, and its log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q
from django.urls import reverse

from tasks.listing import PACE_ACTIVE
from tasks.models import LogLine, Run
from tasks.states import Kind
from tasks.steplist import shown_steps

# A page shows this many lines of a log at most; the download has them all.
LOG_LIMIT = 2000


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


def about(run: Run) -> dict[str, Any]:
    """Return what the page of a run is called, its steps, and where it asks for news while the run goes on."""
    heading = {
        Kind.CHECK: f"Check of the set of run {run.subject_id}",
        Kind.REHEARSAL: f"Rehearsal of the set of run {run.subject_id}",
        Kind.RESTORE: f"Restoration, run {run.pk}",
        Kind.ROLLBACK: f"Rollback, run {run.pk}",
    }.get(Kind(run.kind), f"Log of run {run.pk}")
    return {
        "run": run,
        "task": run.task,
        "heading": heading,
        "crumb": heading if run.subject_id is None else f"{run.get_kind_display()} {run.pk}",
        "title": f"{heading} of {run.thing.name}",
        "steps": shown_steps(run.steps),
        "poll_url": reverse("run-news", args=[run.pk]) if run.active else "",
        "watched": run.pk,
        "pace": PACE_ACTIVE,
    }
