"""System > Notifications: the mail server of the console, channels that fail, and everybody's last messages."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from storage.checks import Check
from tasks import messagelist, permissions
from tasks.audit import actor_of
from tasks.errors import EditConflict
from tasks.forms.editor import focus_first, problems_of, unjudged
from tasks.forms.notification import MailServerForm
from tasks.models import MailServer, NotificationChannel, OutboxMessage
from tasks.services import notifications as verbs
from tasks.views.common import needs, tell_refusal
from tasks.views.notifications import TestReport
from tasks.views.verify import answer, wrong_fields

FAILING_SHOWN = 50


@sensitive_post_parameters()
@needs(permissions.SYSTEM)
@require_http_methods(["GET", "POST"])
def notifications(request: HttpRequest) -> HttpResponse:
    """Show the mail server and what became of messages; a POST saves the mail server."""
    if request.method == "GET":
        return _page(request, MailServerForm(instance=MailServer.current()))
    form = MailServerForm(request.POST, instance=MailServer.current())
    if not form.is_valid():
        if form.data.get("password") and "password" not in form.errors:
            form.add_error("password", "Type the password again; it is not kept while the form has errors.")
        return _page(request, form)
    form.instance.version = form.cleaned_data.get("version") or 1
    try:
        verbs.save_mail_server(actor_of(request), form.instance, form.secrets())
        messages.success(request, "Mail server saved. Send a test to see whether mails arrive.")
    except EditConflict as conflict:
        tell_refusal(request, conflict)
    return redirect("notifications-system")


@sensitive_post_parameters()
@needs(permissions.SYSTEM)
@require_POST
def test(request: HttpRequest) -> HttpResponseBase:
    """Send a test mail over the mail server as it stands in the form."""
    form = MailServerForm(request.POST, instance=MailServer.current())
    form.is_valid()
    recipient = request.POST.get("test_recipient", "").strip()
    report = TestReport(request, None, {}, reverse("notifications-system-test"))  # type: ignore[arg-type]
    report.known_fields = form.fields  # type: ignore[misc]
    report.typed_secrets = bool(form.data.get("password"))
    wrong = list(wrong_fields(form))
    if "@" not in recipient:
        wrong.append(Check("failed", "Fields", "Give the address that the test goes to.", field="test_recipient"))
    actor = actor_of(request)
    checks = iter(wrong) if wrong else verbs.test_mail_server(actor, form.instance, recipient, form.secrets())
    return answer(request, report, checks, partial(_page, request, form, judged=False))


def _page(request: HttpRequest, form: MailServerForm, *, judged: bool = True, **more: Any) -> HttpResponse:
    """Return the page; what was sent only to be tested is shown again ``judged`` by nobody."""
    problems: list[Any] = []
    if form.is_bound and judged:
        focus_first(form)
        problems = problems_of(form)
    if not judged:
        unjudged(form)
    failing = NotificationChannel.objects.filter(failures__gt=0).select_related("user").order_by("-failures", "pk")
    context = {
        "form": form,
        "problems": problems,
        "noun": "mail server",
        "server": MailServer.current(),
        "console_url": settings.CONSOLE_URL,
        "schemes": settings.NOTIFY_SCHEMES,
        "failing": failing[:FAILING_SHOWN],
        "test_recipient": request.POST.get("test_recipient", getattr(request.user, "email", "")),
        "path_type": {"name": "As it stands in the form"},
        "verify_title": TestReport.title,
        "here": reverse("notifications-system"),
        **messagelist.whole(request.GET, OutboxMessage.objects.all(), chips=True),
        **more,
    }
    return render(request, "system/notifications.html", context)
