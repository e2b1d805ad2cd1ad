"""The pages under System: the management nodes, and what rehearsals need of this one."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from storage.registry import get_path_type
from tasks import permissions
from tasks.audit import actor_of
from tasks.engine import rehearsable
from tasks.errors import EditConflict
from tasks.forms.editor import unjudged
from tasks.forms.management import NodesEditor
from tasks.models import ManagementNodes
from tasks.services.system import save_management_nodes, verify_standby
from tasks.views.checks import shown
from tasks.views.common import needs, tell_refusal
from tasks.views.verify import Report, answer, wrong_fields


@needs(permissions.SYSTEM)
@require_http_methods(["GET", "POST"])
def management_nodes(request: HttpRequest) -> HttpResponse:
    """Show the settings of the management nodes, and change them."""
    nodes = ManagementNodes.current()
    if request.method == "GET":
        return _page(request, NodesEditor(nodes))
    editor = NodesEditor(nodes, request.POST)
    if not editor.is_valid():
        return _page(request, editor)
    try:
        save_management_nodes(actor_of(request), editor.form.cleaned_data["version"], editor.draft())
    except EditConflict as conflict:
        tell_refusal(request, conflict)
        return redirect("management-nodes")
    messages.success(request, "Management nodes saved. The next run uses them.")
    return redirect("management-nodes")


@needs(permissions.SYSTEM)
@require_POST
def verify_nodes(request: HttpRequest) -> HttpResponseBase:
    """Try the standby node as it stands in the form."""
    editor = NodesEditor(ManagementNodes.current(), request.POST)
    editor.standby.is_valid()
    parameters, typed = editor.reachable()
    report = Report(request, get_path_type("SFTP"), parameters, reverse("management-nodes-verify"))
    report.typed_secrets = bool(typed)
    wrong = list(wrong_fields(editor.standby))
    checks = iter(wrong) if wrong else verify_standby(actor_of(request), parameters, typed)
    return answer(request, report, checks, partial(_page, request, editor, judged=False))


@needs(permissions.SYSTEM)
@require_GET
def rehearsals(request: HttpRequest) -> HttpResponse:
    """Show what a rehearsal needs of this machine, what of it is there, and how the rest is had."""
    context = {"looked_at": timezone.now(), **shown(rehearsable.findings())}
    return render(request, "system/rehearsals.html", context)


def _page(request: HttpRequest, editor: NodesEditor, *, judged: bool = True, **more: Any) -> HttpResponse:
    """Return the page; what was sent only to be verified is shown again ``judged`` by nobody."""
    problems = editor.problems() if editor.form.is_bound and judged else []
    if not judged:
        unjudged(editor.form)
        unjudged(editor.standby)
    context = {"editor": editor, "problems": problems, "path_type": get_path_type("SFTP"), **more}
    return render(request, "system/management_nodes.html", context)
