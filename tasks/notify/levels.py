"""Who wants to be told of what: the levels, as one table of conditions on notices."""

from __future__ import annotations

from django.db.models import F, Q

from tasks.states import Level, NoticeKind, RunState

# What is bad news. A backup that was postponed was not made; who stopped a run knows of it.
BAD = (RunState.FAILED, RunState.UNKNOWN, RunState.ROLLED_BACK, RunState.POSTPONED)
BAD_NEWS = Q(kind=NoticeKind.RUN, state__in=BAD) | Q(kind=NoticeKind.RAISED)
_NOTHING = Q(pk__in=())

# On change: the run ended otherwise than the one before it, or was the first one; an alarm came or went. What belongs
# into a daily digest is not told at once.
AT_ONCE: dict[str, Q] = {
    Level.NEVER: _NOTHING,
    Level.ON_CHANGE: ~Q(kind=NoticeKind.RUN, state=F("before")),
    Level.ON_FAILURE: BAD_NEWS,
    Level.ALWAYS: Q(),
    Level.DIGEST: _NOTHING,
}
IN_DIGEST: dict[str, Q] = {level: Q() if level == Level.DIGEST else _NOTHING for level in Level}
