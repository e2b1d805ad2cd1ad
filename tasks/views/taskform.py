"""The form of a backup task: create, configure and copy, and the parts of it that follow what is chosen."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from tasks import permissions, services, sources
from tasks.audit import actor_of
from tasks.errors import EditConflict, Refused
from tasks.forms.conflict import conflict_of
from tasks.forms.editor import (
    TaskEditor,
    chosen_path_type,
    copied_values,
    fresh_destination,
    open_configure,
    open_create,
    posted,
    shown_again,
    upcoming,
)
from tasks.forms.layout import destination_helper, task_helper
from tasks.forms.schedule import ScheduleForm
from tasks.forms.task import CreateForm
from tasks.models import BackupTask
from tasks.states import ACTIVE, Mode
from tasks.views.common import clusters_of, needs, row_or_404, tell_refusal
from tasks.zones import same_clock

KEEP_EDITING = "keep_editing"
SHOW_FIELDS = "show_fields"
_ON_THE_WAY = (SHOW_FIELDS, KEEP_EDITING)


@needs(permissions.MANAGE)
@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    """Show the form for a new task, and create the task."""
    clusters = clusters_of(request)
    if not clusters.exists():
        return render(request, "tasks/form_no_cluster.html")
    if request.method == "GET":
        return form_page(request, open_create(clusters, {"cluster": request.GET.get("cluster", "")}))
    if any(name in request.POST for name in _ON_THE_WAY):
        return form_page(request, shown_again(request.POST, clusters))
    editor = posted(request.POST, clusters)
    if not editor.is_valid():
        return form_page(request, editor)
    try:
        task = services.create_task(actor_of(request), editor.draft(), timezone.now())
    except Refused as refusal:
        editor.refuse(refusal)
        return form_page(request, editor)
    messages.success(request, f"Task {task.name} created. {_what_next(task)}")
    return redirect("tasks")


@needs(permissions.MANAGE)
@require_http_methods(["GET", "POST"])
def configure(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what may be changed of a task, and change it unless somebody else did meanwhile."""
    task = row_or_404(request, BackupTask.objects.select_related("cluster"), pk)
    if request.method == "GET":
        return form_page(request, open_configure(task))
    if any(name in request.POST for name in _ON_THE_WAY):
        return form_page(request, shown_again(request.POST, clusters_of(request), task))
    editor = posted(request.POST, clusters_of(request), task)
    if not editor.is_valid():
        return form_page(request, editor)
    version = editor.form.cleaned_data["version"]
    try:
        changed = services.configure_task(actor_of(request), task, version, editor.draft(), timezone.now())
    except EditConflict as conflict:
        return _conflict_page(request, editor, conflict)
    except Refused as refusal:
        tell_refusal(request, refusal)
        return redirect("tasks")
    messages.success(request, f"Task {changed.name} saved. {_what_next(changed)}")
    return redirect("tasks")


@needs(permissions.MANAGE)
@require_http_methods(["GET", "POST"])
def copy(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the form for a new task, filled with the values of another one, and create the new task."""
    task = row_or_404(request, BackupTask.objects.select_related("cluster"), pk)
    if request.method == "POST":
        return create(request)
    return form_page(request, open_create(clusters_of(request), copied_values(task)), copied=task)


@needs(permissions.MANAGE)
@require_GET
def destination_fields(request: HttpRequest) -> HttpResponse:
    """Return the fields of the path type that was chosen."""
    path_type = chosen_path_type(request.GET.get("path_type"))
    form = CreateForm(clusters=clusters_of(request), initial={"cluster": request.GET.get("cluster", "")})
    copies = request.GET.get("copies", "")
    kept = {"copies": copies} if copies.isdecimal() else {}
    editor = TaskEditor(form, path_type, fresh_destination(path_type, form, kept))
    return render(request, "tasks/_destination.html", _destination_context(editor))


@needs(permissions.MANAGE)
@require_GET
def service_choices(request: HttpRequest) -> HttpResponse:
    """Return the services of the cluster that was chosen, and with them IP Mode where its network differs."""
    form = CreateForm(clusters=clusters_of(request), initial={"cluster": request.GET.get("cluster", "")})
    path_type = chosen_path_type(request.GET.get("path_type"))
    editor = TaskEditor(form, path_type, fresh_destination(path_type, form, {}))
    return render(request, "tasks/_services.html", {"form": form, **_destination_context(editor), "swap": True})


@needs(permissions.MANAGE)
@require_GET
def next_runs(request: HttpRequest) -> HttpResponse:
    """Return the next three runs of the schedule as it stands in the form."""
    form = ScheduleForm(request.GET)
    form.is_valid()
    context = _next_context(form, upcoming(form.schedule(), timezone.now()))
    return render(request, "tasks/_next_runs.html", context)


def form_page(request: HttpRequest, editor: TaskEditor, **more: Any) -> HttpResponse:
    """Return the whole page around a form."""
    task = editor.task
    context = {
        "editor": editor,
        "form": editor.form,
        "verify_url": reverse("task-configure-verify", args=[task.pk]) if task else reverse("task-new-verify"),
        "fields_url": reverse("task-destination"),
        "helper": task_helper(editor),
        "problems": editor.problems() if editor.form.is_bound else [],
        "task": task,
        "source": sources.get(task.data_source) if task else None,
        "under_way": task.backups.filter(state__in=ACTIVE).first() if task else None,
        **_destination_context(editor),
        **_next_context(editor.form, editor.next_runs(timezone.now())),
        **more,
    }
    return render(request, "tasks/form.html", context)


def _destination_context(editor: TaskEditor) -> dict[str, Any]:
    directory = editor.task.directory if editor.task else ""
    return {
        "path_type": editor.path_type,
        "destination": editor.destination,
        "destination_helper": destination_helper(editor.destination),
        "directory": directory,
        "place": editor.path_type.place(directory),
    }


def _next_context(form: ScheduleForm, moments: list[Any]) -> dict[str, Any]:
    server_zone = timezone.get_default_timezone()
    return {
        "next_runs": moments,
        "next_zone": form.viewer_zone,
        "server_zone": None if same_clock(form.viewer_zone, server_zone, timezone.now()) else server_zone,
        "by_hand": form.is_manual(),
    }


def _conflict_page(request: HttpRequest, editor: TaskEditor, conflict: EditConflict) -> HttpResponse:
    """Show both values of each field, and let the person choose."""
    current = BackupTask.objects.select_related("cluster").get(pk=editor.task.pk if editor.task else 0)
    context = {"task": current, "reason": conflict.message, "conflict": conflict_of(editor, current, request.POST)}
    return render(request, "tasks/conflict.html", context, status=409)


def _what_next(task: BackupTask) -> str:
    """Return when the task runs next, or how it is started."""
    if task.mode == Mode.MANUAL:
        return "Start it with Back Up Now."
    if task.suspended or task.next_run_at is None:
        return "It is suspended and does not run until somebody resumes it."
    local = timezone.localtime(task.next_run_at)
    return f"Its next run is {local:%a %Y-%m-%d %H:%M} ({timezone.get_current_timezone_name()})."
