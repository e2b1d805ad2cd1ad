"""From the notices of a message to what its reader gets: few queries, however many notices there are."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from django.conf import settings
from django.db.models import Case, Count, QuerySet, Value, When
from django.urls import reverse
from django.utils import timezone

from tasks import alarms, scope
from tasks.models import Notice, OutboxMessage, Run
from tasks.models.run import HEAVY
from tasks.notify import wording
from tasks.notify.audience import Listener
from tasks.notify.digest import zones_of
from tasks.notify.levels import BAD_NEWS
from tasks.notify.outbox import notices_of
from tasks.notify.wording import APP, Entry
from tasks.states import Kind, NoticeKind

# What is written out in full; the rest is counted. Chats cut what is longer.
ENTRIES = 20
_SUBJECT = 250


class Letter(NamedTuple):
    """What a message says."""

    subject: str
    body: str
    mood: str


def compose(listener: Listener, message: OutboxMessage) -> Letter | None:
    """Return what the message says, times in the reader's zone; None where nothing of it concerns the reader now."""
    zone = zones_of([listener.user.pk])[listener.user.pk]
    with timezone.override(zone):
        if message.kind == OutboxMessage.Kind.DIGEST:
            letter = _digest(listener, message)
        else:
            told = _notices(listener.at_once(notices_of(message), message.channel))
            if told is None:
                return None
            letter = told
    return letter._replace(subject=" ".join(letter.subject.split())[:_SUBJECT])


class _Counts(NamedTuple):
    states: Counter[str]
    kinds: dict[str, Counter[str]]
    raised: int
    cleared: int

    @property
    def total(self) -> int:
        return self.states.total() + self.raised + self.cleared


def _count(found: QuerySet[Notice]) -> _Counts:
    rows = found.order_by().values_list("kind", "run__kind", "state").annotate(number=Count("pk"))
    counts, alarm_kinds = _Counts(Counter(), {}, 0, 0), Counter[str]()
    for kind, run_kind, state, number in rows:
        if kind == NoticeKind.RUN:
            counts.states[state] += number
            counts.kinds.setdefault(wording.kind_of(run_kind), Counter())[state] += number
        else:
            alarm_kinds[kind] += number
    return counts._replace(raised=alarm_kinds[NoticeKind.RAISED], cleared=alarm_kinds[NoticeKind.CLEARED])


def _notices(found: QuerySet[Notice]) -> Letter | None:
    counts = _count(found)
    if not counts.total:
        return None
    entries, told = _entries(found)
    words = wording.counted(counts.states, counts.raised, counts.cleared)
    alone = len(entries) == 1 and told == counts.total
    subject = entries[0].heading if alone else words
    head = "" if alone else f"{words[:1].upper()}{words[1:]}."
    body = wording.page(entries, counts.total - told, settings.CONSOLE_URL, head=head, foot=_foot())
    return Letter(f"{APP}: {subject}", body, wording.mood(counts.states, counts.raised))


def _digest(listener: Listener, message: OutboxMessage) -> Letter:
    """A day on which nothing happened has its digest too: one that does not come says that the console is down."""
    found = listener.for_digest(notices_of(message))
    counts = _count(found)
    words = wording.counted(counts.states, counts.raised, counts.cleared)
    entries, told = _entries(found.filter(BAD_NEWS))
    bad = sum(number for state, number in counts.states.items() if state in wording.BAD) + counts.raised
    uncleared = scope.narrowed(alarms.uncleared(), listener.user).count()
    kinds = [f"{kind}: {wording.counted(states)}." for kind, states in sorted(counts.kinds.items())]
    now = f"{uncleared:,} {'alarm is' if uncleared == 1 else 'alarms are'} not cleared now."
    head = "\n".join(
        [
            "Since the digest before:" if words else "No run ended and no alarm came or went since the digest before.",
            *kinds,
            f"{now} {wording.link(settings.CONSOLE_URL, reverse('alarms'))}" if uncleared else "No alarms now.",
        ]
    )
    body = wording.page(entries, bad - told, settings.CONSOLE_URL, head=head, foot=_foot())
    subject = f"{APP}: digest of {message.day:%a %Y-%m-%d}: {words or 'nothing happened'}"
    return Letter(subject, body, wording.mood(counts.states, counts.raised))


def _entries(found: QuerySet[Notice]) -> tuple[list[Entry], int]:
    """Return what is written out, bad news first, and how many notices that were: alarms go with their runs."""
    first = Case(When(BAD_NEWS, then=Value(0)), default=Value(1))
    heavy = [f"run__{name}" for name in HEAVY]
    rows = found.select_related("run__task", "run__restoration", "run__cluster", "alarm__cluster").defer(*heavy)
    notices = list(rows.order_by(first, "-pk")[: 2 * ENTRIES])
    entries: dict[int, Entry] = {}
    heads: dict[tuple[object, ...], int] = {}
    told: Counter[int] = Counter()
    for notice in sorted(notices, key=lambda one: one.kind != NoticeKind.RUN):
        head = heads.get(wording.merge_key(notice), notice.pk) if notice.alarm is not None else notice.pk
        told[head] += 1
        if notice.run is not None:
            entries[notice.pk] = wording.entry_of_run(notice.run, notice.before, _path(notice.run))
            heads[wording.merge_key(notice)] = notice.pk
        elif notice.alarm is not None and head in entries:
            wording.add_alarm(entries[head], notice.alarm, notice.kind)
        elif notice.alarm is not None:
            entries[notice.pk] = wording.entry_of_alarm(notice.alarm, notice.kind)
    shown = [notice.pk for notice in notices if notice.pk in entries][:ENTRIES]
    return [entries[pk] for pk in shown], sum(told[pk] for pk in shown)


def _path(run: Run) -> str:
    if run.kind in (Kind.RESTORE, Kind.ROLLBACK):
        return reverse("restoration", args=[run.restoration_id])
    return reverse("task-history", args=[run.task_id])


def _foot() -> str:
    zone = timezone.get_current_timezone_name()
    where = wording.link(settings.CONSOLE_URL, reverse("notifications"))
    return f"-- \nTimes are in {zone}. What you are told: {where}"
