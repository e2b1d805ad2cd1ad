"""The last messages as the pages list them: newest first, by pages that begin after a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.http import urlencode

from tasks.models import OutboxMessage
from tasks.selectors import number_in
from tasks.states import MessageState

PAGE_SIZE = 25
# Messages of a state are counted up to here; a longer count helps nobody and costs.
COUNTED = 1000
LOOKS = {
    MessageState.WAITING: ("status-idle", "wait"),
    MessageState.SENDING: ("status-run", "run"),
    MessageState.SENT: ("status-ok", "ok"),
    MessageState.FAILED: ("status-fail", "fail"),
}


@dataclass(frozen=True)
class Chip:
    """A state with its count, as a link that filters by it."""

    label: str
    number: str
    query: str
    current: bool


def whole(query: QueryDict, messages: QuerySet[OutboxMessage], *, chips: bool = False) -> dict[str, Any]:
    """Return what a list of ``messages`` shows; a fixed number of queries, whatever their number."""
    state = query.get("state", "")
    state = state if chips and state in MessageState.values else ""
    before = number_in(query.get("before", "")) or 0
    found = messages.filter(state=state) if state else messages
    if before:
        found = found.filter(pk__lt=before)
    rows = list(found.select_related("channel__user").order_by("-pk").defer("body")[: PAGE_SIZE + 1])
    older = rows[PAGE_SIZE - 1].pk if len(rows) > PAGE_SIZE else 0
    return {
        "rows": [(message, *LOOKS[MessageState(message.state)]) for message in rows[:PAGE_SIZE]],
        "older": urlencode(({"state": state} if state else {}) | {"before": str(older)}) if older else "",
        "newest": urlencode({"state": state}) if state else "",
        "paged": bool(before),
        "state": state,
        "state_chips": _chips(state, messages) if chips else [],
    }


def _chips(chosen: str, messages: QuerySet[OutboxMessage]) -> list[Chip]:
    found = [Chip("All", _count(messages), "", not chosen)]
    for state in (MessageState.FAILED, MessageState.WAITING, MessageState.SENT):
        query = urlencode({"state": state.value})
        found.append(Chip(str(state.label), _count(messages.filter(state=state)), query, chosen == state))
    return found


def _count(found: QuerySet[OutboxMessage]) -> str:
    number = found.order_by()[: COUNTED + 1].count()
    return f"{COUNTED:,}+" if number > COUNTED else f"{number:,}"
