"""What is done with the set of a run: having it checked, rehearsed, and its inventory salvaged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from storage.errors import ConsoleError
from tasks import permissions, services
from tasks.audit import Actor, actor_of
from tasks.differences import compared
from tasks.entries import Entry
from tasks.models import Run
from tasks.states import RunState
from tasks.views.common import do, needs, tell_refusal
from tasks.views.runs import backup_of


def _prove(request: HttpRequest, pk: int, verb: Callable[[Actor, Run, datetime], Run], noun: str) -> HttpResponse:
    """Queue a proof of the set of a run and say whether it began."""
    run, task = backup_of(request, pk)

    def queue() -> str:
        proof = verb(actor_of(request), run, timezone.now())
        proof.refresh_from_db()
        begun = "was started" if proof.state == RunState.RUNNING else "is waiting"
        return f"{noun} of the set of run {run.pk} {begun}. Its result is shown on this page."

    return do(request, queue, "task-history", task.pk)


@require_POST
@needs(permissions.RUN)
def check(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the set of a run read back and compared."""
    return _prove(request, pk, services.check_set, "The check")


@require_POST
@needs(permissions.RUN)
def rehearse(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the set of a run restored and started in a place of its own."""
    return _prove(request, pk, services.rehearse, "The rehearsal")


@require_http_methods(["GET", "POST"])
@needs(permissions.RESTORE)
def salvage(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Say what the inventory of a set holds and what it lacks; a POST downloads that of one service as SQL."""
    run, task = backup_of(request, pk)
    if request.method == "POST":
        return _download(request, run)
    context = {
        "run": run,
        "task": task,
        "cannot": Entry(run).cannot_salvage,
        "services": compared({}, run.inventory),
    }
    return render(request, "tasks/salvage.html", context)


def _download(request: HttpRequest, run: Run) -> HttpResponseBase:
    try:
        found = services.salvage_set(actor_of(request), run, request.POST.get("service", ""))
    except ConsoleError as error:
        tell_refusal(request, error)
        return redirect("run-salvage", run.pk)
    headers = {"Content-Disposition": f'attachment; filename="{found.name}"'}
    return StreamingHttpResponse(found, content_type="text/plain; charset=utf-8", headers=headers)
