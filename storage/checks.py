"""What Verify finds out about a destination, in the words of the page; no connection is made here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from storage.base import Space

Level = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Offer:
    """Something that a person may confirm: ``value`` is what becomes the form's field ``field``."""

    field: str
    value: str
    label: str


@dataclass(frozen=True)
class Check:
    """One line: what was tried and what came of it.

    ``field`` is the name of the form's field that has to change. ``code`` is shown as it stands, on a line of its
    own. With an ``offer`` the line waits for a person, and nothing after it was tried.
    """

    level: Level
    what: str
    detail: str
    cure: str = ""
    field: str | None = None
    offer: Offer | None = None
    code: str = ""

    @property
    def ends(self) -> bool:
        """Whether nothing that follows can be tried."""
        return self.level == "failed" or self.offer is not None


@dataclass(frozen=True)
class Endpoint:
    """An address and port that a destination is reached by, with the form's fields that they stand in."""

    host: str
    port: int
    host_field: str = "server_ip"
    port_field: str = "port"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Estimate:
    """What a destination will have to hold: ``size`` bytes a set, ``sets`` of them beside those it holds already."""

    size: int
    sets: int

    @property
    def total(self) -> int:
        """Bytes of all of them."""
        return self.size * self.sets


@dataclass(frozen=True)
class LocalPlace:
    """A directory of this machine, the room on its disk where that can be told, and the machine's name."""

    path: str
    space: Space | None
    host: str
