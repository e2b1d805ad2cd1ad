"""Waiting for an IoTDB that was started to be well: asked where there is an account, else by ports and processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.conf import settings

from tasks.engine.restore.control import ControlFailed, Node
from tasks.engine.snapshot import service_spec
from tasks.iotdb.base import Account, Endpoint, Health
from tasks.iotdb.client import ask_health
from tasks.models import Service
from tasks.units import format_duration

ASK_SECONDS = 20.0
PAUSE = 1.0
GONE_SECONDS = 30.0  # a role of which nothing is seen for so long after its start has died
REFUSED_SECONDS = 10.0  # whoever restores accounts may find another password


@dataclass(frozen=True)
class Asked:
    """Whom of a service to ask, as whom. Without an account ``why`` says what is missing."""

    service: str
    endpoints: tuple[Endpoint, ...] = ()
    account: Account | None = None
    why: str = ""


class Well(NamedTuple):
    """An IoTDB that is well as far as it could be found out; ``doubt`` is a sentence on what could not."""

    words: str
    doubt: str = ""


def asked_of(service: Service) -> Asked:
    """Return whom to ask of a service."""
    spec = service_spec(service)
    why = "" if spec.account else spec.account_problem or f"service {service.name} has no IoTDB user in the console"
    return Asked(service.name, spec.endpoints, spec.account, why.rstrip("."))


def wait_well(
    nodes: Sequence[Node], asked: Sequence[Asked], check: Callable[[], None], tell: Callable[[str], None]
) -> Well:
    """Wait until every role serves, and until every service that can be asked is well; raise ``ControlFailed``.

    It may take ``RESTORE_START_SECONDS``. A role of which neither port nor process is seen for half a minute has died,
    and is not waited for.
    """
    return _Waiting(nodes, asked, check, tell).go()


def wait_for_people(nodes: Sequence[Node], check: Callable[[], None], tell: Callable[[str], None]) -> None:
    """Wait until whoever starts IoTDB by hand has done so, ``RESTORE_CONFIRM_SECONDS`` at most; ``ControlFailed`` then.

    A sign of each role is enough: whether it serves is for ``wait_well`` to find out.
    """
    until = time.monotonic() + settings.RESTORE_CONFIRM_SECONDS
    left = [(node, role) for node in nodes if node.target.by_hand for role in node.target.roles]
    while left := [(node, role) for node, role in left if not node.signs(role)]:
        what = ", ".join(f"the {role} on {node.target.name}" for node, role in left)
        tell(f"Start {what} now, ConfigNodes first. The console waits for it.")
        if time.monotonic() > until:
            raise ControlFailed(f"Nobody started {what} within {format_duration(settings.RESTORE_CONFIRM_SECONDS)}.")
        check()
        time.sleep(PAUSE)


class _Waiting:
    """One waiting for a start."""

    def __init__(
        self, nodes: Sequence[Node], asked: Sequence[Asked], check: Callable[[], None], tell: Callable[[str], None]
    ) -> None:
        self.nodes = nodes
        self.asked = asked
        self.check = check
        self.tell = tell
        self.began = time.monotonic()
        self.seen: dict[tuple[int, str], float] = {}
        self.refused: dict[str, float] = {}

    def go(self) -> Well:
        """Look again and again until all is well or the time is over."""
        while True:
            troubles = self._roles() or self._services()
            if not troubles:
                return self._well()
            self.tell(troubles[0])
            if time.monotonic() - self.began > settings.RESTORE_START_SECONDS:
                limit = format_duration(settings.RESTORE_START_SECONDS)
                raise ControlFailed(f"IoTDB is not well {limit} after its start. {troubles[0]}", cure=_LOOK)
            self.check()
            time.sleep(PAUSE)

    def _roles(self) -> list[str]:
        """Return sentences on roles whose ports are not all open; raise where one has died."""
        sentences, now = [], time.monotonic()
        for node in self.nodes:
            for role in node.target.roles:
                open_ports = node.listening(role)
                shut = [port for port in node.ports[role] if port not in open_ports]
                if not shut:
                    continue
                if node.signs(role):
                    self.seen[(node.target.pk, role)] = now
                elif now - self.seen.get((node.target.pk, role), self.began) > GONE_SECONDS:
                    raise ControlFailed(f"The {role} of {node.target.name} ended after its start.", cure=_LOOK)
                sentences.append(f"Waiting for the {role} of {node.target.name}: port {shut[0]} is not open yet.")
        return sentences

    def _services(self) -> list[str]:
        return [sentence for one in self.asked if (sentence := self._service(one))]

    def _service(self, one: Asked) -> str:
        """Return what a service lacks; nothing where it is well, or cannot be asked."""
        if one.account is None:
            return ""
        health: Health = ask_health(one.account, one.endpoints, seconds=ASK_SECONDS, check=self.check)
        if health.refused:
            first = self.refused.setdefault(one.service, time.monotonic())
            return health.words if time.monotonic() - first < REFUSED_SECONDS else ""
        self.refused.pop(one.service, None)
        return "" if health.well else f"{one.service}: {health.words}"

    def _well(self) -> Well:
        doubts = [f"{one.why}" for one in self.asked if one.account is None]
        doubts += [f"{name} refuses the IoTDB user: its password may be an older one now" for name in self.refused]
        if doubts:
            text = "Ports and processes are as they should be; IoTDB itself could not be asked"
            return Well(f"{text}.", f"{text}, because {'; '.join(doubts)}.")
        return Well("Every node is Running, and series are counted.")


_LOOK = "Look at the logs of IoTDB on that node."
