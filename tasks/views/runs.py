"""View History: the runs of a task, their logs and their files."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.text import get_valid_filename
from django.views.decorators.http import require_GET

from tasks import differences, permissions
from tasks import history as records
from tasks.entries import Entry, proofs_of, with_proofs
from tasks.logs import about, log_of
from tasks.models import BackupTask, Run
from tasks.models.run import HEAVY
from tasks.rows import place_of
from tasks.selectors import number_in, with_last_run
from tasks.states import Kind
from tasks.views.common import by_htmx, needs, row_or_404


def task_of(request: HttpRequest, pk: int) -> BackupTask:
    """Return a task, also a deleted one: its history stays."""
    return row_or_404(request, with_last_run(BackupTask.all_tasks.all()), pk)


def run_of(request: HttpRequest, pk: int) -> Run:
    """Return a run of any kind."""
    runs = Run.objects.select_related("task__cluster", "task__last_run", "cluster", "restoration", "subject")
    heavy = (f"{other}__{name}" for other in ("task__last_run", "subject") for name in HEAVY)
    return row_or_404(request, with_proofs(runs).defer(*heavy), pk)


def backup_of(request: HttpRequest, pk: int) -> tuple[Run, BackupTask]:
    """Return a backup run and its task."""
    run = run_of(request, pk)
    if run.kind != Kind.BACKUP or run.task is None:
        raise Http404
    return run, run.task


def _number(request: HttpRequest, name: str) -> int:
    return number_in(request.GET.get(name, "")) or 0


def _shown(request: HttpRequest) -> records.Shown:
    """Return what the page that asks for news holds."""
    proving = [number_in(part) for part in request.GET.get("proving", "").split(",")][: records.PAGE_SIZE]
    newest, oldest, known = (_number(request, name) for name in ("newest", "oldest", "known"))
    return records.Shown(newest, oldest, tuple(filter(None, proving)), known)


def _news(request: HttpRequest, task: BackupTask, fresh: list[Entry]) -> dict[str, Any]:
    """Return what is new on a page since it asked: its facts, ``fresh`` runs, and sets that are being proven."""
    shown = _shown(request)
    known = records.newest_run(task)
    moving = records.proving(task, shown)
    under_way = tuple(entry.run.pk for entry in [*fresh, *moving] if entry.under_way)
    newest = fresh[0].run.pk if fresh else shown.newest
    following = records.Shown(newest, shown.oldest, under_way, known)
    return records.facts_of(task) | records.refresh(task, following) | {"proving": moving, "new_entries": fresh}


@require_GET
@needs(permissions.VIEW)
def history(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the facts of a task and its runs, newest first, page by page."""
    task = task_of(request, pk)
    before = _number(request, "before")
    page = records.run_page(task, before or None)
    context = records.facts_of(task) | {"page": page, "before": before, "choosing": "choose" in request.GET}
    if not before:
        context |= records.refresh(task, page.shown)
    return render(request, "tasks/history.html", context)


@require_GET
@needs(permissions.VIEW)
def history_head(request: HttpRequest, pk: int) -> HttpResponse:
    """Send the facts of a task, and the runs that are newer than ``newest``, for htmx."""
    task = task_of(request, pk)
    fresh = records.newer_runs(task, _number(request, "newest"))
    return render(request, "tasks/_history_news.html", _news(request, task, fresh))


@require_GET
@needs(permissions.VIEW)
def row(request: HttpRequest, pk: int) -> HttpResponse:
    """Send the cells of a run, the facts of its task, and the lines of its log after ``after``, for htmx."""
    run, task = backup_of(request, pk)
    changed = run.state != request.GET.get("state")
    context = _news(request, task, []) | {"changed_run": run, "whole_entry" if changed else "moving_entry": Entry(run)}
    if "after" in request.GET:
        context["log"] = log_of(run, _number(request, "after"))
        if changed:
            context |= differences.of_run(run) | {"unfolded": True}
    return render(request, "tasks/_history_news.html", context)


@require_GET
@needs(permissions.VIEW)
def log(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a run: its log, its steps, what changed since the run before, and its proofs; unfolded in a page by htmx."""
    run = run_of(request, pk)
    if run.restoration_id is not None:
        request.shown_as = "restoration"  # type: ignore[attr-defined]
    context = about(run) | {"log": log_of(run)}
    if run.kind == Kind.BACKUP:
        context |= differences.of_run(run) | {"proofs": proofs_of(run)}
    return render(request, "tasks/_detail.html" if by_htmx(request) else "tasks/log.html", context)


@require_GET
@needs(permissions.VIEW)
def news(request: HttpRequest, pk: int) -> HttpResponse:
    """Send what the page of a run shows anew while it goes on, and its log after the line ``after``, for htmx."""
    run = run_of(request, pk)
    context = about(run) | {"log": log_of(run, _number(request, "after"))}
    if run.kind == Kind.BACKUP and not run.active:
        context |= differences.of_run(run) | {"unfolded": True}
    return render(request, "tasks/_run_news.html", context)


@require_GET
@needs(permissions.VIEW)
def log_download(request: HttpRequest, pk: int) -> HttpResponse:
    """Send the whole log of a run as text, its times with their distance from UTC."""
    run = run_of(request, pk)
    lines = run.log.order_by("pk").values_list("at", "level", "text").iterator()
    text = "".join(f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S%z} {level:<5} {line}\n" for at, level, line in lines)
    name = get_valid_filename(f"{run.thing.name}-run-{run.pk}.log.txt")
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=headers)


@require_GET
@needs(permissions.VIEW)
def backup_path(request: HttpRequest, pk: int) -> HttpResponse:
    """Show where the files of a run lie: a dialog for htmx, a page else."""
    run, task = backup_of(request, pk)
    context = {"run": run, "task": task, "files": list(run.files.all()), "place": place_of(task)}
    return render(request, "tasks/_path_dialog.html" if by_htmx(request) else "tasks/path.html", context)
