"""Creating a restoration task: from a run that this console knows, or from a set that lies in a destination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from storage.errors import ConsoleError
from tasks import permissions, restorations, searches, services
from tasks.audit import actor_of
from tasks.errors import Refused
from tasks.forms.editor import chosen_path_type
from tasks.forms.layout import destination_helper, restoration_helper
from tasks.forms.restoration import (
    SOURCE_PATH,
    RestorationForm,
    SourceEditor,
    SourceForm,
    fresh_source,
    open_source,
    posted_source,
    shown_source_again,
)
from tasks.models import Cluster, Run
from tasks.selectors import number_in
from tasks.services.findsets import Search
from tasks.views.common import back_to, clusters_of, needs, row_or_404, tell_refusal
from tasks.views.verify import Report, answer, wrong_fields

SHOW_FIELDS = "show_fields"


@dataclass
class SourceReport(Report):
    """A verification of a source, whose fields are called otherwise than those of a destination."""

    source: SourceForm | None = None
    confirmed_first: ClassVar[str] = "The host key has to be confirmed before sets can be found."

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields of the form by name."""
        return self.source.fields if self.source else super().fields


@require_GET
@needs(permissions.RESTORE)
def from_runs(request: HttpRequest) -> HttpResponse:
    """Show the sets that this console made and that are still there, to choose one."""
    before, cluster = number_in(request.GET.get("before", "")), number_in(request.GET.get("cluster", ""))
    runs, older = restorations.restorable_sets(request.user, before, cluster)
    clusters = list(clusters_of(request))
    context = {"runs": runs, "older": older, "before": before, "cluster": cluster, "clusters": clusters}
    return render(request, "restorations/new.html", context)


@require_POST
@needs(permissions.RESTORE)
def from_run(request: HttpRequest, pk: int) -> HttpResponse:
    """Create the restoration task of the set that a run made."""
    run = row_or_404(request, Run.objects.select_related("task", "cluster"), pk)
    try:
        restoration = services.restore_from_run(actor_of(request), run, timezone.now())
    except ConsoleError as error:
        tell_refusal(request, error)
        return back_to(request, "restoration-new")
    messages.success(request, f"Restoration task {restoration.name} created. Nothing happens before you start it.")
    return redirect("restoration", restoration.pk)


@require_http_methods(["GET", "POST"])
@needs(permissions.RESTORE)
def from_source(request: HttpRequest) -> HttpResponse:
    """Show the form of the original; a POST looks for sets there, or takes the archive that Source Path names."""
    clusters = clusters_of(request)
    if not clusters.exists():
        return render(request, "restorations/no_cluster.html")
    if request.method == "GET":
        return _form_page(request, open_source(clusters, {"cluster": request.GET.get("cluster", "")}))
    if SHOW_FIELDS in request.POST:
        return _form_page(request, shown_source_again(request.POST, clusters))
    editor = posted_source(request.POST, clusters)
    if not editor.is_valid():
        return _form_page(request, editor)
    search, now = editor.search(), timezone.now()
    services.begin_search(actor_of(request), search)
    if not search.source.archive:
        searches.keep(request.session, search, _person(request), now)
        return redirect("restoration-found")
    try:
        restoration = services.restore_found(actor_of(request), search, "", search.name, now)
    except ConsoleError as error:
        editor.refuse(_at_field(error))
        return _form_page(request, editor)
    messages.success(request, f"Restoration task {restoration.name} created. Nothing happens before you start it.")
    return redirect("restoration", restoration.pk)


def _person(request: HttpRequest) -> int:
    assert request.user.pk is not None  # the page is for people who are logged in
    return int(request.user.pk)


def _at_field(error: ConsoleError) -> Refused:
    """Return an error of the destination as a refusal of the form; what names no field concerns the path."""
    return Refused(error.message, cure=error.cure, field=error.field or SOURCE_PATH)


def _form_page(request: HttpRequest, editor: SourceEditor, **more: Any) -> HttpResponse:
    context = {
        "editor": editor,
        "form": editor.form,
        "form_helper": restoration_helper(),
        "problems": editor.problems() if editor.form.is_bound else [],
        "fields_url": reverse("restoration-source-fields"),
        "verify_url": reverse("restoration-new-verify"),
        **_source_context(editor),
        **more,
    }
    return render(request, "restorations/source.html", context)


def _source_context(editor: SourceEditor) -> dict[str, Any]:
    return {
        "path_type": editor.path_type,
        "destination": editor.destination,
        "destination_helper": destination_helper(editor.destination),
    }


@require_GET
@needs(permissions.RESTORE)
def source_fields(request: HttpRequest) -> HttpResponse:
    """Return the fields of the path type that was chosen."""
    path_type = chosen_path_type(request.GET.get("path_type"))
    form = RestorationForm(clusters=clusters_of(request), initial={"cluster": request.GET.get("cluster", "")})
    editor = SourceEditor(form, path_type, fresh_source(path_type, form.network))
    return render(request, "restorations/_source.html", _source_context(editor))


@require_POST
@needs(permissions.RESTORE)
def verify(request: HttpRequest) -> HttpResponseBase:
    """Try to reach the source as it stands in the form; nothing is written there."""
    clusters = clusters_of(request)
    editor = posted_source(request.POST, clusters)
    editor.form.is_valid()
    editor.destination.is_valid()
    form = editor.destination
    parameters = form.parameters()
    if "host_key" in form.fields:
        parameters = {"host_key": "", **parameters}
    report = SourceReport(request, editor.path_type, parameters, reverse("restoration-new-verify"), source=form)
    report.typed_secrets = any(form.data.get(name) for name in editor.path_type.secret_fields)
    wrong = list(wrong_fields(form))
    cluster = editor.form.cleaned_data.get("cluster") or clusters.first() or Cluster(name="")
    name = str(editor.form.data.get("name", ""))[:64] or "new restoration"
    search = Search(name, cluster, editor.path_type.name, parameters, form.source, form.secrets())
    checks = iter(wrong) if wrong else services.verify_source(actor_of(request), search)

    def page(**parts: Any) -> HttpResponse:
        return _form_page(request, shown_source_again(request.POST, clusters), **parts)

    return answer(request, report, checks, page)


@require_http_methods(["GET", "POST"])
@needs(permissions.RESTORE)
def found(request: HttpRequest) -> HttpResponse:
    """Show the sets of the search that this session began; a POST creates the restoration task of one."""
    now = timezone.now()
    try:
        search = searches.kept(request.session, _person(request), now, clusters_of(request))
    except ConsoleError as over:
        tell_refusal(request, over)
        return redirect("restoration-new-source")
    name, error = search.name, ""
    if request.method == "POST":
        name, key = request.POST.get("name", "").strip(), request.POST.get("set", "")
        try:
            restoration = services.restore_found(actor_of(request), search, key or "/", name, now)
        except ConsoleError as refusal:
            error = str(refusal) if refusal.field == "name" else ""
            if not error:
                tell_refusal(request, refusal)
        else:
            searches.forget(request.session)
            words = "Nothing happens before you start it."
            messages.success(request, f"Restoration task {restoration.name} created. {words}")
            return redirect("restoration", restoration.pk)
    return _found_page(request, search, name, error)


def _found_page(request: HttpRequest, search: Search, name: str, error: str) -> HttpResponse:
    context: dict[str, Any] = {"search": search, "name": name, "error": error}
    try:
        context["page"] = services.find_sets(actor_of(request), search, number_in(request.GET.get("page", "")) or 1)
    except ConsoleError as refusal:
        context["refusal"] = refusal
    return render(request, "restorations/found.html", context)
