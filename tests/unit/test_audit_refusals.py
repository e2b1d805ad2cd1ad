"""Refusals are on record, and no flood of them is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone

from tasks import services
from tasks.audit import Actor, Target
from tasks.auditing import refusals
from tasks.auditing.refusals import KINDS, WINDOW, close_counts, record_refusal
from tasks.errors import Refused
from tasks.models import AuditEvent, BackupTask, Cluster, RefusalCount
from tasks.permissions import ADMINISTRATOR, VIEWER
from tests.conftest import Login, MakeRun

pytestmark = pytest.mark.django_db
PAGE = Target("page", "/clusters/new/")


def stranger(number: int = 0) -> Actor:
    return Actor("unknown account", None, f"10.0.{number // 250}.{number % 250}")


def refused(**wanted: Any) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(result="refused", **wanted).order_by("pk"))


def later() -> Any:
    return timezone.now() + WINDOW + timedelta(seconds=1)


# --- Folding ----------------------------------------------------------------------------------------------------------
def test_the_first_is_written_at_once_and_the_others_by_their_number() -> None:
    for _ in range(37):
        record_refusal(stranger(), "log in", PAGE, "wrong")
    assert [event.note for event in refused()] == ["wrong"]
    assert close_counts(timezone.now()) == 0
    assert close_counts(later()) == 1
    first, rest = refused()
    assert (rest.verb, rest.target, rest.address, rest.after) == (
        first.verb,
        first.target,
        first.address,
        {"times": 36},
    )
    assert rest.note.startswith("wrong 36 times more until ")
    assert not RefusalCount.objects.exists()
    # After that it begins anew.
    assert record_refusal(stranger(), "log in", PAGE) is not None


def test_one_alone_leaves_no_second_event() -> None:
    record_refusal(stranger(), "log in", PAGE)
    close_counts(later())
    assert len(refused()) == 1


def test_strangers_have_a_few_kinds_on_record_whatever_addresses_and_names_they_use() -> None:
    for number in range(300):
        record_refusal(stranger(number), "log in", Target("user", f"name {number % 7}"))
    assert len(refused()) == KINDS
    assert RefusalCount.objects.count() == KINDS + 1
    close_counts(later())
    last = refused()[-1]
    assert (last.actor, last.target, last.after) == ("several", "several", {"times": 280})
    assert "280 times from several addresses or about several things" in last.note
    assert len(refused()) == KINDS + 1


def test_a_person_has_kinds_of_their_own(viewer: User) -> None:
    for number in range(KINDS + 5):
        record_refusal(stranger(number), "log in", PAGE)
    actor = Actor("viewer", viewer, "10.0.0.1")
    for number in range(KINDS + 5):
        record_refusal(actor, "open page", Target("page", f"/{number}/"))
    assert len(refused(actor_id=viewer.pk)) == KINDS
    close_counts(later())
    assert refused(actor_id=viewer.pk)[-1].after == {"times": 5}


def test_two_at_the_same_moment_are_one_event_and_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = refusals._counted
    seen: list[str] = []

    def not_yet(key: str, now: Any) -> bool:
        # The first look is that of before the other one wrote its row.
        seen.append(key)
        return counted(key, now) if len(seen) > 1 else False

    record_refusal(stranger(), "log in", PAGE)
    monkeypatch.setattr(refusals, "_counted", not_yet)
    assert record_refusal(stranger(), "log in", PAGE) is None
    assert RefusalCount.objects.get().times == 1


def test_a_clock_that_was_set_back_keeps_no_window_open() -> None:
    record_refusal(stranger(), "log in", PAGE)
    record_refusal(stranger(), "log in", PAGE)
    assert close_counts(timezone.now() - timedelta(days=1)) == 1
    assert len(refused()) == 2


# --- What is on record ------------------------------------------------------------------------------------------------
def test_a_verb_that_the_state_refuses_is_on_record(backup_admin: User, cluster: Cluster, task: BackupTask) -> None:
    actor = Actor("backup-administrator", backup_admin)
    with pytest.raises(Refused):
        services.delete_cluster(actor, cluster)
    event = refused()[0]
    assert (event.verb, event.target, event.cluster_id) == ("delete cluster", "plant", cluster.pk)
    assert task.name in event.note


def test_a_verb_on_a_task_that_is_refused_is_on_record(operator: User, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, "waiting")
    with pytest.raises(Refused):
        services.back_up_now(Actor("operator", operator), task, timezone.now())
    assert [(event.verb, event.target) for event in refused()] == [("back up now", task.name)]


def test_a_verb_without_the_permission_is_on_record_once(viewer: User, cluster: Cluster) -> None:
    with pytest.raises(PermissionDenied):
        services.delete_cluster(Actor("viewer", viewer), cluster)
    assert [(event.verb, event.note) for event in refused()] == [("delete cluster", "needs tasks.manage_inventory")]


def test_a_page_that_the_role_does_not_include_is_on_record(login: Login, cluster: Cluster) -> None:
    client = login(VIEWER)
    client.get("/clusters/new/")
    client.post(f"/clusters/{cluster.pk}/delete/", REMOTE_ADDR="10.0.0.9")
    found = [(event.verb, event.target_kind, event.target, event.actor, event.address) for event in refused()]
    assert found == [
        ("open page", "page", "/clusters/new/", "viewer", "127.0.0.1"),
        ("send form", "page", f"/clusters/{cluster.pk}/delete/", "viewer", "10.0.0.9"),
    ]


def test_a_form_without_its_token_is_on_record(login: Login, administrator: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(administrator)
    response = client.post("/clusters/new/")
    assert response.status_code == 403 and "The page was too old" in response.content.decode()
    event = refused()[0]
    assert (event.verb, event.target, event.actor) == ("send form", "/clusters/new/", "administrator")
    assert "CSRF" in event.note


def test_odd_paths_do_no_harm(login: Login) -> None:
    client = login(VIEWER)
    assert client.get("/admin/%00%ff/" + "x" * 400).status_code in (302, 403, 404)
    login(ADMINISTRATOR)
