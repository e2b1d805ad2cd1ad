"""View History: the runs of a task, their logs and their files."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.text import get_valid_filename
from django.views.decorators.http import require_GET

from tasks import history as records
from tasks import permissions
from tasks.models import BackupTask, Run
from tasks.rows import place_of
from tasks.selectors import number_in
from tasks.states import Kind
from tasks.views.common import by_htmx, needs


def _task(pk: int) -> BackupTask:
    """Return a task, also a deleted one: its history stays."""
    return get_object_or_404(BackupTask.all_tasks.select_related("cluster", "last_run"), pk=pk)


def _run(pk: int) -> Run:
    """Return a run of any kind."""
    runs = Run.objects.select_related("task__cluster", "task__last_run", "cluster", "restoration")
    return get_object_or_404(runs.prefetch_related("files"), pk=pk)


def _backup(pk: int) -> tuple[Run, BackupTask]:
    """Return a backup run and its task."""
    run = _run(pk)
    if run.kind != Kind.BACKUP or run.task is None:
        raise Http404
    return run, run.task


def _number(request: HttpRequest, name: str) -> int:
    return number_in(request.GET.get(name, "")) or 0


@require_GET
@needs(permissions.VIEW)
def history(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the facts of a task and its runs, newest first, page by page."""
    task = _task(pk)
    before = _number(request, "before")
    page = records.run_page(task, before or None)
    context = records.facts_of(task) | {"page": page, "before": before}
    if not before:
        context |= records.refresh(task, page.newest)
    return render(request, "tasks/history.html", context)


@require_GET
@needs(permissions.VIEW)
def history_head(request: HttpRequest, pk: int) -> HttpResponse:
    """Send the facts of a task, and the runs that are newer than ``newest``, for htmx."""
    task = _task(pk)
    runs = records.newer_runs(task, _number(request, "newest"))
    newest = runs[0].pk if runs else _number(request, "newest")
    context = records.facts_of(task) | records.refresh(task, newest) | {"new_runs": runs}
    return render(request, "tasks/_history_news.html", context)


@require_GET
@needs(permissions.VIEW)
def row(request: HttpRequest, pk: int) -> HttpResponse:
    """Send the cells of a run, the facts of its task, and the lines of its log after ``after``, for htmx."""
    run, task = _backup(pk)
    context = records.facts_of(task) | records.refresh(task, _number(request, "newest"))
    context |= {"changed_run": run, "whole_run" if run.state != request.GET.get("state") else "moving_run": run}
    if "after" in request.GET:
        context["log"] = records.log_of(run, _number(request, "after"))
    return render(request, "tasks/_history_news.html", context)


@require_GET
@needs(permissions.VIEW)
def log(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the log of a run: a part of the page for htmx, a page of its own else."""
    run = _run(pk)
    context = {"run": run, "task": run.task, "log": records.log_of(run)}
    return render(request, "tasks/_log.html" if by_htmx(request) else "tasks/log.html", context)


@require_GET
@needs(permissions.VIEW)
def log_download(request: HttpRequest, pk: int) -> HttpResponse:
    """Send the whole log of a run as text, its times with their distance from UTC."""
    run = _run(pk)
    lines = run.log.order_by("pk").values_list("at", "level", "text").iterator()
    text = "".join(f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S%z} {level:<5} {line}\n" for at, level, line in lines)
    name = get_valid_filename(f"{run.thing.name}-run-{run.pk}.log.txt")
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=headers)


@require_GET
@needs(permissions.VIEW)
def backup_path(request: HttpRequest, pk: int) -> HttpResponse:
    """Show where the files of a run lie: a dialog for htmx, a page else."""
    run, task = _backup(pk)
    context = {"run": run, "task": task, "files": list(run.files.all()), "place": place_of(task)}
    return render(request, "tasks/_path_dialog.html" if by_htmx(request) else "tasks/path.html", context)
