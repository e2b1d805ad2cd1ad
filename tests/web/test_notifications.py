"""A person's own notifications: levels, and messages with Retry."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tasks import permissions
from tasks.models import (
    AuditEvent,
    BackupTask,
    Cluster,
    NotificationChannel,
    NotificationSetting,
    OutboxMessage,
    Person,
    TaskNotification,
)
from tasks.states import Level, MessageState
from tests.notify_kit import NOW, mail_channel

pytestmark = pytest.mark.django_db
PAGE = "/settings/notifications/"


@pytest.fixture
def client(login: Any) -> Client:
    found: Client = login(permissions.VIEWER)
    return found


def text(response: Any) -> str:
    return str(response.content.decode())


# --- Levels ---------------------------------------------------------------------------------------------------------
def test_the_default_level_and_the_hour_are_saved_and_on_record(client: Client, viewer: User) -> None:
    page = text(client.get(PAGE))
    assert 'value="failure" selected' in page and 'value="7" selected' in page
    response = client.post(PAGE, {"level": "digest", "digest_hour": "22"}, follow=True)
    assert "Notification level saved." in text(response)
    mine = NotificationSetting.objects.get(user=viewer)
    assert (mine.level, mine.digest_hour) == (Level.DIGEST, 22)
    event = AuditEvent.objects.get(verb="set notification level")
    assert event.after == {"level": "digest", "digest_hour": 22}


@pytest.mark.parametrize("fields", [{"level": "loud", "digest_hour": "7"}, {"level": "never", "digest_hour": "24"}, {}])
def test_what_is_no_level_or_no_hour_is_refused(client: Client, fields: dict[str, str]) -> None:
    page = text(client.post(PAGE, fields))
    assert "<title>Error: Notifications" in page and "The level was not saved" in page
    assert not NotificationSetting.objects.exists()


def test_a_task_gets_a_level_of_its_own_and_loses_it_again(client: Client, task: BackupTask, viewer: User) -> None:
    address = reverse("task-notifications", args=[task.pk])
    assert "As my default (On failure)" in text(client.get(address))
    page = text(client.post(address, {"level": "always"}, follow=True))
    assert f"Notification level of {task.name} saved." in page
    assert TaskNotification.objects.get(user=viewer, task=task).level == Level.ALWAYS
    assert f'aria-label="Change the level of {task.name}"' in page
    client.post(address, {"level": ""})
    assert not TaskNotification.objects.exists()
    assert AuditEvent.objects.filter(verb="set notification level", target=task.name).count() == 2


def test_a_task_is_found_by_its_name(client: Client, task: BackupTask) -> None:
    found = client.post(reverse("notification-task"), {"task": f" {task.name} "})
    assert found["Location"] == reverse("task-notifications", args=[task.pk])
    for name, answer in (("x", "No task is called x. Give its whole name."), ("", "Give the name of a task.")):
        assert answer in text(client.post(reverse("notification-task"), {"task": name}, follow=True))


def test_a_task_out_of_sight_is_not_found(client: Client, make_task: Any, viewer: User) -> None:
    hidden = make_task("hidden", cluster=Cluster.objects.create(name="other"))
    TaskNotification.objects.create(user=viewer, task=hidden, level=Level.ALWAYS)
    person, _ = Person.objects.update_or_create(user=viewer, defaults={"limited": True})
    person.clusters.clear()
    assert client.get(reverse("task-notifications", args=[hidden.pk])).status_code == 404
    assert "No task is called hidden" in text(
        client.post(reverse("notification-task"), {"task": "hidden"}, follow=True)
    )
    assert "Change the level of hidden" not in text(client.get(PAGE))


def test_without_a_channel_the_page_of_a_task_says_that_nothing_is_sent(client: Client, task: BackupTask) -> None:
    assert "You have no channel that is on" in text(client.get(reverse("task-notifications", args=[task.pk])))


# --- Messages -------------------------------------------------------------------------------------------------------
def message(channel: NotificationChannel, state: str, **fields: Any) -> OutboxMessage:
    values = {"first_batch": 1, "last_batch": 1, "subject": f"Told {state}", "created_at": NOW} | fields
    return OutboxMessage.objects.create(channel=channel, state=state, **values)


def test_messages_are_shown_with_their_state_and_error_and_tried_again(client: Client, viewer: User) -> None:
    channel = mail_channel(viewer)
    sent = message(channel, MessageState.SENT, ended_at=NOW)
    failed = message(channel, MessageState.FAILED, error="It bounced.", cure="Mend it.", attempts=28)
    page = text(client.get(PAGE))
    assert "Told sent" in page and "It bounced." in page and "Mend it." in page
    assert page.count(">Retry</button>") == 1
    retry = reverse("notification-retry", args=[failed.pk])
    assert "The message is tried again at the next minute." in text(client.post(retry, follow=True))
    failed.refresh_from_db()
    assert (failed.state, failed.attempts) == (MessageState.WAITING, 0)
    refused = client.post(reverse("notification-retry", args=[sent.pk]), follow=True)
    assert "not one that was given up any more" in text(refused)
    NotificationChannel.objects.update(enabled=False)
    assert "Mail is turned off. Turn it on first." in text(client.post(retry, follow=True))


def test_messages_come_by_pages_and_cost_the_same_however_many_there_are(client: Client, viewer: User) -> None:
    channel = mail_channel(viewer)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(PAGE)
        return len(captured)

    message(channel, MessageState.SENT, ended_at=NOW)
    few = queries()
    for _ in range(60):
        message(channel, MessageState.SENT, ended_at=NOW)
    assert queries() == few
    page = text(client.get(PAGE))
    assert page.count("Told sent") == 25 and ">Older</a>" in page
    before = OutboxMessage.objects.order_by("-pk")[49].pk
    page = text(client.get(f"{PAGE}?before={before}"))
    assert page.count("Told sent") == 11 and ">Newest</a>" in page and ">Older</a>" not in page
    assert client.get(f"{PAGE}?before=x").status_code == 200


def test_the_page_without_anything_says_what_is_missing_and_what_to_do(client: Client) -> None:
    page = text(client.get(PAGE))
    assert "No channels yet" in page and "Add a channel" in page and "No message was sent yet." in page
