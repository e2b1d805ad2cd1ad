"""Channels of a person: given by fields or by a URL, their secrets kept, tried in place."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tasks import permissions
from tasks.models import (
    AuditEvent,
    NotificationChannel,
    OutboxMessage,
)
from tasks.notify.delivery import Result
from tasks.services import notifications as verbs
from tasks.states import MessageState
from tasks.views.verify import WANTS_LINES
from tests.notify_kit import REFUSED, Post, console_server, mail_channel, webhook_channel

pytestmark = pytest.mark.django_db
PAGE = "/settings/notifications/"


@pytest.fixture
def client(login: Any) -> Client:
    found: Client = login(permissions.VIEWER)
    return found


@pytest.fixture
def post(monkeypatch: Any) -> Post:
    """What the verbs hand to a courier."""
    found = Post()
    found.look = lambda parcel: Result(True)  # type: ignore[attr-defined]
    monkeypatch.setattr(verbs, "Delivery", lambda: found)
    monkeypatch.setattr("tasks.forms.channel.Delivery", lambda: found)
    return found


def text(response: Any) -> str:
    return str(response.content.decode())


def mail_form(**fields: Any) -> dict[str, Any]:
    return {"name": "Mail", "recipient": "anna@plant.example", "enabled": "on", "smtp_port": "587",
            "smtp_security": "starttls"} | fields  # fmt: skip


OWN_SERVER = {
    "own_server": "on", "smtp_host": "mail.plant.example", "smtp_account": "anna", "password": "s3cret-password",
    "sender": "anna@plant.example",
}  # fmt: skip


# --- Channels -------------------------------------------------------------------------------------------------------
def test_a_mail_channel_begins_with_the_address_of_the_person(client: Client, viewer: User) -> None:
    User.objects.filter(pk=viewer.pk).update(email="v@plant.example")
    assert 'value="v@plant.example"' in text(client.get(reverse("notification-channel-new")))
    page = text(client.post(reverse("notification-channel-new"), mail_form(), follow=True))
    assert "Channel Mail added." in page
    channel = NotificationChannel.objects.get()
    assert (channel.user, channel.recipient, channel.by_console_server) == (viewer, "anna@plant.example", True)
    assert "The console has no mail server yet." in page
    assert AuditEvent.objects.get(verb="create notification channel").after["recipient"] == "anna@plant.example"


@pytest.mark.parametrize("fields,message", [
    ({"name": ""}, "Give the channel a name."),
    ({"recipient": ""}, "Give the address that mails go to."),
    ({"recipient": "anna"}, "Give a mail address, for example anna@plant.example."),
    ({"own_server": "on"}, "Give the mail server."),
    (OWN_SERVER | {"sender": ""}, "Give the address of the sender."),
    (OWN_SERVER | {"smtp_host": "http://mail/x"}, "Give the name or the address of a host"),
    (OWN_SERVER | {"smtp_host": "169.254.169.254"}, "169.254.169.254 is a link-local address. Nothing is sent there."),
    (OWN_SERVER | {"smtp_host": "localhost"}, "localhost is an address of the console&#x27;s own machine."),
    (OWN_SERVER | {"smtp_port": "70000"}, "Give a port from 1 to 65535."),
    (OWN_SERVER | {"password": ""}, "Type the password."),
    (OWN_SERVER | {"smtp_account": ""}, "Say whose password this is."),
    (OWN_SERVER | {"password": "wörd"}, "SMTP sends ASCII only."),
])  # fmt: skip
def test_what_is_wrong_with_a_mail_channel_is_said_at_its_field(client: Client, fields: Any, message: str) -> None:
    page = text(client.post(reverse("notification-channel-new"), mail_form(**fields)))
    assert message in page and "<title>Error: Add mail" in page
    assert "s3cret-password" not in page
    assert not NotificationChannel.objects.exists()


def test_a_password_is_kept_for_its_server_only(client: Client, viewer: User) -> None:
    client.post(reverse("notification-channel-new"), mail_form(**OWN_SERVER))
    channel = NotificationChannel.objects.get()
    assert channel.secrets() == {"password": "s3cret-password"}
    edit = reverse("notification-channel", args=[channel.pk])
    page = text(client.get(edit))
    assert "s3cret-password" not in page and 'placeholder="Unchanged"' in page
    moved = mail_form(**OWN_SERVER, version=1) | {"password": "", "smtp_host": "evil.example"}
    assert "Type the password: the stored one is for another server or account." in text(client.post(edit, moved))
    client.post(edit, mail_form(**OWN_SERVER, version=1) | {"password": "", "name": "Other"})
    channel.refresh_from_db()
    assert (channel.name, channel.secrets()) == ("Other", {"password": "s3cret-password"})
    assert AuditEvent.objects.get(verb="change notification channel").after == {"name": "Other"}


def test_a_channel_that_was_saved_elsewhere_is_not_overwritten(client: Client, viewer: User) -> None:
    channel = mail_channel(viewer, version=3)
    page = text(client.post(reverse("notification-channel", args=[channel.pk]), mail_form(version=2)))
    assert "Mail was changed elsewhere while you edited it." in page


def test_a_webhook_and_its_token_are_secrets(client: Client, viewer: User) -> None:
    new = reverse("notification-channel-new") + "?kind=webhook"
    fields = {"name": "Hook", "url": "https://hook.example/s3cret-path", "token": "s3cret-token", "enabled": "on"}
    page = text(client.post(new, fields, follow=True))
    assert "https://hook.example/******" in page and "s3cret" not in page
    channel = NotificationChannel.objects.get()
    assert channel.secrets() == {"url": "https://hook.example/s3cret-path", "token": "s3cret-token"}
    assert "s3cret" not in channel.sealed_secrets
    edit = reverse("notification-channel", args=[channel.pk])
    assert "s3cret" not in text(client.get(edit))
    client.post(edit, {"name": "Hook", "enabled": "on", "version": 1, "token": "n3w-token"})
    channel.refresh_from_db()
    assert channel.secrets() == {"url": "https://hook.example/s3cret-path", "token": "n3w-token"}
    client.post(edit, {"name": "Hook", "enabled": "on", "version": 2, "url": "https://other.example/x"})
    channel.refresh_from_db()
    assert channel.secrets() == {"url": "https://other.example/x"}, "a token goes to the address it was given for"
    assert all("s3cret" not in f"{event.before}{event.after}" for event in AuditEvent.objects.all())


@pytest.mark.parametrize("url,message", [
    ("", "Give the address."), ("ftp://hook.example/", "such as"), ("https://", "such as"),
    ("https://hook.example:99999/", "such as"), ("https://a b/", "such as"), ("https://[::1/", "such as"),
    ("http://127.0.0.1:8000/", "own machine"), ("http://[::1]/", "own machine"),
    ("http://169.254.169.254/", "link-local"),
])  # fmt: skip
def test_what_is_no_address_of_a_webhook(client: Client, url: str, message: str) -> None:
    new = reverse("notification-channel-new") + "?kind=webhook"
    assert message in text(client.post(new, {"name": "Hook", "url": url}))
    assert not NotificationChannel.objects.exists()


def test_services_are_held_against_the_setting_and_asked_of_apprise(client: Client, post: Post, settings: Any) -> None:
    new = reverse("notification-channel-new") + "?kind=url"
    settings.NOTIFY_SCHEMES = ["slack"]
    assert "not among those that are allowed" in text(client.post(new, {"name": "Chat", "url": "mmosts://h/s3cret"}))
    assert "link-local" in text(client.post(new, {"name": "Chat", "url": "slack://169.254.169.254/x"}))
    post.look = lambda parcel: Result(False, {"stage": "url", "how": "unknown"})  # type: ignore[attr-defined]
    page = text(client.post(new, {"name": "Chat", "url": "slack://s3cret/"}))
    assert "The URL is not understood." in page and "s3cret" not in page
    post.look = lambda parcel: Result(True)  # type: ignore[attr-defined]
    client.post(new, {"name": "Chat", "url": "slack://s3cret/T/K", "enabled": "on"})
    assert NotificationChannel.objects.get().shown == "slack://******"


def test_a_kind_that_nobody_knows_is_not_found(client: Client) -> None:
    assert client.get(reverse("notification-channel-new") + "?kind=pigeon").status_code == 404


def test_names_are_ones_own_and_there_is_a_limit(client: Client, viewer: User, operator: User) -> None:
    mail_channel(operator)
    mail_channel(viewer)
    new = reverse("notification-channel-new")
    assert "You already have a channel called Mail." in text(client.post(new, mail_form()))
    for number in range(verbs.CHANNELS_EACH - 1):
        mail_channel(viewer, f"Mail {number}")
    assert "You have 20 channels already." in text(client.post(new, mail_form(name="Another")))


def test_channels_of_others_are_not_found(client: Client, operator: User) -> None:
    channel = mail_channel(operator)
    message = OutboxMessage.objects.create(channel=channel, first_batch=1, last_batch=1, state=MessageState.FAILED)
    for name in ("notification-channel", "notification-channel-delete"):
        assert client.get(reverse(name, args=[channel.pk])).status_code == 404
    for name in ("notification-channel-try", "notification-channel-test", "notification-channel-delete"):
        assert client.post(reverse(name, args=[channel.pk])).status_code == 404
    assert client.post(reverse("notification-retry", args=[message.pk])).status_code == 404


def test_a_channel_is_deleted_after_a_question(client: Client, viewer: User) -> None:
    channel = mail_channel(viewer)
    address = reverse("notification-channel-delete", args=[channel.pk])
    assert "Delete channel Mail?" in text(client.get(address))
    assert NotificationChannel.objects.exists()
    assert "Channel Mail deleted." in text(client.post(address, follow=True))
    assert not NotificationChannel.objects.exists()
    assert AuditEvent.objects.filter(verb="delete notification channel").exists()


def test_turning_a_channel_off_gives_up_what_waits_for_it(client: Client, viewer: User) -> None:
    channel = mail_channel(viewer)
    OutboxMessage.objects.create(channel=channel, first_batch=1, last_batch=1, subject="x")
    OutboxMessage.objects.create(channel=channel, first_batch=2, last_batch=2)
    client.post(reverse("notification-channel", args=[channel.pk]), mail_form(version=1) | {"enabled": ""})
    assert [message.state for message in OutboxMessage.objects.all()] == [MessageState.FAILED]
    assert "The channel was turned off" in OutboxMessage.objects.get().error


# --- Test -----------------------------------------------------------------------------------------------------------
def test_a_test_shows_its_result_in_place(client: Client, viewer: User, post: Post) -> None:
    console_server()
    channel = mail_channel(viewer)
    page = text(client.post(reverse("notification-channel-try", args=[channel.pk])))
    assert "The server took it after" in page
    assert post.parcels[0].service["targets"] == ["viewer@plant.example"]
    post.faults.append(REFUSED)
    page = text(client.post(reverse("notification-channel-try", args=[channel.pk])))
    assert "mail:25 refused the connection." in page and "Check host and port" in page
    assert AuditEvent.objects.filter(verb="test notification channel").count() == 2
    assert not OutboxMessage.objects.exists()


def test_a_form_is_tested_as_it_stands_and_nothing_is_saved(client: Client, post: Post) -> None:
    address = reverse("notification-channel-new-test") + "?kind=webhook"
    fields = {"name": "Hook", "url": "https://hook.example/s3cret-path", "token": "s3cret-token"}
    page = text(client.post(address, fields))
    assert "The server took it after" in page and "Send again" in page and "s3cret" not in page
    assert "What was typed as a password or key is not kept in the page." in page
    assert post.parcels[0].service["headers"]["Authorization"] == "Bearer s3cret-token"
    assert not NotificationChannel.objects.exists()
    streamed = client.post(address, fields, headers={WANTS_LINES: "1"})
    assert b"data-into" in b"".join(streamed.streaming_content)  # type: ignore[attr-defined]


def test_a_stored_secret_is_tested_where_none_was_typed(client: Client, viewer: User, post: Post) -> None:
    channel = webhook_channel(viewer, "https://hook.example/x", "s3cret-token")
    client.post(reverse("notification-channel-test", args=[channel.pk]), {"name": "Hook"})
    assert post.parcels[0].service["headers"]["Authorization"] == "Bearer s3cret-token"


def test_what_is_wrong_in_the_form_is_said_before_anything_is_sent(client: Client, post: Post) -> None:
    page = text(client.post(reverse("notification-channel-new-test"), mail_form(recipient="")))
    assert "Give the address that mails go to." in page and post.parcels == []
