"""kill -9 of the sender, and of its courier, between all steps: every message arrives, none of them twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connections
from django.utils import timezone

from tasks.engine import record
from tasks.models import Notice, OutboxMessage, Run
from tasks.notify import channels, delivery, digest, notices, outbox, sender
from tasks.permissions import VIEWER, seed_roles
from tasks.states import Level, MessageState, RunState
from tests.faults.test_kill_points import after, before
from tests.notify_kit import ended, level, webhook_channel
from tests.servers.mail import Hook, web_server

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

POINTS: dict[str, Callable[[], None]] = {
    "in the middle of collecting": after(outbox, "_extend"),
    "with everything collected": before(digest, "queue_due"),
    "with a message claimed": before(channels, "parcel_of"),
    "with the message written": after(outbox, "write"),
    "with the message sent": before(outbox, "record_sent"),
    "with the message recorded": after(outbox, "record_sent"),
}


@pytest.fixture
def hook(person: Any, settings: Any) -> Iterator[Hook]:
    """A real webhook of a viewer who is told everything."""
    seed_roles(apps)
    viewer = person(VIEWER)
    settings.NOTIFY_LOCAL = True
    delivery.receipts_path().unlink(missing_ok=True)
    with web_server() as server:
        webhook_channel(viewer, server.url())
        level(viewer, Level.ALWAYS)
        yield server


def killed(work: Callable[[], object], place: Callable[[], None]) -> None:
    """Do ``work`` in a process that dies at a point."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            place()
            work()
        finally:
            os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == -signal.SIGKILL, "the point was never reached"


def send_until_done() -> None:
    """Let senders work at the next minutes, until all leases that a lost one held have run out."""
    now = timezone.now()
    for step in (timedelta(0), outbox.lease_time(), 2 * outbox.lease_time()):
        sender.run(lambda step=step: now + step)  # type: ignore[misc]


@pytest.mark.parametrize("point", POINTS)
def test_a_sender_that_is_killed_loses_nothing_and_doubles_nothing(
    point: str, hook: Hook, task: Any, make_run: Any
) -> None:
    ended(task, make_run, RunState.FAILED, timezone.now())
    killed(lambda: sender.run(), POINTS[point])
    send_until_done()
    assert [got.body["title"] for got in hook.got] == ["Backup Console: Backup task-1 failed (cluster plant)"]
    assert OutboxMessage.objects.get().state == MessageState.SENT
    assert not Notice.objects.filter(batch__isnull=True).exists()


def test_a_run_whose_end_was_not_recorded_is_not_told(hook: Hook, task: Any, make_run: Any) -> None:
    run = make_run(task, RunState.RUNNING)
    outcome = record.Outcome(RunState.FAILED, "It broke.", "x")
    killed(lambda: record.finish(run.pk, outcome, timezone.now()), after(notices, "run_ended"))
    assert (Run.objects.get().state, Notice.objects.count()) == (RunState.RUNNING, 0)
    send_until_done()
    assert hook.got == []


def test_a_sender_that_dies_while_its_courier_sends_leaves_a_receipt(hook: Hook, task: Any, make_run: Any) -> None:
    """The courier outlives its sender, and its receipt keeps the message from going out a second time."""
    ended(task, make_run, RunState.FAILED, timezone.now())
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            sender.run()
        finally:
            os._exit(0)
    hook.taken_at = lambda: os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert OutboxMessage.objects.get().state == MessageState.SENDING
    send_until_done()
    assert len(hook.got) == 1
    assert OutboxMessage.objects.get().state == MessageState.SENT


def test_a_message_whose_courier_dies_is_repeated_with_the_same_key(hook: Hook, task: Any, make_run: Any) -> None:
    """The one gap that is left: taken by the server, and killed before the receipt. The key tells the two are one."""
    ended(task, make_run, RunState.FAILED, timezone.now())
    couriers: list[int] = []
    started = delivery.Delivery._start

    def start(self: delivery.Delivery) -> Any:
        process = started(self)
        couriers.append(process.pid)
        return process

    hook.taken_at = lambda: os.kill(couriers.pop(), signal.SIGKILL) if len(hook.got) == 1 else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivery.Delivery, "_start", start)
        sender.run()
        assert "process that sends ended" in OutboxMessage.objects.get().error
        send_until_done()
    assert len({got.headers["Idempotency-Key"] for got in hook.got}) == 1 and len(hook.got) == 2
    assert OutboxMessage.objects.get().state == MessageState.SENT
