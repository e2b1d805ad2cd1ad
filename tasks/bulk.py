"""Several tasks at once: which ones were chosen, and what will happen to each before anything is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db.models import QuerySet
from django.http import QueryDict
from django.urls import reverse

from tasks import bulkwords, selectors
from tasks.bulkwords import WORDS, Say, Words, tasks_in_words, typed_word
from tasks.models import BackupTask
from tasks.permissions import Asker
from tasks.selectors import ListState, number_in
from tasks.services.applying import Shown
from tasks.services.bulk import BULK_VERBS, GROUP
from tasks.services.taskverbs import Facts

# So many at once; who means more does it in parts.
LIMIT = 20_000


@dataclass(frozen=True)
class Line:
    """What will happen to one task, with moments as ``moments.stamp``; nothing where it does not ``act``."""

    task: BackupTask
    acts: bool
    words: str


@dataclass(frozen=True)
class Plan:
    """What a verb will do to the tasks that were chosen; ``token`` says which they are and how they were shown."""

    key: str
    acting: list[Line]
    idle: list[Line]
    token: str

    @property
    def words(self) -> Words:
        """The words of the verb."""
        return WORDS[self.key]

    @property
    def title(self) -> str:
        """The question; that there is none where nothing can be done."""
        if self.acting:
            number = len(self.acting)
            return self.words.question.format(tasks_in_words(number), backup=tasks_in_words(number, "backup task"))
        number = len(self.idle)
        return f"{'The task cannot' if number == 1 else f'None of the {number:,} tasks can'} be {self.words.can}"

    @property
    def button(self) -> str:
        """What the button says that does it."""
        return self.words.button.format(tasks_in_words(len(self.acting)))

    @property
    def word(self) -> str:
        """What has to be typed before it is done; empty where nothing has."""
        return typed_word(self.key, len(self.acting))


@dataclass(frozen=True)
class Offer:
    """A verb that a person may do to several tasks, and where it is asked for."""

    words: Words
    address: str


def offered(user: Asker) -> list[Offer]:
    """Return the verbs that ``user`` may do to several tasks at once; none where nothing may be ticked."""
    allowed = [key for key, verb in BULK_VERBS.items() if user.has_perm(verb.permission)]
    return [Offer(WORDS[key], reverse(f"tasks-{key}")) for key in allowed]


def chosen(query: QueryDict, tasks: QuerySet[BackupTask]) -> QuerySet[BackupTask]:
    """Return those of ``tasks`` that the list's form names: ticked ones, a whole page, or all that its filter finds."""
    if query.get("found"):
        state = ListState.of(query)
        return selectors.with_status(selectors.filtered(state, tasks), state.status)
    numbers = [number_in(text) for text in (*query.getlist("task"), *query.get("page", "").split(","))]
    return tasks.filter(pk__in={pk for pk in numbers if pk is not None})


def plan(key: str, tasks: Sequence[BackupTask], now: datetime) -> Plan:
    """Return what the verb ``key`` will do to ``tasks``, whose clusters are fetched, in their order.

    The number of queries grows with that of groups, not of tasks.
    """
    verb = BULK_VERBS[key]
    queue = bulkwords.Queue() if key == "run" else None
    acting: list[Line] = []
    idle: list[Line] = []
    token = []
    for start in range(0, len(tasks), GROUP):
        group = tasks[start : start + GROUP]
        facts = Facts.about(group)
        say = queue.say if queue else _SAY[key](group, facts, now)
        for task in group:
            why = verb.refusal(task, facts, now)
            if why is not None:
                idle.append(Line(task, False, f"{why} Nothing happens."))
                continue
            acting.append(Line(task, True, say(task)))
            run = facts.active.get(task.pk)
            token.append(f"{task.pk}.{task.version}.{run.pk if run else 0}")
    return Plan(key, acting, idle, " ".join(token))


def shown_in(token: str) -> dict[int, Shown]:
    """Return the tasks of a plan's token, in their order; what is no part of one is passed over."""
    found: dict[int, Shown] = {}
    for part in token.split()[:LIMIT]:
        numbers = [number for number in map(number_in, part.split(".")) if number is not None]
        if len(numbers) == 3:
            found[numbers[0]] = Shown(version=numbers[1], run=numbers[2])
    return found


def _stop(tasks: Sequence[BackupTask], facts: Facts, now: datetime) -> Say:
    return partial(bulkwords.ended, facts=facts)


def _suspend(tasks: Sequence[BackupTask], facts: Facts, now: datetime) -> Say:
    return partial(bulkwords.suspended, facts=facts)


def _resume(tasks: Sequence[BackupTask], facts: Facts, now: datetime) -> Say:
    return partial(bulkwords.resumed, now=now)


def _delete(tasks: Sequence[BackupTask], facts: Facts, now: datetime) -> Say:
    where = bulkwords.directories(tasks)
    return lambda task: bulkwords.deleted(task, facts, where.get(task.pk, ""))


_SAY: dict[str, Callable[[Sequence[BackupTask], Facts, datetime], Say]] = {
    "stop": _stop,
    "suspend": _suspend,
    "resume": _resume,
    "delete": _delete,
}
