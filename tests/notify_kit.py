"""What tests of notifications share: people with channels, ends of runs and alarms, and a sender that sends now."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from tasks.engine import record
from tasks.engine.record import Outcome
from tasks.models import BackupTask, MailServer, NotificationChannel, NotificationSetting, OutboxMessage, Run
from tasks.notify import outbox, sender
from tasks.notify.composing import Letter, compose
from tasks.notify.delivery import Parcel, Result, receipts_path
from tasks.states import ChannelKind, Level, MessageState, RunState, SmtpSecurity, Trigger

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
REFUSED = {"stage": "connect", "how": "refused", "host": "mail", "port": 25}
LOGIN = {"stage": "login", "how": "status", "host": "mail", "status": 535, "said": "no"}
GONE = {"stage": "http", "how": "status", "host": "hook", "status": 410}


def mail_channel(user: User, name: str = "Mail", **fields: Any) -> NotificationChannel:
    """Give a person a mail channel over the console's server."""
    values = {"recipient": f"{user.username}@plant.example", "kind": ChannelKind.MAIL} | fields
    return NotificationChannel.objects.create(user=user, name=name, **values)


def webhook_channel(user: User, url: str, token: str = "", name: str = "Hook") -> NotificationChannel:
    """Give a person a webhook."""
    channel = NotificationChannel.objects.create(user=user, name=name, kind=ChannelKind.WEBHOOK)
    channel.set_secrets({"url": url} | ({"token": token} if token else {}))
    channel.save()
    return channel


def console_server(port: int = 2525, **fields: Any) -> MailServer:
    """Set up the mail server of the console: on this machine, without encryption unless said otherwise."""
    values = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": SmtpSecurity.INSECURE}
    values |= {"sender": "backup@plant.example"}
    MailServer.objects.update_or_create(pk=1, defaults=values | fields)
    return MailServer.load()


def level(user: User, value: str, **fields: Any) -> NotificationSetting:
    """Choose a person's default level."""
    return NotificationSetting.objects.update_or_create(user=user, defaults={"level": value, **fields})[0]


def ended(task: BackupTask, make_run: Any, state: str, now: datetime = NOW, **fields: Any) -> Run:
    """End a run of ``task`` the way the engine does."""
    run: Run = make_run(task, RunState.RUNNING, now, **({"trigger": Trigger.SCHEDULE} | fields))
    if state in (RunState.SUCCESSFUL, RunState.WARNINGS):
        Run.objects.filter(pk=run.pk).update(size=1000, verified_at=now)
    assert record.finish(run.pk, Outcome(RunState(state), "" if state == "successful" else "It broke.", "x"), now)
    run.refresh_from_db()
    return run


def letters() -> list[Letter]:
    """Return what every message that waits would say now, oldest first."""
    found = []
    for message in OutboxMessage.objects.filter(state=MessageState.WAITING).order_by("pk"):
        listener = outbox.listener_of(message)
        letter = compose(listener, message) if listener else None
        if letter is not None:
            found.append(letter)
    return found


class Post:
    """In the place of the courier: keeps what it is given, and answers as told."""

    def __init__(self, *faults: dict[str, Any], then: Callable[[Parcel], None] = lambda parcel: None) -> None:
        self.parcels: list[Parcel] = []
        self.faults = list(faults)
        self.then = then

    def __enter__(self) -> Post:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def send(self, parcel: Parcel) -> Result:
        """Take a parcel, or refuse it with the next fault."""
        self.parcels.append(parcel)
        self.then(parcel)
        fault = self.faults.pop(0) if self.faults else None
        return Result(True) if not fault else Result(False, fault)


def send_all(post: Post, now: datetime, monkeypatch: Any) -> int:
    """Run one sender at ``now`` with ``post`` in the place of the courier."""
    monkeypatch.setattr(sender, "Delivery", lambda: post)
    return sender.run(lambda: now)


End = Callable[[str], Run]
Send = Callable[[Post, datetime], int]


@pytest.fixture
def anna(viewer: User) -> User:
    """A viewer who wants to know everything, with a mail channel."""
    console_server()
    mail_channel(viewer)
    level(viewer, Level.ALWAYS)
    return viewer


@pytest.fixture
def end(task: BackupTask, make_run: Any) -> End:
    """End a run of one task in a state."""
    return lambda state: ended(task, make_run, state)


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch) -> Send:
    """Run one sender at a moment, with something else in the place of the courier."""
    return lambda post, now: send_all(post, now, monkeypatch)


@pytest.fixture(autouse=True)
def no_receipts() -> None:
    receipts_path().unlink(missing_ok=True)


def the(state: str) -> OutboxMessage:
    """Return the only message in a state."""
    return OutboxMessage.objects.get(state=state)
