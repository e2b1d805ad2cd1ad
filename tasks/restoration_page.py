"""The page of one restoration task as its templates read it, whole and in the parts that change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import reverse

from tasks import logs
from tasks.engine import steps as steps_of_runs
from tasks.engine.restore.standing import TOUCHED, touched
from tasks.listing import PACE_ACTIVE, PACE_CALM
from tasks.models import Restoration, Run
from tasks.restoration_steps import moment_of, step_named
from tasks.restorations import Row, rows_of, runs_of, safety_copies_of
from tasks.states import Kind, RunState
from tasks.steplist import shown_steps

PAGE_SIZE = 25
# Once one of these steps is done, IoTDB runs again.
_STARTED = ("start", "back-start")


@dataclass(frozen=True)
class Seen:
    """What the browser shows: how many steps, up to which run, its state, and the last line of its open log."""

    steps: int
    newest: int
    state: str
    line: int | None


def whole(restoration: Restoration, now: datetime, before: int | None) -> dict[str, Any]:
    """Return everything the page shows."""
    runs = list(_older(restoration, before)[: PAGE_SIZE + 1])
    older = runs[PAGE_SIZE - 1].pk if len(runs) > PAGE_SIZE else None
    context = parts(restoration, now) | {"runs": runs[:PAGE_SIZE], "older": older, "before": before}
    return context if before or restoration.deleted_at else context | refresh(context, runs[0].pk if runs else 0)


def _older(restoration: Restoration, before: int | None) -> Any:
    return runs_of(restoration).filter(pk__lt=before) if before else runs_of(restoration)


def parts(restoration: Restoration, now: datetime) -> dict[str, Any]:
    """Return what may change while somebody looks at the page."""
    row = rows_of([restoration])[0]
    run = row.run
    known = run.parameters if run is not None else {}
    return {
        "restoration": restoration,
        "row": row,
        "run": run,
        "steps": shown_steps(run.steps if run else [], now),
        "down_since": down_since(run),
        "loss": loss_of(run),
        "orphans": list(known.get("orphans") or []),
        "orphans_count": int(known.get("orphans_count") or len(known.get("orphans") or [])),
        "copies": safety_copies_of(restoration),
        "size": sum(int(file.get("size") or 0) for file in restoration.files),
    }


def news(restoration: Restoration, now: datetime, seen: Seen) -> dict[str, Any]:
    """Return the parts anew, the runs that the browser does not know, and how its last one went on."""
    context = parts(restoration, now)
    run, row = context["run"], context["row"]
    fresh = list(runs_of(restoration).filter(pk__gt=seen.newest)[:PAGE_SIZE])
    context["new_runs"] = fresh
    context["same_steps"] = len(context["steps"]) == seen.steps and not fresh
    if run is not None and not fresh and row.state != seen.state:
        context["changed_run"] = run
    if run is not None and not fresh and seen.line is not None:
        context["log"] = logs.log_of(run, seen.line)
    return context | refresh(context, fresh[0].pk if fresh else seen.newest)


def refresh(context: dict[str, Any], newest: int) -> dict[str, Any]:
    """Return where the page asks for news, and how soon."""
    restoration, row = context["restoration"], context["row"]
    query = f"steps={len(context['steps'])}&newest={newest}&state={row.state}"
    address = reverse("restoration-news", args=[restoration.pk])
    pace = PACE_ACTIVE if row.active else PACE_CALM
    return {"poll_url": f"{address}?{query}", "watched": newest if row.active else "", "pace": pace}


def asked(restoration: Restoration, run: Run) -> dict[str, Any]:
    """Return what the question before the interruption tells."""
    done = {step["key"]: step.get("text", "") for step in run.steps if step.get("state") == steps_of_runs.DONE}
    return {
        "loss": loss_of(run),
        "row": Row(restoration),
        "run": run,
        "done": done,
        "copy_days": settings.SAFETY_COPY_DAYS,
    }


def down_since(run: Run | None) -> datetime | None:
    """Return since when the IoTDB of a run's cluster is stopped; None where it runs, or where that is not known."""
    if run is None or run.kind != Kind.RESTORE or run.state != RunState.RUNNING or not touched(run):
        return None
    if any((step_named(run, key) or {}).get("state") == steps_of_runs.DONE for key in _STARTED):
        return None
    return moment_of(run.parameters[TOUCHED])


def loss_of(run: Run | None) -> dict[str, Any]:
    """Return what a restoration takes away, as it was found before it was confirmed; empty where nobody looked yet.

    Its keys are those of ``tasks.engine.restore.loss``.
    """
    return dict(run.parameters.get("loss") or {}) if run is not None and run.kind == Kind.RESTORE else {}
