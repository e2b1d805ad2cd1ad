"""System > Notifications: the mail server of the console, what fails, and the messages of all people."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tasks import alarms, permissions
from tasks.models import AuditEvent, MailServer, NotificationChannel, OutboxMessage
from tasks.notify import health
from tasks.notify.audience import FAILING
from tasks.notify.causes import Cause
from tasks.services import notifications as verbs
from tasks.states import MessageState
from tests.notify_kit import NOW, Post, console_server, mail_channel

pytestmark = pytest.mark.django_db
FORM = {
    "smtp_host": "127.0.0.1", "smtp_port": "465", "smtp_security": "ssl", "smtp_account": "svc",
    "password": "s3cret-password", "sender": "backup@plant.example", "version": "1",
}  # fmt: skip


@pytest.fixture
def client(login: Any) -> Client:
    found: Client = login(permissions.ADMINISTRATOR)
    return found


@pytest.fixture
def page() -> str:
    return reverse("notifications-system")


def text(response: Any) -> str:
    return str(response.content.decode())


def test_the_mail_server_is_saved_and_may_be_on_this_machine(client: Client, page: str) -> None:
    assert "Mail server saved." in text(client.post(page, FORM, follow=True))
    server = MailServer.load()
    assert (server.smtp_port, server.secrets(), server.version) == (465, {"password": "s3cret-password"}, 2)
    shown = text(client.get(page))
    assert "s3cret" not in shown and 'placeholder="Unchanged"' in shown
    event = AuditEvent.objects.get(verb="change mail server")
    assert event.after["smtp_host"] == "127.0.0.1" and "s3cret" not in str(event.after)


@pytest.mark.parametrize("fields,message", [
    ({"smtp_host": ""}, "Give the mail server."), ({"sender": ""}, "Give the address of the sender."),
    ({"sender": "x"}, "Give a mail address"), ({"smtp_host": "169.254.0.1"}, "link-local"),
    ({"smtp_port": ""}, "Give a port from 1 to 65535."),
])  # fmt: skip
def test_what_is_wrong_is_said(client: Client, page: str, fields: dict[str, str], message: str) -> None:
    shown = text(client.post(page, FORM | fields))
    assert message in shown and "The mail server was not saved" in shown and "s3cret" not in shown
    assert "Type the password again" in shown
    assert MailServer.current().smtp_host == ""


def test_somebody_elses_change_is_not_overwritten(client: Client, page: str) -> None:
    console_server(version=4)
    shown = text(client.post(page, FORM, follow=True))
    assert "The mail server was changed by somebody else while you edited it." in shown
    assert MailServer.load().smtp_port == 2525


def test_a_stored_password_does_not_go_to_another_server(client: Client, page: str) -> None:
    client.post(page, FORM)
    moved = FORM | {"password": "", "smtp_host": "evil.example", "version": "2"}
    assert "Type the password: the stored one is for another server or account." in text(client.post(page, moved))
    client.post(page, FORM | {"password": "", "sender": "b@plant.example", "version": "2"})
    assert MailServer.load().secrets() == {"password": "s3cret-password"}


def test_a_saved_server_forgets_its_failures_and_what_waits_goes_out(client: Client, page: str, viewer: User) -> None:
    server = console_server()
    message = OutboxMessage.objects.create(
        channel=mail_channel(viewer), first_batch=1, last_batch=1, next_attempt_at=NOW.replace(year=2100)
    )
    for _ in range(3):
        health.failed(server, Cause("It is down.", "Mend it."), NOW)
    assert alarms.uncleared().filter(code=FAILING).exists()
    shown = text(client.get(page))
    assert "The mail server does not take mails since" in shown and "It is down. Mend it." in shown
    client.post(page, FORM)
    assert not alarms.uncleared().filter(code=FAILING).exists()
    message.refresh_from_db()
    assert message.next_attempt_at.year < 2100
    assert MailServer.load().retry_at is None


def test_a_test_goes_to_the_address_that_is_given(client: Client, monkeypatch: Any) -> None:
    post = Post()
    monkeypatch.setattr(verbs, "Delivery", lambda: post)
    address = reverse("notifications-system-test")
    shown = text(client.post(address, FORM | {"test_recipient": "a@plant.example"}))
    assert "The server took it after" in shown and "s3cret" not in shown
    (parcel,) = post.parcels
    assert (parcel.service["targets"], parcel.service["password"]) == (["a@plant.example"], "s3cret-password")
    assert parcel.local, "the console's own mail server may be on its machine"
    assert MailServer.current().smtp_host == "", "a test saves nothing"
    assert "Give the address that the test goes to." in text(client.post(address, FORM))
    assert len(post.parcels) == 1


def test_messages_of_all_people_are_listed_without_what_they_say(client: Client, page: str, viewer: User) -> None:
    channel = mail_channel(viewer)
    for state in MessageState:
        fields: dict[str, Any] = {"lease_token": "x", "lease_until": NOW} if state == MessageState.SENDING else {}
        OutboxMessage.objects.create(
            channel=channel,
            state=state,
            first_batch=1,
            last_batch=1,
            subject="Secret project",
            error="Refused.",
            **fields,
        )
    shown = text(client.get(page))
    assert "Secret project" not in shown, "a person may see clusters that the administrator may not"
    assert shown.count(">Retry</button>") == 1 and "viewer" in shown
    only = text(client.get(f"{page}?state=failed"))
    assert only.count('<td role="cell" data-label="Person">') == 1
    assert text(client.get(f"{page}?state=nonsense")).count('<td role="cell" data-label="Person">') == 4
    failed = OutboxMessage.objects.get(state=MessageState.FAILED)
    client.post(reverse("notification-retry", args=[failed.pk]))
    failed.refresh_from_db()
    assert failed.state == MessageState.WAITING


def test_channels_that_fail_are_named_with_their_cause(client: Client, page: str, viewer: User) -> None:
    channel = mail_channel(viewer, "My mail")
    health.failed(channel, Cause("The recipient was refused.", "Check it."), NOW)
    shown = text(client.get(page))
    assert "My mail of viewer" in shown and "The recipient was refused. Check it." in shown
    NotificationChannel.objects.update(failures=0)
    assert "My mail of viewer" not in text(client.get(page))


def test_the_page_says_when_messages_can_have_no_links(client: Client, page: str, settings: Any) -> None:
    assert "Set CONSOLE_URL" in text(client.get(page))
    settings.CONSOLE_URL = "https://console.example"
    assert "Set CONSOLE_URL" not in text(client.get(page))
