"""What is done with the set of a run: having it checked, rehearsed, and its inventory salvaged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_POST

from tasks import permissions, services
from tasks.audit import Actor, actor_of
from tasks.models import Run
from tasks.states import RunState
from tasks.views.common import do, needs
from tasks.views.runs import backup_of


def _prove(request: HttpRequest, pk: int, verb: Callable[[Actor, Run, datetime], Run], noun: str) -> HttpResponse:
    """Queue a proof of the set of a run and say whether it began."""
    run, task = backup_of(pk)

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
