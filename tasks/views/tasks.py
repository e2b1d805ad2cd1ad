"""Backup Management: the list and the verbs on its rows."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from storage.errors import ConsoleError
from storage.registry import all_path_types
from tasks import bulk, listing, permissions, services
from tasks.audit import Actor, actor_of
from tasks.models import BackupFile, BackupTask
from tasks.rows import Row, place_of
from tasks.scope import narrowed
from tasks.selectors import PAGE_SIZE, ListState, number_in
from tasks.states import Mode, RunState
from tasks.views.common import back_to, by_htmx, clusters_of, do, needs, row_or_404, tell_refusal, wanted_next

Verb = Callable[[Actor, BackupTask], str]


@require_GET
@needs(permissions.VIEW)
def task_list(request: HttpRequest) -> HttpResponse:
    """Show the backup tasks: filter, order and page are in the URL."""
    state = ListState.of(request.GET)
    clusters, tasks = list(clusters_of(request)), narrowed(BackupTask.objects.all(), request.user)
    context = listing.whole(state, tasks)
    shown = context["page"].total
    if not shown and not tasks.exists():
        return render(request, "tasks/list.html", {"empty": True, "clusters": clusters})
    choices = {"modes": Mode.choices, "path_types": [path_type.name for path_type in all_path_types()]}
    hidden = 0 if shown else tasks.count()
    more = {"clusters": clusters, "hidden_count": hidden, "bulk_verbs": bulk.offered(request.user)}
    return render(request, "tasks/list.html", context | choices | more)


@require_GET
@needs(permissions.VIEW)
def task_cells(request: HttpRequest) -> HttpResponse:
    """Send the cells of the rows named by ``ids`` for htmx to put into their places."""
    numbers = [number_in(part) for part in request.GET.get("ids", "").split(",")]
    ids = [pk for pk in numbers if pk is not None][:PAGE_SIZE]
    tasks = narrowed(BackupTask.objects.all(), request.user)
    context = listing.cells(ListState.of(request.GET), tasks, ids, number_in(request.GET.get("newest", "")))
    return render(request, "tasks/_cells.html", context)


def _verb(request: HttpRequest, pk: int, verb: Verb) -> HttpResponse:
    """Do ``verb`` and say what came of it; htmx is told to refresh its rows, a browser goes back to its page."""
    task = row_or_404(request, BackupTask.objects, pk)
    return do(request, lambda: verb(actor_of(request), task), "tasks")


@require_POST
@needs(permissions.RUN)
def back_up_now(request: HttpRequest, pk: int) -> HttpResponse:
    """Queue a run of the task."""

    def verb(actor: Actor, task: BackupTask) -> str:
        run = services.back_up_now(actor, task, timezone.now())
        run.refresh_from_db()
        begun = run.state == RunState.RUNNING
        return f"{task.name} {'was started' if begun else 'is waiting'}. Its progress is shown on this page."

    return _verb(request, pk, verb)


@require_POST
@needs(permissions.RUN)
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop the run of the task that waits or is under way."""

    def verb(actor: Actor, task: BackupTask) -> str:
        run = task.last_run
        if run is None:
            return f"{task.name} never ran. There is nothing to stop."
        services.stop_run(actor, run, timezone.now())
        run.refresh_from_db()
        if run.active:
            return f"Stop was requested for {task.name}. The run ends within seconds and leaves no file."
        return f"{task.name} was stopped. It had not started yet."

    return _verb(request, pk, verb)


@require_POST
@needs(permissions.RUN)
def suspend(request: HttpRequest, pk: int) -> HttpResponse:
    """Start the task no longer by its schedule."""

    def verb(actor: Actor, task: BackupTask) -> str:
        services.suspend_task(actor, task, timezone.now())
        return f"{task.name} is suspended. It starts no more by itself until somebody resumes it."

    return _verb(request, pk, verb)


@require_POST
@needs(permissions.RUN)
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Start the task by its schedule again."""

    def verb(actor: Actor, task: BackupTask) -> str:
        services.resume_task(actor, task, timezone.now())
        if task.next_run_at is None:
            return f"{task.name} is resumed."
        return f"{task.name} is resumed. Its next run is {timezone.localtime(task.next_run_at):%a %Y-%m-%d %H:%M}."

    return _verb(request, pk, verb)


@require_http_methods(["GET", "POST"])
@needs(permissions.MANAGE)
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask before a task is deleted, saying what stays; a POST deletes it."""
    task = row_or_404(request, BackupTask.objects.select_related("cluster", "last_run"), pk)
    if request.method == "POST":
        return _deleted(request, task)
    newest = BackupFile.objects.filter(run__task=task, removed_at__isnull=True).order_by("-pk").first()
    context = {
        "task": task,
        "row": Row(task),
        "place": place_of(task),
        "directory": newest.path.rpartition("/")[0] if newest else "",
        "next": wanted_next(request),
    }
    return render(request, "tasks/_delete_dialog.html" if by_htmx(request) else "tasks/delete.html", context)


def _deleted(request: HttpRequest, task: BackupTask) -> HttpResponse:
    try:
        services.delete_task(actor_of(request), task, timezone.now())
    except ConsoleError as error:
        tell_refusal(request, error)
    else:
        count = task.sets_kept
        sets = f"{count} backup file {'set stays' if count == 1 else 'sets stay'} on {place_of(task)}."
        kept = sets if count else "It had kept no backup file sets."
        messages.success(request, f"Task {task.name} deleted. {kept}")
    return back_to(request, "tasks")
