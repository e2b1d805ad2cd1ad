"""The verbs on restoration tasks and safety copies; what interrupts or cannot be undone is asked before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from storage.errors import ConsoleError
from tasks import permissions, restoration_page, restorations, services
from tasks.audit import Actor, actor_of
from tasks.models import Restoration, Run
from tasks.models.run import RESTORES
from tasks.restoration_steps import awaits
from tasks.states import Control, RunState
from tasks.views.common import back_to, by_htmx, do, leave, needs, row_or_404, tell_refusal, wanted_next


@dataclass(frozen=True)
class Question:
    """What is asked before a verb is done: as a dialog for htmx, as a page else.

    ``word`` has to be typed to confirm; ``keep_address`` is where the safe button sends the form, empty where it only
    leads back to ``back``.
    """

    title: str
    body: str
    address: str
    keep: str
    do: str
    back: str
    danger: bool = True
    word: str = ""
    keep_address: str = ""
    context: dict[str, Any] = field(default_factory=dict)


def _ask(request: HttpRequest, restoration: Restoration, question: Question, error: str = "") -> HttpResponse:
    context = {"restoration": restoration, "question": question, "error": error, "next": wanted_next(request)}
    template = "restorations/_question_dialog.html" if by_htmx(request) else "restorations/question.html"
    return render(request, template, context | question.context)


def _task(request: HttpRequest, pk: int) -> Restoration:
    return row_or_404(request, Restoration.objects.select_related("cluster", "last_run"), pk)


def _ask_or_do(
    request: HttpRequest,
    restoration: Restoration,
    question: Question,
    verb: Callable[[Actor, str], str],
    leave: Callable[[], HttpResponse],
) -> HttpResponse:
    """Ask ``question``; a POST does ``verb`` with what was typed, says what came of it, and leaves.

    A word other than the one that has to be typed is asked for again.
    """
    if request.method != "POST":
        return _ask(request, restoration, question)
    try:
        messages.success(request, verb(actor_of(request), request.POST.get("typed", "").strip()))
    except ConsoleError as refusal:
        if question.word and refusal.field == "typed":
            return _ask(request, restoration, question, str(refusal))
        tell_refusal(request, refusal)
    return leave()


@require_http_methods(["GET", "POST"])
@needs(permissions.RESTORE)
def start(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what a start does; a POST starts the restoration task, or starts it again after it failed."""
    restoration = _task(request, pk)
    row = restorations.Row(restoration)

    def verb(actor: Actor, typed: str) -> str:
        run = services.start_restoration(actor, restoration, timezone.now())
        run.refresh_from_db()
        now = "was started" if run.state != RunState.WAITING else "is waiting"
        return f"{restoration.name} {now}. Nothing of IoTDB is touched before you confirm it."

    question = Question(
        title=f"{row.start_word} {restoration.name}?",
        body="restorations/_start_body.html",
        address=reverse("restoration-start", args=[pk]),
        keep="Not now",
        do=row.start_word,
        back=reverse("restoration", args=[pk]),
        danger=False,
        context={"row": row, **_nodes(restoration)},
    )
    return _ask_or_do(request, restoration, question, verb, lambda: leave(request, "restoration", pk))


def _nodes(restoration: Restoration) -> dict[str, Any]:
    wanted = {str(file["service"]) for file in restoration.files}
    services_of = restoration.cluster.services.prefetch_related("nodes")
    nodes = [node for service in services_of if service.name in wanted for node in service.nodes.all()]
    by_hand = [node for node in nodes if node.control == Control.HAND]
    return {"nodes": nodes, "by_hand": by_hand}


@require_http_methods(["GET", "POST"])
@needs(permissions.RESTORE)
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what is lost and ask for the name of the cluster; a POST with it lets the restoration go on."""
    restoration = _task(request, pk)
    run = restoration.last_run
    if run is None or not awaits(run):
        messages.error(request, f"{restoration.name} does not wait to be confirmed. Look at its steps.")
        return redirect("restoration", pk)

    def verb(actor: Actor, typed: str) -> str:
        services.confirm_restoration(actor, run, typed, timezone.now())
        return f"{restoration.name} goes on. IoTDB on {restoration.cluster.name} is stopped now."

    question = Question(
        title=f"Stop IoTDB on {restoration.cluster.name} and restore its metadata?",
        body="restorations/_confirm_body.html",
        address=reverse("restoration-confirm", args=[pk]),
        keep="Do not restore",
        do="Stop IoTDB and restore",
        back=reverse("restoration", args=[pk]),
        word=restoration.cluster.name,
        keep_address=reverse("restoration-stop", args=[pk]),
        context=restoration_page.asked(restoration, run),
    )
    return _ask_or_do(request, restoration, question, verb, lambda: redirect("restoration", pk))


@require_POST
@needs(permissions.RESTORE)
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop the run of the restoration task that waits or is under way."""
    restoration = _task(request, pk)

    def verb() -> str:
        if restoration.last_run is None:
            return f"{restoration.name} never ran. There is nothing to stop."
        services.stop_run(actor_of(request), restoration.last_run, timezone.now())
        restoration.last_run.refresh_from_db()
        if restoration.last_run.active:
            return f"Stop was requested for {restoration.name}. It ends as soon as that is safe."
        return f"{restoration.name} was stopped. It had not started yet."

    return do(request, verb, "restoration", pk)


@require_http_methods(["GET", "POST"])
@needs(permissions.RESTORE)
def roll_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask before the safety copies are put back; a POST queues the way back."""
    restoration = _task(request, pk)

    def verb(actor: Actor, typed: str) -> str:
        services.roll_back(actor, restoration, timezone.now())
        return f"{restoration.name} is rolled back. Its steps are shown on this page."

    question = Question(
        title=f"Roll {restoration.name} back?",
        body="restorations/_rollback_body.html",
        address=reverse("restoration-rollback", args=[pk]),
        keep="Leave it",
        do="Roll Back",
        back=reverse("restoration", args=[pk]),
        context={"copies": restorations.safety_copies_of(restoration)},
    )
    return _ask_or_do(request, restoration, question, verb, lambda: leave(request, "restoration", pk))


@require_http_methods(["GET", "POST"])
@needs(permissions.RESTORE)
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask before a restoration task is deleted, saying what stays; a POST deletes it."""
    restoration = _task(request, pk)

    def verb(actor: Actor, typed: str) -> str:
        services.delete_restoration(actor, restoration, timezone.now())
        return f"Restoration task {restoration.name} deleted. The set stays where it is."

    question = Question(
        title=f"Delete restoration task {restoration.name}?",
        body="restorations/_delete_body.html",
        address=reverse("restoration-delete", args=[pk]),
        keep="Keep the task",
        do="Delete task",
        back=reverse("restorations"),
        context={"copies": restorations.safety_copies_of(restoration), "row": restorations.Row(restoration)},
    )
    return _ask_or_do(request, restoration, question, verb, lambda: redirect("restorations"))


@require_http_methods(["GET", "POST"])
@needs(permissions.RESTORE)
def remove_copies(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for the name of the cluster before the safety copies of a run are removed; a POST with it removes them."""
    runs = Run.objects.select_related("restoration", "cluster").filter(kind__in=RESTORES)
    run = row_or_404(request, runs, pk)
    restoration = run.restoration
    assert restoration is not None  # run_kind_has_its_object
    copies = [group for group in restorations.safety_copies_of(restoration) if group.run_id == run.pk]

    def verb(actor: Actor, typed: str) -> str:
        services.remove_safety_copies(actor, run, typed, timezone.now())
        return f"The safety copy of {run.cluster.name} is being removed. It is gone in a minute."

    question = Question(
        title=f"Remove the safety copy of {run.cluster.name}?",
        body="restorations/_copies_body.html",
        address=reverse("safety-copies-remove", args=[pk]),
        keep="Keep the safety copy",
        do="Remove safety copy",
        back=reverse("restorations"),
        word=run.cluster.name,
        context={"copies": copies, "run": run},
    )
    return _ask_or_do(request, restoration, question, verb, lambda: back_to(request, "restorations"))
