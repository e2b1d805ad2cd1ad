"""Random secrets in channels and in the mail server, and a search for them everywhere after sending failed."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tasks.models import Alarm, MailServer, Node, NotificationChannel, OutboxMessage
from tasks.notify import sender
from tasks.states import MessageState, RunState
from tests.engine.kit import run_now
from tests.notify_kit import ended
from tests.servers.mail import smtp_server, web_server
from tests.web.secret_kit import (
    Search,
    browser_of_a_superuser,  # noqa: F401
    look_everywhere,
    search_for_secrets,  # noqa: F401
)

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]


def test_no_secret_of_a_channel_is_found_after_servers_refused_it(
    search: Search,
    client: Client,
    node: Node,
    make_task: Any,
    make_run: Any,
    storage_path: Any,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    capfd: Any,
) -> None:
    """Errors of the form, a test, a send to servers that repeat what they were given, a retry, the alarm."""
    settings.NOTIFY_LOCAL = True
    run_now(make_task("before"))
    url, token, password = search.plant(("url", "token", "password")).values()
    new = reverse("notification-channel-new")
    with web_server() as hook, smtp_server(login=True) as box:
        hook.status, hook.body = 403, f"who is {token} at {url}".encode()
        box.answers["AUTH"] = f"535 {password}"
        webhook = {"name": "Hook", "url": hook.url(f"/{url}?sig={url}"), "token": token, "enabled": "on"}
        mail = {"smtp_host": "127.0.0.1", "smtp_port": box.port, "smtp_security": "insecure", "sender": "a@b.example"}
        mail |= {"smtp_account": "svc", "password": password, "version": 1}
        own = mail | {"name": "Own", "recipient": "a@b.example", "own_server": "on", "enabled": "on"}
        for address, fields in ((f"{new}?kind=webhook", webhook), (new, own)):
            search.response("errors", client.post(address, fields | {"name": ""}))
            search.response("test", client.post(address.replace("new/", "new/test/"), fields))
            assert search.response("create", client.post(address, fields)).status_code == 302
        system = reverse("notifications-system")
        search.response("errors", client.post(system, mail | {"sender": "x"}))
        search.response(
            "test", client.post(reverse("notifications-system-test"), mail | {"test_recipient": "a@b.example"})
        )
        assert search.response("save", client.post(system, mail)).status_code == 302
        assert MailServer.load().secrets() == {"password": password}
        for channel in NotificationChannel.objects.all():
            assert channel.secrets()
            search.response("try", client.post(reverse("notification-channel-try", args=[channel.pk])))
            NotificationChannel.objects.filter(pk=channel.pk).update(failures=2)
        ended(make_task("failing"), make_run, RunState.FAILED, timezone.now())
        sender.run()
    assert "answered 403" in OutboxMessage.objects.get(state=MessageState.FAILED).error
    assert "password was refused" in OutboxMessage.objects.get(state=MessageState.WAITING).error
    assert Alarm.objects.filter(code="notification-failed").count() == 2
    for alarm in Alarm.objects.all():
        search.take("alarm", f"{alarm.cause} {alarm.cure}")
    look_everywhere(search, client, caplog, capfd)
    assert search.hits() == []
