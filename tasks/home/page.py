"""The whole homepage as its templates read it, and what of it is sent anew while somebody looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.urls import reverse
from django.utils.http import urlencode

from tasks.home import agenda, days, growth, rooms, tally, tiles
from tasks.home.attention import Attention, attention
from tasks.home.sight import Sight
from tasks.home.verdict import Verdict, last_day, verdict
from tasks.listing import PACE_ACTIVE, PACE_CALM
from tasks.selectors import page_in

# So many clusters that need somebody are named.
NAMED = 2
_EVERY = "all"


@dataclass(frozen=True)
class HomeState:
    """The state of the page, which is its URL; what is unknown in it is passed over."""

    page: int = 1
    chart: str = ""
    span: int = growth.SPANS[0]
    space: str = ""
    todo: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> HomeState:
        """Read the state from a URL."""
        space, todo = (_EVERY if query.get(name, "") == _EVERY else "" for name in ("space", "todo"))
        return cls(page_in(query), query.get("chart", "")[:20], growth.span_of(query.get("days", "")), space, todo)

    def query(self, **changes: Any) -> str:
        """Return the query string of this state with ``changes``."""
        pairs = {
            "page": self.page if self.page > 1 else "",
            "chart": self.chart,
            "days": self.span if self.span != growth.SPANS[0] else "",
            "space": self.space,
            "todo": self.todo,
        }
        return urlencode({name: value for name, value in (pairs | changes).items() if value})


def whole(sight: Sight, state: HomeState) -> dict[str, Any]:
    """Return everything the page shows, in a fixed number of queries."""
    tasks, clusters = tally.of_tasks(sight), tally.of_clusters(sight)
    strips = days.page_of(sight, tasks, state.page)
    shown = [row.task for row in strips.rows]
    return _parts(sight, state, tasks, clusters, shown) | {
        "strips": strips,
        "rows": strips.rows,
        "previous": state.query(page=strips.number - 1),
        "following": state.query(page=strips.number + 1),
    }


def news(sight: Sight, state: HomeState, keys: list[int]) -> dict[str, Any]:
    """Return the same for a page that shows the tasks ``keys`` already: they stay in their order."""
    tasks, clusters = tally.of_tasks(sight), tally.of_clusters(sight)
    rows = days.anew(sight, keys)
    return _parts(sight, state, tasks, clusters, [row.task for row in rows]) | {"rows": rows}


def _parts(
    sight: Sight,
    state: HomeState,
    tasks: tally.TaskTally,
    clusters: tally.ClusterTally,
    shown: list[Any],
) -> dict[str, Any]:
    told = attention(sight, clusters, every=state.todo == _EVERY)
    now_and_next = agenda.agenda(sight)
    ids = ",".join(str(task.pk) for task in shown)
    query = state.query()
    active = bool(now_and_next.running or now_and_next.waiting)
    return {
        "state": state,
        "now": sight.now,
        "tasks": tasks,
        "clusters": clusters,
        "attention": told,
        "verdict": _verdict(sight, clusters, told),
        "last_day": last_day(tally.ended_within_a_day(sight)),
        "tiles": tiles.tiles(sight, tasks, clusters),
        "agenda": now_and_next,
        "growth": growth.growth(sight, clusters.names, state.chart, state.span, shown),
        "spans": growth.SPANS,
        "rooms": rooms.rooms(sight, every=state.space == _EVERY),
        "todo_query": state.query(todo="" if state.todo else _EVERY),
        "space_query": state.query(space="" if state.space else _EVERY),
        "poll_url": f"{reverse('home-news')}?ids={ids}{'&' + query if query else ''}",
        "pace": PACE_ACTIVE if active else PACE_CALM,
        "here": f"{reverse('home')}?{query}".rstrip("?"),
    }


def _verdict(sight: Sight, clusters: tally.ClusterTally, told: Attention) -> Verdict:
    """Name the clusters that are not protected, or else those of which something is to be done now."""
    pressing = list(dict.fromkeys(item.cluster_id for item in told.pressing if item.cluster_id is not None))
    if clusters.unprotected:
        needy = clusters.unprotected
        keys = list(dict.fromkeys([*(key for key in pressing if key in needy), *needy]))
    else:
        needy = clusters.names
        keys = [key for key in pressing if key in needy]
    names, others = [needy[key] for key in keys[:NAMED]], len(keys[NAMED:])
    only = next(iter(clusters.names.values())) if clusters.total == 1 else ""
    silent = not sight.workers.alive
    return verdict(clusters.total, clusters.protected, names, others, told.total, only=only, silent=silent)
