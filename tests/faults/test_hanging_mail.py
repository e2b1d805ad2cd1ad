"""A mail server that takes connections and never answers, beside real workers: no backup waits for it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tasks.engine import dispatch
from tasks.models import BackupTask, OutboxMessage, Pulse
from tasks.states import GOOD, Level, MessageState
from tests.faults.conftest import Workers, until
from tests.notify_kit import console_server, level, mail_channel
from tests.servers.mail import hanging_server

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("workers")]


def at_work() -> bool:
    return Pulse.objects.filter(name="sender", at__lte=timezone.now()).exclude(detail="idle").exists()


def test_backups_go_on_beside_a_mail_server_that_hangs(workers: Workers, quick: BackupTask) -> None:
    with hanging_server() as port:
        console_server(port)
        for name in ("anna", "ben", "cleo"):
            user = User.objects.create_superuser(name)
            mail_channel(user)
            level(user, Level.ALWAYS)
        workers.start_ready(NOTIFY_SECONDS="20")
        assert workers.ended(workers.back_up(quick), 60).state in GOOD
        dispatch.request_tick()
        until(at_work, 45, "a sender that hangs")
        run = workers.ended(workers.back_up(quick), 60)
        assert run.state in GOOD
        assert at_work(), "the sender was done before the backup was"
        assert run.started_at and (run.started_at - run.queued_at).total_seconds() < 10
    put_back = OutboxMessage.objects.filter(state=MessageState.WAITING, attempts=1).exclude(error="")
    until(put_back.first, 60, "a message that is tried again later")
