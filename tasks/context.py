"""What the shell around every page shows: navigation by role, the viewer's zone and theme, the state of the workers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils import timezone

from tasks import alarms, permissions
from tasks.alarms import Counts
from tasks.engine.watches import silence
from tasks.middleware import preference_of
from tasks.models import Maintenance, Preference
from tasks.rights import roles_of
from tasks.workers import WorkersState
from tasks.zones import same_clock

# The theme's button goes round in this order; the first is what a person has who chose nothing.
THEMES = (Preference.Theme.AUTO, Preference.Theme.LIGHT, Preference.Theme.DARK)
_SECTIONS = {
    "home": "home",
    "alarm": "alarms",
    "audit": "audit",
    "task": "tasks",
    "restoration": "restorations",
    "safety": "restorations",
    "run": "tasks",
    "cluster": "clusters",
    "service": "clusters",
    "node": "clusters",
    "management": "system",
    "rehearsal": "system",
    "maintenance": "system",
    "people": "people",
    "lockout": "people",
    "person": "people",
}


@dataclass(frozen=True)
class Theme:
    """The theme of the pages and the one that the button in the top bar switches to."""

    value: str
    label: str
    next: str
    next_label: str


def theme_of(preference: Preference | None) -> Theme:
    """Return the theme that a person chose, by default that of the system."""
    now = Preference.Theme(preference.theme) if preference else Preference.Theme.AUTO
    following = THEMES[(THEMES.index(now) + 1) % len(THEMES)]
    return Theme(now.value, str(now.label), following.value, str(following.label))


@dataclass(frozen=True)
class AlarmCount:
    """How many alarms are not cleared, how many of them nobody has acknowledged, and in words how serious they are."""

    total: int
    pressing: int
    words: str

    @property
    def acknowledged(self) -> int:
        """How many somebody sees to already."""
        return self.total - self.pressing


def alarm_count(counts: Counts) -> AlarmCount:
    """Return ``counts`` as the shell tells them."""
    if not counts.total:
        return AlarmCount(0, 0, "No alarms")
    noun = "alarm" if counts.total == 1 else "alarms"
    parts = ", ".join(f"{number:,} {severity.label.lower()}" for severity, number in counts.by_severity.items())
    seen = f"; {counts.acknowledged:,} acknowledged" if counts.acknowledged else ""
    return AlarmCount(counts.total, counts.pressing, f"{counts.total:,} uncleared {noun}: {parts}{seen}")


class Shell:
    """Everything the shell asks for; each part is worked out when a template first names it."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.host = settings.HOST_NAME

    @cached_property
    def may(self) -> dict[str, bool]:
        """What the person may do, by the words that templates use."""
        user = self.request.user
        return {
            "view": user.has_perm(permissions.VIEW),
            "run": user.has_perm(permissions.RUN),
            "manage": user.has_perm(permissions.MANAGE),
            "restore": user.has_perm(permissions.RESTORE),
            "inventory": user.has_perm(permissions.INVENTORY),
            "system": user.has_perm(permissions.SYSTEM),
            "audit": user.has_perm(permissions.AUDIT),
            "people": user.has_perm(permissions.PEOPLE),
        }

    @cached_property
    def roles(self) -> str:
        """The person's roles in words."""
        user = self.request.user
        none = "Administrator" if user.is_superuser else "No role"
        return ", ".join(roles_of(user)) or none if isinstance(user, User) else ""

    @cached_property
    def theme(self) -> Theme:
        """The person's theme."""
        return theme_of(preference_of(self.request))

    @cached_property
    def section(self) -> str:
        """Which entry of the navigation the page belongs to: one of the values of ``_SECTIONS``, or none.

        That is told by the name of its address, or by the name that its view gives as ``shown_as`` of the request.
        """
        match = self.request.resolver_match
        name = str(getattr(self.request, "shown_as", "")) or ((match.url_name or "") if match else "")
        return _SECTIONS.get(name.split("-")[0].rstrip("s"), "")

    @cached_property
    def page(self) -> str:
        """The name of the page's address, by which its own entry in the navigation is told from its section."""
        match = self.request.resolver_match
        return (match.url_name or "") if match else ""

    @cached_property
    def zone(self) -> str:
        """The viewer's zone with its distance from UTC."""
        offset = timezone.localtime().strftime("%z")
        return f"{timezone.get_current_timezone_name()} (UTC{offset[:3]}:{offset[3:]})"

    @cached_property
    def server_zone(self) -> str:
        """The server's zone, or nothing where the viewer's clock shows the same."""
        server = timezone.get_default_timezone()
        return "" if same_clock(timezone.get_current_timezone(), server, timezone.now()) else str(server)

    @cached_property
    def workers(self) -> WorkersState:
        """Whether the workers are alive."""
        now = timezone.now()
        state = silence.workers_now(now)
        silence.WEB.saw(state, now)
        return state

    @cached_property
    def maintenance(self) -> Maintenance | None:
        """The maintenance switch while it is on; None while runs may start, and for strangers."""
        if not self.request.user.is_authenticated:
            return None
        switch = Maintenance.current()
        return switch if switch.on(timezone.now()) else None

    @property
    def no_start(self) -> str:
        """Why no run can be started now, in a word or two; empty where it can."""
        return "Maintenance" if self.maintenance else ""

    @cached_property
    def alarm_counts(self) -> Counts:
        """How many alarms that the person may see are not cleared."""
        return alarms.counts(self.request.user)

    @cached_property
    def alarms(self) -> AlarmCount:
        """The same, as the shell tells it."""
        return alarm_count(self.alarm_counts)


def shell_of(request: HttpRequest) -> Shell:
    """Return the shell of the page that is asked for; what one part of it worked out the others have."""
    if not hasattr(request, "_shell"):
        request._shell = Shell(request)  # type: ignore[attr-defined]
    shell: Shell = request._shell  # type: ignore[attr-defined]
    return shell


def console(request: HttpRequest) -> dict[str, Any]:
    """Give every template the shell as ``shell``."""
    return {"shell": shell_of(request)}
