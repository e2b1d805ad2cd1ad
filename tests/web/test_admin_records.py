"""Who may look at records in Django admin; nobody changes them there."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tasks.permissions import (
    ADMINISTRATOR,
    AUDITOR,
    ROLES,
)
from tests.web.routes_kit import (
    world_of_one_of_each,  # noqa: F401
)

ADMIN_PAGES = ["auditevent", "run", "backupfile", "logline"]


@pytest.mark.parametrize("role", ["", *ROLES])
@pytest.mark.parametrize("page", ADMIN_PAGES)
def test_records_are_read_by_auditors_and_administrators_only(page: str, role: str, person: Any) -> None:
    client = Client()
    client.force_login(person(role))
    status = client.get(reverse(f"admin:tasks_{page}_changelist")).status_code
    assert (status == 200) == (role in (AUDITOR, ADMINISTRATOR))


def records(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("page", ADMIN_PAGES)
def test_records_cannot_be_changed_by_anybody(page: str, world: dict[str, int], person: Any) -> None:
    superuser = person(ADMINISTRATOR)
    superuser.is_superuser = superuser.is_staff = True
    superuser.save()
    client = records(superuser)
    assert client.get(reverse(f"admin:tasks_{page}_add")).status_code == 403
    changelist = reverse(f"admin:tasks_{page}_changelist")
    assert client.post(changelist, {"action": "delete_selected"}).status_code in (200, 403)
    if page == "run":
        change = reverse("admin:tasks_run_change", args=[world["run"]])
        assert client.get(change).status_code == 200
        assert b"lease" not in client.get(change).content
        assert client.post(change, {"state": "failed"}).status_code == 403
        assert client.post(reverse("admin:tasks_run_delete", args=[world["run"]]), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("page", ["schedule", "success", "failure", "ormq"])
def test_nobody_runs_functions_through_the_pages_of_the_queue(page: str, person: Any) -> None:
    superuser = person(ADMINISTRATOR)
    superuser.is_superuser = superuser.is_staff = True
    superuser.save()
    client = records(superuser)
    assert client.get(reverse(f"admin:django_q_{page}_changelist")).status_code == 200
    payload = {"func": "os.system", "args": "'id'", "schedule_type": "O"}
    assert client.post(reverse(f"admin:django_q_{page}_add"), payload).status_code == 403


def test_people_are_looked_after_at_one_place_only(person: Any) -> None:
    superuser = person(ADMINISTRATOR)
    superuser.is_superuser = superuser.is_staff = True
    superuser.save()
    client = records(superuser)
    for page in ("user", "group"):
        assert client.get(f"/admin/auth/{page}/").status_code == 404
    assert client.get("/admin/password_change/")["Location"] == reverse("password")
