"""Each page has its short help in place, but those that ask one question and say all there is to it."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.test import Client

from tasks.models import NotificationChannel
from tasks.pagehelp import HELP
from tasks.permissions import ADMINISTRATOR
from tests.web.routes_kit import address, ask, world_of_one_of_each  # noqa: F401
from tests.web.test_permission_matrix import MATRIX

# Questions and answers: what will happen is what they say. Maintenance says what it does beside its form.
SPEAK_FOR_THEMSELVES = {
    "task-delete", "tasks-run", "tasks-stop", "tasks-suspend", "tasks-resume", "tasks-delete", "tasks-bulk-done",
    "restoration-start", "restoration-confirm", "restoration-rollback", "restoration-delete", "safety-copies-remove",
    "alarms-acknowledge", "alarm-acknowledge", "notification-channel-delete", "person-password", "person-disable",
    "cluster-delete", "service-delete", "node-delete", "maintenance",
}  # fmt: skip


def test_every_page_has_its_help(world: dict[str, int], person: Any) -> None:
    client, user = Client(), person(ADMINISTRATOR)
    client.force_login(user)
    NotificationChannel.objects.update(user=user)
    without, told = set(), set()
    for name, (needed, _) in MATRIX.items():
        response = ask(client, "get", address(name, world)) if needed else HttpResponse()
        page = "" if response.streaming else response.content.decode()
        if "</html>" in page:
            (told if '<details class="help">' in page else without).add(name)
    assert without <= SPEAK_FOR_THEMSELVES
    assert told <= set(HELP)
    # What a world as small as this one does not show as a page of its own.
    assert set(HELP) - told <= {"restoration-found"}
