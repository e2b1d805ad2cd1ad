"""A person's own notifications: levels, channels, and the messages that were sent or not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from storage.errors import ConsoleError
from tasks import messagelist, permissions
from tasks.audit import actor_of
from tasks.errors import EditConflict, Refused
from tasks.forms.channel import CHANNEL_FORMS
from tasks.forms.editor import focus_first, problems_of, unjudged
from tasks.forms.notification import SettingForm, TaskLevelForm
from tasks.models import (
    BackupTask,
    MailServer,
    NotificationChannel,
    NotificationSetting,
    OutboxMessage,
    TaskNotification,
)
from tasks.scope import narrowed
from tasks.services import notifications as verbs
from tasks.states import ChannelKind
from tasks.views.common import back_to, needs, row_or_404, tell_refusal
from tasks.views.verify import Report, answer, wrong_fields

_TYPE_AGAIN = "Type it again; it is not kept while the form has errors."


class TestReport(Report):
    """What a test message came to, with the names of the fields of the form."""

    title = "Test message"
    again = "Send again"
    __test__ = False


@needs(permissions.VIEW)
@require_http_methods(["GET", "POST"])
def notifications(request: HttpRequest) -> HttpResponse:
    """Show what the person is told and by which channels; a POST chooses the default level and the hour of digests."""
    mine = _setting_of(request)
    if request.method == "GET":
        return _page(request, SettingForm(instance=mine, zone=timezone.get_current_timezone_name()))
    form = SettingForm(request.POST, instance=mine, zone=timezone.get_current_timezone_name())
    if not form.is_valid():
        return _page(request, form)
    verbs.set_levels(actor_of(request), form.cleaned_data["level"], form.cleaned_data["digest_hour"])
    messages.success(request, "Notification level saved.")
    return redirect("notifications")


@needs(permissions.VIEW)
@require_POST
def find_task(request: HttpRequest) -> HttpResponse:
    """Go to the level of a task by its name."""
    name = request.POST.get("task", "").strip()
    task = narrowed(BackupTask.objects.all(), request.user).filter(name=name).first()
    if task is None:
        text = f"No task is called {name}. Give its whole name." if name else "Give the name of a task."
        messages.error(request, text)
        return redirect("notifications")
    return redirect("task-notifications", task.pk)


@needs(permissions.VIEW)
@require_http_methods(["GET", "POST"])
def of_task(request: HttpRequest, pk: int) -> HttpResponse:
    """Show and choose what the person is told of one task."""
    task = row_or_404(request, BackupTask.objects, pk)
    mine = TaskNotification.objects.filter(user=_user(request), task=task).values_list("level", flat=True).first()
    default = _setting_of(request).level
    form = TaskLevelForm(request.POST or None, initial={"level": mine or ""}, default=default)
    if request.method == "POST" and form.is_valid():
        verbs.set_task_level(actor_of(request), task, form.cleaned_data["level"])
        messages.success(request, f"Notification level of {task.name} saved.")
        return back_to(request, "notifications")
    has_channel = NotificationChannel.objects.filter(user=_user(request), enabled=True).exists()
    context = {"task": task, "form": form, "problems": _problems(form), "has_channel": has_channel}
    return render(request, "account/task_notifications.html", context | {"next": request.GET.get("next", "")})


# --- Channels -------------------------------------------------------------------------------------------------------
@sensitive_post_parameters()
@needs(permissions.VIEW)
@require_http_methods(["GET", "POST"])
def new_channel(request: HttpRequest) -> HttpResponse:
    """Add a channel of a kind."""
    return _edit(request, _fresh(request))


@sensitive_post_parameters()
@needs(permissions.VIEW)
@require_http_methods(["GET", "POST"])
def channel(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a channel."""
    return _edit(request, _own(request, pk))


@sensitive_post_parameters()
@needs(permissions.VIEW)
@require_POST
def test_new(request: HttpRequest) -> HttpResponseBase:
    """Send a test over a channel that is being added."""
    return _test(request, _fresh(request))


@sensitive_post_parameters()
@needs(permissions.VIEW)
@require_POST
def test_changed(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send a test over a channel as it stands in the form."""
    return _test(request, _own(request, pk))


@needs(permissions.VIEW)
@require_POST
def test_saved(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a test over a channel as it is stored, and show what came of it on the page."""
    mine = _own(request, pk)
    found = list(verbs.test_channel(actor_of(request), mine))
    form = SettingForm(instance=_setting_of(request), zone=timezone.get_current_timezone_name())
    return _page(request, form, tested=mine, test_findings=found, tested_at=timezone.now())


@needs(permissions.VIEW)
@require_http_methods(["GET", "POST"])
def delete_channel(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, and take a channel away."""
    mine = _own(request, pk)
    if request.method == "GET":
        return render(request, "account/channel_delete.html", {"channel": mine})
    verbs.delete_channel(actor_of(request), mine)
    messages.success(request, f"Channel {mine.name} deleted.")
    return redirect("notifications")


@needs(permissions.VIEW)
@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a message that was given up tried again: the person's own, and any for an administrator."""
    rows = OutboxMessage.objects.select_related("channel")
    if not request.user.has_perm(permissions.SYSTEM):
        rows = rows.filter(channel__user=_user(request))
    message = get_object_or_404(rows, pk=pk)
    try:
        verbs.retry_message(actor_of(request), message)
        messages.success(request, "The message is tried again at the next minute.")
    except ConsoleError as error:
        tell_refusal(request, error)
    return back_to(request, "notifications")


def _edit(request: HttpRequest, mine: NotificationChannel) -> HttpResponse:
    if request.method == "GET":
        return _channel_page(request, mine, CHANNEL_FORMS[mine.kind](instance=mine))
    fresh, form = mine.pk is None, CHANNEL_FORMS[mine.kind](request.POST, instance=mine)
    if not form.is_valid() or not _saved(form, lambda: _save(request, form)):
        _ask_again(form)
        return _channel_page(request, mine, form)
    done = "added. Send a test to see whether messages arrive" if fresh else "saved"
    messages.success(request, f"Channel {form.instance.name} {done}.")
    return redirect("notifications")


def _save(request: HttpRequest, form: Any) -> None:
    form.instance.version = form.cleaned_data.get("version") or 1
    with transaction.atomic():
        verbs.save_channel(actor_of(request), form.instance, form.secrets())


def _saved(form: Any, verb: Callable[[], None]) -> bool:
    """Do ``verb``; show why it was refused at the form."""
    try:
        verb()
    except (Refused, EditConflict) as error:
        form.add_error(None, str(error))
        return False
    except IntegrityError:
        form.add_error("name", "The name was given to another channel just now. Choose a different name.")
        return False
    return True


def _ask_again(form: Any) -> None:
    """Ask for what was typed as a secret, which the page does not hold."""
    for name in ("password", "token", "url"):
        if name in form.fields and form.data.get(name) and name not in form.errors:
            form.add_error(name, _TYPE_AGAIN)


def _test(request: HttpRequest, mine: NotificationChannel) -> HttpResponseBase:
    form = CHANNEL_FORMS[mine.kind](request.POST, instance=mine)
    form.is_valid()
    report = TestReport(request, None, {}, _test_address(mine))  # type: ignore[arg-type]
    report.known_fields = form.fields  # type: ignore[misc]
    report.typed_secrets = any(form.data.get(name) for name in ("password", "token", "url"))
    wrong = list(wrong_fields(form))
    checks = iter(wrong) if wrong else verbs.test_channel(actor_of(request), form.instance, form.secrets())
    return answer(request, report, checks, partial(_channel_page, request, mine, form, judged=False))


# --- Pages ----------------------------------------------------------------------------------------------------------
def _page(request: HttpRequest, form: SettingForm, **more: Any) -> HttpResponse:
    user = _user(request)
    overrides = TaskNotification.objects.filter(user=user, task__deleted_at__isnull=True)
    context = {
        "form": form,
        "problems": _problems(form),
        "channels": NotificationChannel.objects.filter(user=user).order_by("name"),
        "server_missing": not MailServer.current().smtp_host,
        "overrides": narrowed(overrides, user, "task__cluster").select_related("task").order_by("task__name")[:200],
        "here": reverse("notifications"),
        **messagelist.whole(request.GET, OutboxMessage.objects.filter(channel__user=user)),
        **more,
    }
    return render(request, "account/notifications.html", context)


def _channel_page(
    request: HttpRequest, mine: NotificationChannel, form: Any, *, judged: bool = True, **more: Any
) -> HttpResponse:
    problems = _problems(form) if judged else []
    if not judged:
        unjudged(form)
    name = NotificationChannel.objects.values_list("name", flat=True).get(pk=mine.pk) if mine.pk else ""
    context = {
        "channel": mine,
        "form": form,
        "problems": problems,
        "noun": "channel",
        "heading": f"Edit {name}" if name else f"Add {ChannelKind(mine.kind).label.lower()}",
        "test_address": _test_address(mine),
        "path_type": {"name": "As it stands in the form"},
        "verify_title": TestReport.title,
        **more,
    }
    return render(request, "account/channel.html", context)


def _problems(form: Any) -> list[Any]:
    if not form.is_bound or not form.errors:
        return []
    focus_first(form)
    return problems_of(form)


def _test_address(mine: NotificationChannel) -> str:
    if mine.pk:
        return reverse("notification-channel-test", args=[mine.pk])
    return f"{reverse('notification-channel-new-test')}?kind={mine.kind}"


def _fresh(request: HttpRequest) -> NotificationChannel:
    kind, user = request.GET.get("kind", ChannelKind.MAIL), _user(request)
    if kind not in ChannelKind.values:
        raise Http404
    names = {ChannelKind.MAIL: "Mail", ChannelKind.WEBHOOK: "Webhook", ChannelKind.URL: "Chat"}
    recipient = user.email if kind == ChannelKind.MAIL else ""
    return NotificationChannel(user=user, kind=kind, name=names[ChannelKind(kind)], recipient=recipient)


def _own(request: HttpRequest, pk: int) -> NotificationChannel:
    return get_object_or_404(NotificationChannel.objects.filter(user=_user(request)), pk=pk)


def _setting_of(request: HttpRequest) -> NotificationSetting:
    user = _user(request)
    return NotificationSetting.objects.filter(user=user).first() or NotificationSetting(user=user)


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
