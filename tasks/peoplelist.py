"""System > People as its templates read it: the list with its filter, and one person's page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.contrib.auth.models import Group, User
from django.db.models import Count, Q, QuerySet
from django.http import QueryDict
from django.utils.http import urlencode

from tasks import people
from tasks.audit import Actor
from tasks.scope import person_of
from tasks.selectors import number_in, page_in, search_in

PAGE_SIZE = 25
ACTIVE, DISABLED, MUST_CHANGE = "active", "disabled", "change"
STATES: dict[str, tuple[str, Q]] = {
    ACTIVE: ("Active", Q(is_active=True)),
    DISABLED: ("Disabled", Q(is_active=False)),
    MUST_CHANGE: ("Password to be changed", Q(is_active=True, person__must_change_password=True)),
}


@dataclass(frozen=True)
class PeopleState:
    """The state of the page, from its URL; what is unknown is passed over."""

    q: str = ""
    role: int | None = None
    state: str = ""
    page: int = 1

    @classmethod
    def of(cls, query: QueryDict) -> PeopleState:
        """Read the state from a URL."""
        state = query.get("state", "")
        return cls(
            q=search_in(query),
            role=number_in(query.get("role", "")),
            state=state if state in STATES else "",
            page=page_in(query),
        )

    def query(self, **changes: Any) -> str:
        """Return the query string of this state with ``changes``; a change of anything but the page leads to page 1."""
        wanted = replace(self, **({"page": 1} | changes))
        pairs = {
            "q": wanted.q,
            "role": wanted.role,
            "state": wanted.state,
            "page": wanted.page if wanted.page > 1 else "",
        }
        return urlencode({name: value for name, value in pairs.items() if value})

    @property
    def narrowed(self) -> bool:
        """Whether anybody is filtered out."""
        return bool(self.q or self.role or self.state)


class Row:
    """A person as the list and their own page show them to ``actor``."""

    def __init__(self, user: User, actor: Actor) -> None:
        self.user = user
        self.clusters = people.clusters_in_words(user, actor)
        self.oneself = actor.user is not None and actor.user.pk == user.pk

    @property
    def roles(self) -> list[str]:
        """The names of the roles."""
        names = sorted(role.name for role in self.user.groups.all())
        return ["Superuser", *names] if self.user.is_superuser else names

    @property
    def must_change(self) -> bool:
        """Whether the password has to be changed at the next login."""
        person = person_of(self.user)
        return bool(person and person.must_change_password)


def known_people() -> QuerySet[User]:
    """Return all people with what a row asks for."""
    return User.objects.select_related("person").prefetch_related("groups", "person__clusters")


def whole(state: PeopleState, actor: Actor) -> dict[str, Any]:
    """Return everything the page shows; the number of queries does not depend on that of the people."""
    found = _filtered(state)
    counts = found.order_by().aggregate(
        all=Count("pk", distinct=True),
        **{name: Count("pk", filter=condition, distinct=True) for name, (_, condition) in STATES.items()},
    )
    total = counts[state.state or "all"]
    pages = max(1, -(-total // PAGE_SIZE))
    number = min(state.page, pages)
    shown = found.filter(STATES[state.state][1]) if state.state else found
    start = (number - 1) * PAGE_SIZE
    rows = [Row(user, actor) for user in shown.order_by("username")[start : start + PAGE_SIZE]]
    chips = [
        {
            "state": name,
            "label": label,
            "number": counts[name or "all"],
            "query": state.query(state=name),
            "current": state.state == name,
        }
        for name, label in {"": "All", **{name: label for name, (label, _) in STATES.items()}}.items()
    ]
    return {
        "state": state,
        "rows": rows,
        "roles": Group.objects.order_by("name"),
        "chips": [chip for chip in chips if chip["number"] or chip["current"] or not chip["state"]],
        "total": total,
        "everybody": counts["all"] if state.narrowed else total,
        "pages": pages,
        "number": number,
        "first": start + 1 if rows else 0,
        "last": start + len(rows),
        "previous": state.query(page=number - 1),
        "following": state.query(page=number + 1),
    }


def _filtered(state: PeopleState) -> QuerySet[User]:
    found = known_people()
    if state.q:
        fields = ("username", "first_name", "last_name", "email")
        wanted = Q()
        for name in fields:
            wanted |= Q(**{f"{name}__icontains": state.q})
        found = found.filter(wanted)
    return found.filter(groups=state.role) if state.role else found
