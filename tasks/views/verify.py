"""Verify: a destination is tried step by step, and each line is sent as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, ClassVar

from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.views.decorators.http import require_http_methods, require_POST

from storage.base import PathType
from storage.checks import Check
from storage.fields import HostKeyField
from storage.registry import get_path_type
from tasks import permissions, services
from tasks.audit import actor_of
from tasks.forms.editor import TaskEditor, posted, shown_again
from tasks.models import BackupTask
from tasks.rows import place_of
from tasks.services.verify import totals
from tasks.views.common import clusters_of, needs, row_or_404
from tasks.views.taskform import form_page

WORDS = {"ok": "OK", "warning": "Warning", "failed": "Failed"}
ICONS = {"ok": ("ok", "ico-ok"), "warning": ("warn", "ico-warn"), "failed": ("fail", "ico-fail")}
# A script that reads the lines as they come says so by this header.
WANTS_LINES = "X-Verify-Lines"
# What only Verify can bring into the form, or what it does not need.
_NOT_NEEDED = ("host_key", "copies")


@dataclass
class Report:
    """The lines of one verification as HTML, with what a page says around them.

    ``form_address`` is where the form sends itself to be verified; empty on the page of a saved task.
    """

    request: HttpRequest
    path_type: PathType
    parameters: dict[str, Any]
    form_address: str = ""
    task: BackupTask | None = None
    seen: list[Check] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    typed_secrets: bool = False

    again: ClassVar[str] = "Verify again"
    confirmed_first: ClassVar[str] = "The host key has to be confirmed before the task can be saved."
    known_fields: ClassVar[Mapping[str, Any]] = {}

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields of the form by name."""
        return self.known_fields or self.path_type.form_class.base_fields

    def lines(self, checks: Iterator[Check]) -> Iterator[str]:
        """Yield each check as one ``<li>`` without a line break."""
        for check in checks:
            self.seen.append(check)
            yield _one_line("verify/_line.html", self._line(check))

    def foot(self) -> str:
        """Return the totals, for the end of the panel."""
        took = time.monotonic() - self.began
        context = {"totals": totals(self.seen), "took": f"{took:.1f} s", "at": timezone.now(), "report": self}
        return _one_line("verify/_foot.html", context)

    @property
    def note(self) -> str:
        """What is said beside OK."""
        failures = sum(check.level == "failed" for check in self.seen)
        if any(check.offer for check in self.seen):
            return self.confirmed_first
        if failures and "host_key" in self.fields and not self.parameters.get("host_key"):
            return f"{_count(failures)} failed, and the host key is not confirmed yet."
        return f"{_count(failures)} failed. You may still save." if failures else ""

    def _line(self, check: Check) -> dict[str, Any]:
        fields = self.fields
        icon, css = ICONS[check.level]
        context: dict[str, Any] = {"check": check, "icon_name": icon, "css": css, "report": self}
        context["word"] = "Confirm" if check.offer and check.level == "warning" else WORDS[check.level]
        if check.field is not None and check.field in fields and check.level != "ok":
            context |= {"label": fields[check.field].label, "link": self._link_to(check.field)}
        if check.offer and self.form_address:
            host, port = self.parameters.get("server_ip"), self.parameters.get("port")
            context["value"] = HostKeyField.bind(check.offer.value, host, port)
        return context

    def _link_to(self, name: str) -> str:
        """Return where the field is; empty for a person who may not change it."""
        if self.form_address:
            return f"#id_{name}"
        if self.task is None or not self.request.user.has_perm(permissions.MANAGE):
            return ""
        return f"{reverse('task-configure', args=[self.task.pk])}#id_{name}"


@needs(permissions.MANAGE)
@require_POST
def new(request: HttpRequest) -> HttpResponseBase:
    """Try the destination of a task that is being created."""
    return _form(request, posted(request.POST, clusters_of(request)), reverse("task-new-verify"))


@needs(permissions.MANAGE)
@require_POST
def changed(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Try the destination of a task as it stands in the form."""
    task = row_or_404(request, BackupTask.objects.select_related("cluster"), pk)
    editor = posted(request.POST, clusters_of(request), task)
    return _form(request, editor, reverse("task-configure-verify", args=[pk]))


@needs(permissions.RUN)
@require_http_methods(["GET", "POST"])
def saved(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Show a page for trying the destination of a task; a POST tries it and sends the page as the lines come."""
    task = row_or_404(request, BackupTask.objects.select_related("cluster"), pk)
    report = Report(request, get_path_type(task.path_type), task.destination, task=task)
    context = {"task": task, "place": place_of(task), "report": report}
    if request.method == "GET":
        return HttpResponse(render_to_string("verify/page.html", context, request))
    checks = services.verify_destination(actor_of(request), task)
    # The page is cut where the lines and the totals go, so that a browser shows them as they come, without script.
    marker = get_random_string(32)
    parts = render_to_string("verify/page.html", context | {"marker": marker}, request).split(marker)
    return _streamed(_page_parts(report, checks, parts))


def _page_parts(report: Report, checks: Iterator[Check], parts: list[str]) -> Generator[str, None, None]:
    before, between, after = parts
    yield before
    yield from report.lines(checks)
    yield between
    yield report.foot()
    yield after


def _form(request: HttpRequest, editor: TaskEditor, address: str) -> HttpResponseBase:
    """Send the lines to a script as they come, and otherwise the whole page after the end."""
    editor.form.is_valid()
    editor.destination.is_valid()
    report = Report(request, editor.path_type, _parameters(editor), address, editor.task)
    report.typed_secrets = any(editor.destination.data.get(name) for name in editor.path_type.secret_fields)
    wrong = list(_wrong_fields(editor))
    checks = iter(wrong) if wrong else services.verify_draft(actor_of(request), _draft(editor, report.parameters))

    def page(**parts: Any) -> HttpResponse:
        return form_page(request, shown_again(request.POST, clusters_of(request), editor.task), **parts)

    return answer(request, report, checks, page)


def answer(
    request: HttpRequest, report: Report, checks: Iterator[Check], page: Callable[..., HttpResponse]
) -> HttpResponseBase:
    """Send the lines to a script as they come; otherwise the form's ``page`` with all of them, after the end."""
    if request.headers.get(WANTS_LINES):
        return _streamed(_lines_for_script(report, checks))
    lines = list(report.lines(checks))
    return page(report=report, report_lines=lines, report_foot=report.foot())


def _lines_for_script(report: Report, checks: Iterator[Check]) -> Generator[str, None, None]:
    """Yield one fragment a line; each names by ``data-into`` the place it goes to."""
    for line in report.lines(checks):
        yield f"{line}\n"
    yield f"{report.foot()}\n"


def _streamed(parts: Generator[str, None, None]) -> StreamingHttpResponse:
    """Return a response whose lines are written in the zone of this request, and kept by no proxy."""
    response = StreamingHttpResponse(_in_zone(parts, timezone.get_current_timezone()))
    response.headers["X-Accel-Buffering"] = "no"
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _in_zone(parts: Generator[str, None, None], zone: tzinfo) -> Iterator[bytes]:
    """Make each part while ``zone`` is active; the middleware's own override has ended by then."""
    with closing(parts):
        while True:
            with timezone.override(zone):
                part = next(parts, None)
            if part is None:
                return
            yield part.encode()


def _parameters(editor: TaskEditor) -> dict[str, Any]:
    """Return what was typed and holds; a host key that does not hold for this server is left out."""
    return {"host_key": "", **editor.parameters()} if "host_key" in editor.destination.fields else editor.parameters()


def _wrong_fields(editor: TaskEditor) -> Iterator[Check]:
    """Yield a line for each field that has to change before anything can be tried."""
    if editor.unseen:
        text = f"The fields below were not those of {editor.path_type.name}. They are now."
        yield Check("failed", "Fields", text, "Fill them in and verify again.")
        return
    yield from wrong_fields(editor.destination)


def wrong_fields(form: BaseForm) -> Iterator[Check]:
    """Yield a line for each field of a destination that has to change before it can be tried."""
    for name, messages in form.errors.items():
        if name not in _NOT_NEEDED:
            yield Check("failed", "Fields", " ".join(map(str, messages)), field=name)


def _draft(editor: TaskEditor, parameters: dict[str, Any]) -> services.DestinationDraft:
    cluster = editor.form.backup_object
    chosen = [] if editor.form.all_services() else list(editor.form.cleaned_data.get("services") or [])
    every = list(cluster.services.select_related("cluster").prefetch_related("nodes")) if cluster else []
    return services.DestinationDraft(
        task=editor.task or BackupTask(name=editor.form.data.get("name", "")[:64] or "new task", cluster=cluster),
        path_type=editor.path_type,
        parameters=parameters,
        copies=editor.destination.cleaned_data.get("copies") or 1,
        services=chosen or every,
        typed=editor.secrets(),
    )


def _one_line(template: str, context: dict[str, Any]) -> str:
    return " ".join(render_to_string(template, context).split("\n")).strip()


def _count(failures: int) -> str:
    return "1 check" if failures == 1 else f"{failures} checks"
