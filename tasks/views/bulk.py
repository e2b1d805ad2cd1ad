"""Several tasks of Backup Management at once: a page or dialog says what will happen to each, then it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from tasks import bulk, permissions, services
from tasks.audit import actor_of
from tasks.bulkwords import done_in_words, typed_word
from tasks.models import AuditEvent, BackupTask
from tasks.scope import narrowed
from tasks.services.bulk import BULK_VERBS
from tasks.views.common import back_to, by_htmx, needs, wanted_next

# A dialog with more lines is a page.
DIALOG_LIMIT = 100
# Tasks of one cluster stand together: their runs wait behind each other.
ORDER = ("cluster__name", "name")
NOTHING = "No task is selected. Tick tasks in the list first."
_LAST = "bulk"


def _view(key: str) -> Callable[[HttpRequest], HttpResponse]:
    """Return the view that asks before the verb ``key`` is done to several tasks; a POST does it."""

    @require_http_methods(["GET", "POST"])
    @needs(BULK_VERBS[key].permission)
    def view(request: HttpRequest) -> HttpResponse:
        return _done(request, key) if request.method == "POST" else _asked(request, key)

    return view


run, stop, suspend, resume, delete = (_view(key) for key in BULK_VERBS)


def _asked(request: HttpRequest, key: str) -> HttpResponse:
    found = bulk.chosen(request.GET, narrowed(BackupTask.objects.all(), request.user))
    tasks = list(found.select_related("cluster").order_by(*ORDER)[: bulk.LIMIT + 1])
    if len(tasks) > bulk.LIMIT:
        messages.error(request, f"More than {bulk.LIMIT:,} tasks are selected. Narrow the filter and do it in parts.")
        tasks = []
    elif not tasks:
        messages.error(request, NOTHING)
    if not tasks:
        return back_to(request, "tasks")
    if by_htmx(request) and len(tasks) > DIALOG_LIMIT:
        return HttpResponse(status=204, headers={"HX-Redirect": request.get_full_path()})
    return _question(request, key, tasks)


def _question(request: HttpRequest, key: str, tasks: Iterable[BackupTask], error: str = "") -> HttpResponse:
    plan = bulk.plan(key, list(tasks), timezone.now())
    context = {"plan": plan, "question": plan, "error": error, "next": wanted_next(request)}
    return render(request, "tasks/bulk_dialog.html" if by_htmx(request) else "tasks/bulk.html", context)


def _done(request: HttpRequest, key: str) -> HttpResponse:
    shown = bulk.shown_in(request.POST.get("tasks", ""))
    if not shown:
        messages.error(request, NOTHING)
        return back_to(request, "tasks")
    word = typed_word(key, len(shown))
    if word and request.POST.get("typed", "").strip().lower() != word:
        tasks = narrowed(BackupTask.objects.filter(pk__in=shown), request.user)
        error = f"This does not confirm it. Type {word}."
        return _question(request, key, tasks.select_related("cluster").order_by(*ORDER), error)
    result = services.do_in_bulk(actor_of(request), key, shown, timezone.now())
    if result.applied.refused:
        request.session[_LAST] = {"key": key, "event": result.event.pk, "sets": result.sets_kept}
        return redirect("tasks-bulk-done")
    messages.success(request, done_in_words(key, len(result.applied.done), result.sets_kept))
    return back_to(request, "tasks")


@require_GET
@needs(permissions.VIEW)
def done(request: HttpRequest) -> HttpResponse:
    """Show what the last verb in bulk of this session did, and what was refused and why."""
    last = request.session.get(_LAST)
    event = AuditEvent.objects.filter(pk=last["event"]).first() if last else None
    if last is None or event is None:
        return redirect("tasks")
    number = event.after["done"]
    words = done_in_words(last["key"], number, last["sets"]) if number else "Nothing was done."
    return render(request, "tasks/bulk_done.html", {"event": event, "done": words})
