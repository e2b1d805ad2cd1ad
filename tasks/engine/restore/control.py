"""Stopping and starting the IoTDB of a node, and proof of both by its ports and processes.

The commands are IoTDB's own scripts, systemd's units ``iotdb-datanode`` and ``iotdb-confignode``, a person's own, or a
person: then the page says what to do, and what becomes of it is watched.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Sequence

from storage.errors import ConsoleError
from tasks.engine.restore.target import CONFIG, DATA, Found, Target
from tasks.engine.restore.unpacking import failure
from tasks.hosts import Host
from tasks.sources.iotdb_running import MAIN_CLASSES, is_of
from tasks.states import Control
from tasks.units import format_duration

STOP_SECONDS = 90.0  # what IoTDB takes at most to stop in order: 32 to 35 s were measured
COMMAND_SECONDS = 120.0
PAUSE = 0.5
_SCRIPT = {CONFIG: "confignode", DATA: "datanode"}


class ControlFailed(ConsoleError):
    """IoTDB could not be stopped or started."""

    code = "control"


def command_for(target: Target, verb: str, role: str) -> str:
    """Return the command that stops or starts a role; empty where a person does it."""
    if target.control == Control.COMMANDS:
        return target.commands.get(f"{verb} {role}", "").strip()
    if target.control == Control.SCRIPTS:
        script = shlex.quote(os.path.join(target.spec.home, "sbin", f"{verb}-{_SCRIPT[role]}.sh"))
        return f"bash {script}{' -d' if verb == 'start' else ''}"
    if target.control == Control.SYSTEMD:
        line = f"systemctl {verb} iotdb-{_SCRIPT[role]}"
        return f'if [ "$(id -u)" = 0 ]; then {line}; else sudo -n {line}; fi'
    return ""


def lacking(target: Target) -> list[str]:
    """Return sentences on commands that a person chose to give and did not."""
    if target.control != Control.COMMANDS:
        return []
    return [
        f"Node {target.name} has no command to {verb} the {role}. Add it on the page of the node."
        for role in target.roles
        for verb in ("stop", "start")
        if not command_for(target, verb, role)
    ]


def processes_of(host: Host, home: str, role: str) -> list[int]:
    """Return the processes of a role whose arguments name the home."""
    homes = {home.rstrip("/"), host.realpath(home)}
    return [one.pid for one in host.processes() if is_of(one.command, MAIN_CLASSES[role], homes)]


class Node:
    """One node under control. ``ports`` are those of each of its roles."""

    def __init__(self, host: Host, target: Target, ports: dict[str, tuple[int, ...]]) -> None:
        self.host = host
        self.target = target
        self.ports = ports

    @classmethod
    def of(cls, host: Host, found: Found) -> Node:
        """Return a node whose ports are those that were found."""
        return cls(host, found.target, {role: found.ports(role) for role in found.target.roles})

    def listening(self, role: str) -> list[int]:
        """Return the ports of a role on which something listens. Raises ``NodeFault``."""
        try:
            open_ports = self.host.listening_ports()
        except OSError as error:
            raise failure(self.target.name, error) from error
        return [port for port in self.ports[role] if port in open_ports]

    def signs(self, role: str) -> str:
        """Return what shows that a role runs, in words; empty where nothing does. Raises ``NodeFault``."""
        try:
            pids = processes_of(self.host, self.target.spec.home, role)
        except OSError as error:
            raise failure(self.target.name, error) from error
        ports = self.listening(role)
        words = [f"port {', '.join(map(str, ports))} is open"] if ports else []
        words += [f"process {', '.join(map(str, pids))} is there"] if pids else []
        return " and ".join(words)

    def order(self, verb: str, role: str) -> None:
        """Give the command; raise ``ControlFailed`` where it says that it failed."""
        command = command_for(self.target, verb, role)
        what = f"The command to {verb} the {role} of {self.target.name}"
        try:
            done = self.host.run(command, COMMAND_SECONDS)
        except TimeoutError as error:
            raise ControlFailed(f"{what} did not end within {format_duration(COMMAND_SECONDS)}.") from error
        if done.status:
            said = " ".join(done.output.split())[-300:]
            raise ControlFailed(
                f"{what} ended with status {done.status}{f': {said}' if said else '.'}",
                cure="Try it by hand, and correct it on the page of the node.",
            )


Check = Callable[[], None]
Tell = Callable[[str], None]


def stop(nodes: Sequence[Node], check: Check, tell: Tell, hand_seconds: float) -> str:
    """Stop all DataNodes, then all ConfigNodes, and return what proves it. Raises ``ControlFailed``.

    What runs no more is left alone. A person has ``hand_seconds``; ``check`` may raise what ends the run.
    """
    for role in (DATA, CONFIG):
        mine = [node for node in nodes if role in node.target.roles]
        running = [node for node in mine if node.signs(role)]
        for node in running:
            check()
            if not node.target.by_hand:
                tell(f"Stopping the {role} of {node.target.name}.")
                node.order("stop", role)
        wait_stopped(running, role, check, tell, hand_seconds)
    ports = sorted({port for node in nodes for role in node.target.roles for port in node.ports[role]})
    return f"No process is left, and the ports {', '.join(map(str, ports))} are closed."


def wait_stopped(nodes: Sequence[Node], role: str, check: Check, tell: Tell, hand_seconds: float) -> None:
    """Wait until no port of a role is open and no process of it is there; raise ``ControlFailed`` after the limit."""
    began = time.monotonic()
    left = list(nodes)
    while left:
        signs = [(node, node.signs(role)) for node in left]
        left = [node for node, sign in signs if sign]
        if not left:
            return
        names = ", ".join(node.target.name for node in left)
        by_hand = [node for node in left if node.target.by_hand]
        if by_hand:
            tell(f"Stop the {role} on {', '.join(node.target.name for node in by_hand)} now. The console waits for it.")
        else:
            tell(f"Waiting for the {role} of {names} to end.")
        limit = hand_seconds if by_hand else STOP_SECONDS
        if time.monotonic() - began > limit:
            raise ControlFailed(
                f"The {role} of {names} still runs after {format_duration(limit)}: "
                f"{next(sign for _, sign in signs if sign)}.",
                cure="Look at its log, stop it by hand, and try again.",
            )
        check()
        time.sleep(PAUSE)


def start(nodes: Sequence[Node], check: Check, tell: Tell) -> None:
    """Start all ConfigNodes, then all DataNodes, where they do not run; a person is told to. Raises ``ControlFailed``.

    Whether they serve is for ``wellness`` to wait for: ConfigNodes of a cluster need each other to come up.
    """
    for role in (CONFIG, DATA):
        for node in nodes:
            if role in node.target.roles and not node.target.by_hand and not node.signs(role):
                check()
                tell(f"Starting the {role} of {node.target.name}.")
                node.order("start", role)
