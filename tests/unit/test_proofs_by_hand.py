"""Proofs that are late, proofs by hand, and their place in the line."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from tasks import alarms, services
from tasks.audit import Actor
from tasks.engine import dispatch
from tasks.engine.proofs import queue_proof, watch
from tasks.errors import Refused
from tasks.models import Alarm, BackupTask, Cluster, Run
from tasks.states import Kind, RunState, Trigger
from tests.conftest import MakeRun, MakeTask
from tests.unit.proofs_kit import (
    DAY,
    HOUR,
    NOW,
    SECOND,
    set_of_eight_days_ago,  # noqa: F401
    somebody_rehearses,  # noqa: F401
)

pytestmark = pytest.mark.django_db


# --- Overdue ---------------------------------------------------------------------------------------------------------
def test_a_proof_that_is_a_day_late_raises_an_alarm_once_and_clears_it_by_itself(old: Run) -> None:
    BackupTask.objects.filter(pk=old.task_id).update(proof_problem="10.1.2.3 did not answer.")
    made = old.verified_at
    assert (watch(made + 8 * DAY - SECOND), Alarm.objects.count()) == (0, 0)
    assert watch(made + 8 * DAY) == 1
    watch(made + 9 * DAY)
    alarm = Alarm.objects.get()
    assert (alarm.code, alarm.subject, alarm.place) == ("proof-overdue", f"task {old.task_id}", old.task.name)
    assert "was not checked again within 7 days. 10.1.2.3 did not answer." in alarm.cause
    Run.objects.filter(pk=old.pk).update(checked_at=made + 9 * DAY)
    assert watch(made + 9 * DAY) == 0
    assert not alarms.uncleared().exists()


@pytest.mark.parametrize("change", [{"check_after_days": None}, {"suspended": True}])
def test_a_task_that_does_not_want_it_any_more_has_no_alarm(change: dict[str, Any], old: Run) -> None:
    watch(NOW + 30 * DAY)
    BackupTask.objects.filter(pk=old.task_id).update(**change)
    watch(NOW + 30 * DAY)
    assert not alarms.uncleared().exists()


def test_a_rehearsal_that_is_late_raises_it_too(make_task: MakeTask) -> None:
    make_task(rehearse_after_days=1, last_rehearsed_at=NOW - 3 * DAY)
    assert watch(NOW) == 1
    assert "The last rehearsal was at 2026-06-17" in Alarm.objects.get().cause
    assert "and the limit is 1 day." in Alarm.objects.get().cause


# --- By hand ---------------------------------------------------------------------------------------------------------
def test_an_operator_has_a_set_checked(old: Run, operator: User) -> None:
    check = services.check_set(Actor("operator", operator), old, NOW)
    assert (check.kind, check.subject, check.trigger, check.who) == (Kind.CHECK, old, Trigger.PERSON, "operator")
    check.refresh_from_db()
    assert check.offered_at == NOW


def test_a_second_check_is_refused_with_who_and_when(old: Run, operator: User) -> None:
    services.check_set(Actor("operator", operator), old, NOW)
    with pytest.raises(Refused, match=r"A check of the set is already waiting\. It was started at 2026-06-20 .* by op"):
        services.check_set(Actor("operator", operator), old, NOW)
    assert Run.objects.filter(kind=Kind.CHECK).count() == 1


def test_another_proof_of_the_set_is_refused_as_well(old: Run, operator: User, rehearsing: None) -> None:
    queue_proof(Kind.REHEARSAL, old, Trigger.SCHEDULE, NOW)
    with pytest.raises(Refused, match="A rehearsal of the set is already waiting.* by Schedule"):
        services.check_set(Actor("operator", operator), old, NOW)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"set_removed_at": NOW}, "was removed at"), ({"state": RunState.FAILED, "verified_at": None}, "gave no set")],
)
def test_what_is_no_set_cannot_be_checked(change: dict[str, Any], words: str, old: Run, operator: User) -> None:
    Run.objects.filter(pk=old.pk).update(**change)
    with pytest.raises(Refused, match=words):
        services.check_set(Actor("operator", operator), old, NOW)


def test_a_damaged_set_and_one_of_a_deleted_task_can_be_checked_by_hand(old: Run, operator: User) -> None:
    Run.objects.filter(pk=old.pk).update(damaged_at=NOW)
    BackupTask.objects.filter(pk=old.task_id).update(deleted_at=NOW)
    assert services.check_set(Actor("operator", operator), old, NOW).state == RunState.WAITING


def test_a_viewer_may_not(old: Run, viewer: User) -> None:
    with pytest.raises(PermissionDenied):
        services.check_set(Actor("viewer", viewer), old, NOW)
    assert not Run.objects.filter(kind=Kind.CHECK).exists()


# --- The line --------------------------------------------------------------------------------------------------------
def test_backups_that_wait_are_offered_before_proofs(
    old: Run, make_task: MakeTask, make_run: MakeRun, settings: Any
) -> None:
    settings.RUN_SLOTS = 1
    check = queue_proof(Kind.CHECK, old, Trigger.SCHEDULE, NOW - HOUR)
    later = make_run(make_task(cluster=Cluster.objects.create(name="west")), RunState.WAITING, NOW)
    assert dispatch.offer(NOW) == 1
    assert list(Run.objects.filter(offered_at__isnull=False).values_list("pk", flat=True)) == [later.pk]
    check.refresh_from_db()
    assert check.offered_at is None
