"""Who is told: the people with a channel that is in use, and what each of them may and wants to know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from tasks import permissions, scope
from tasks.models import Notice, NotificationChannel, NotificationSetting, TaskNotification
from tasks.notify.levels import AT_ONCE, IN_DIGEST
from tasks.rights import BACKEND
from tasks.states import Level

FAILING = "notification-failed"


@dataclass
class Listener:
    """A person who may see the console, with channels that are in use."""

    user: User
    setting: NotificationSetting
    channels: list[NotificationChannel]
    tasks: dict[int, str] = field(default_factory=dict)
    administers: bool = False

    @property
    def digests(self) -> bool:
        """Whether the person gets a daily digest, of everything or of some tasks."""
        return Level.DIGEST in (self.setting.level, *self.tasks.values())

    def at_once(self, found: QuerySet[Notice], channel: NotificationChannel) -> QuerySet[Notice]:
        """Return those of ``found`` that ``channel`` is told; one that fails is not told that a channel fails."""
        told = self._in_sight(found).filter(self._by_level(AT_ONCE))
        return told.exclude(alarm__code=FAILING) if channel.failures else told

    def for_digest(self, found: QuerySet[Notice]) -> QuerySet[Notice]:
        """Return those of ``found`` that belong into the person's daily digest."""
        return self._in_sight(found).filter(self._by_level(IN_DIGEST))

    def _in_sight(self, found: QuerySet[Notice]) -> QuerySet[Notice]:
        """Narrow to what the person may see; trouble with a channel concerns its owner and administrators."""
        seen = scope.narrowed(found, self.user)
        if self.administers:
            return seen
        mine = [f"channel {channel.pk}" for channel in self.channels]
        return seen.exclude(Q(alarm__code=FAILING) & ~Q(alarm__subject__in=mine))

    def _by_level(self, conditions: Mapping[str, Q]) -> Q:
        """Return the condition of each task's own level, and of the default for what is left."""
        tasks: dict[str, list[int]] = {}
        for task_id, level in self.tasks.items():
            tasks.setdefault(level, []).append(task_id)
        wanted = conditions[self.setting.level]
        if tasks:
            wanted &= ~Q(task_id__in=list(self.tasks))
        for level, task_ids in tasks.items():
            wanted |= Q(task_id__in=task_ids) & conditions[level]
        return wanted


def listeners(only: Iterable[int] | None = None) -> list[Listener]:
    """Return the people who are told, with all that is needed to decide; a fixed number of queries but for scopes.

    ``only`` narrows it to some users.
    """
    channels: dict[int, list[NotificationChannel]] = {}
    rows = NotificationChannel.objects.filter(enabled=True)
    for channel in (rows if only is None else rows.filter(user_id__in=list(only))).order_by("pk"):
        channels.setdefault(channel.user_id, []).append(channel)
    if not channels:
        return []
    users = _allowed(permissions.VIEW).filter(pk__in=channels).order_by("pk")
    settings = {row.user_id: row for row in NotificationSetting.objects.filter(user_id__in=channels)}
    tasks: dict[int, dict[int, str]] = {}
    for user_id, task_id, level in TaskNotification.objects.filter(user_id__in=channels).values_list(
        "user_id", "task_id", "level"
    ):
        tasks.setdefault(user_id, {})[task_id] = level
    administrators = set(_allowed(permissions.SYSTEM).filter(pk__in=channels).values_list("pk", flat=True))
    return [
        Listener(
            user,
            settings.get(user.pk) or NotificationSetting(user=user),
            channels[user.pk],
            tasks.get(user.pk, {}),
            user.pk in administrators,
        )
        for user in users
    ]


def _allowed(permission: str) -> QuerySet[User]:
    found: QuerySet[User] = User.objects.with_perm(permission, backend=BACKEND)
    return found
