"""The first process inside the namespaces: ``python -m tasks.rehearsal.inside``, without Django.

It reads the plan from the first line of its standard input, closes itself into the scratch directory, starts the
servers, asks them, and answers in lines of JSON: ``phase``, ``failed`` or ``answer``. It is the init of its PID
namespace: when it ends, the kernel ends everything in there. It ends when its standard input does, at the limit of
the plan, and when the worker that waits for it is gone. With the path of a directory as its argument it only tries
whether it can be closed into that (``attempt``).
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from tasks.iotdb.base import Account, Endpoint, Health, Summary
from tasks.iotdb.client import NotAsked, ask_health, take_inventory
from tasks.rehearsal import network, system
from tasks.rehearsal.isolation import NotIsolated, isolate
from tasks.rehearsal.plan import Login, Plan
from tasks.rehearsal.servers import Ended, Servers

_PAUSE = 0.5
_ASK_SECONDS = 20.0
_REFUSED_SECONDS = 20.0


class Limit(Exception):
    """The rehearsal took as long as it may."""


class NoLogin(Exception):
    """The service came up, but takes none of the accounts."""


class Rehearsal:
    """One service, started and asked; ``tell`` takes events."""

    def __init__(self, plan: Plan, tell: Callable[..., None]) -> None:
        self.plan = plan
        self.tell = tell
        self.servers = Servers(plan)
        self.began = time.monotonic()
        self.ends = self.began + plan.seconds
        self.endpoints = [Endpoint(node.rpc_host, node.rpc_port) for node in plan.nodes if node.data_node]

    def run(self) -> None:
        """Go through it all and tell the answer. Raises what breaks it off."""
        plan = self.plan
        networks = network.make(plan.hosts)
        isolate(plan.scratch, plan.names, plan.hidden, list(plan.keep))
        if len(plan.hosts) == 1:
            system.give_up_rights()
        unreadable = next((jar for jar in _jars(plan.lib) if not os.access(jar, os.R_OK)), None)
        if unreadable:
            raise NotIsolated(f"{unreadable} may not be read by the account that rehearses")
        self.servers.start(networks)
        system.give_up_rights()
        self.wait_for_port()
        self.tell("phase", key="health")
        health, login = self.wait()
        started = time.monotonic() - self.began
        self.tell("phase", key="compare", text=health.words)
        summary, missing = self.inventory(login)
        self.tell(
            "answer",
            health=health.words,
            series=health.series,
            version=health.version,
            cluster_id=health.cluster_id,
            login=login.label,
            summary=summary.as_json() if summary else None,
            missing=missing,
            started=started,
            peak=self.servers.peak,
        )

    def wait_for_port(self) -> None:
        """Wait until a DataNode takes connections. Raises Ended, Limit."""
        while True:
            self.look("no DataNode took connections")
            for endpoint in self.endpoints:
                with suppress(OSError):
                    return socket.create_connection(endpoint, 1).close()
            time.sleep(_PAUSE)

    def wait(self) -> tuple[Health, Login]:
        """Return the health once it is good, and the account that was accepted. Raises Ended, Limit, NoLogin."""
        last, refused_since = "nobody was asked", 0.0
        while True:
            for login in self.plan.logins:
                self.look(last)
                account = Account(login.user, login.password)
                seconds = min(_ASK_SECONDS, max(1.0, self.ends - time.monotonic()))
                health = ask_health(account, self.endpoints, seconds=seconds, check=partial(self.look, last))
                if health.well:
                    return health, login
                last = health.words.rstrip(".")
                if not health.refused:
                    refused_since = 0.0
                    break
            else:
                refused_since = refused_since or time.monotonic()
                if time.monotonic() - refused_since > _REFUSED_SECONDS:
                    raise NoLogin(last)
            time.sleep(_PAUSE)

    def look(self, last: str) -> None:
        """Raise Ended where a server is gone, Limit where the time is over."""
        self.servers.look()
        if time.monotonic() >= self.ends:
            raise Limit(f"IoTDB was not healthy after {self.plan.seconds} s: {last}. {self.servers.errors()}".strip())

    def inventory(self, login: Login) -> tuple[Summary | None, str]:
        """Return the summary of the inventory, or None and why there is none."""
        path = Path(self.plan.scratch) / "_found.json"
        try:
            left = max(1.0, self.ends - time.monotonic())
            account = Account(login.user, login.password)
            look = self.servers.look
            return take_inventory(account, self.endpoints, path, seconds=left, series_limit=0, check=look), ""
        except NotAsked as failure:
            return None, failure.message


def _jars(lib: str) -> list[str]:
    try:
        return [os.path.join(lib, name) for name in os.listdir(lib) if name.endswith(".jar")]
    except OSError:
        return [lib]


def _end_with_input() -> None:
    """End, and with this process the whole namespace, when whoever gave the plan closes the pipe or is gone."""
    with suppress(OSError):
        while os.read(0, 4096):
            continue
    os._exit(3)


def attempt(scratch: str) -> None:
    """Try whether a process can be closed into ``scratch``; what stands in the way is printed, with status 1."""
    try:
        network.make([["198.51.100.1"]])
        isolate(scratch, [("name.invalid", "198.51.100.1")], [], [])
        system.give_up_rights()
    except (NotIsolated, network.NoNetwork, OSError) as reason:
        print(reason)
        sys.exit(1)


def main() -> None:
    """Rehearse the plan on the standard input."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 1)
        if not part:
            os._exit(3)
        line += part
    plan = Plan.of(line)
    threading.Thread(target=_end_with_input, daemon=True).start()
    sink = os.dup(1)
    os.dup2(2, 1)

    def tell(event: str, **more: Any) -> None:
        os.write(sink, json.dumps({"event": event} | more).encode("ascii") + b"\n")

    try:
        Rehearsal(plan, tell).run()
    except (NotIsolated, network.NoNetwork) as reason:
        tell("failed", code="isolation", text=str(reason))
    except NoLogin as reason:
        tell("failed", code="login", text=str(reason))
    except (Ended, Limit) as reason:
        tell("failed", code="start", text=str(reason))
    except OSError as error:
        tell("failed", code="system", text=f"{error.strerror} ({error.filename})" if error.filename else str(error))
    except Exception as error:
        # The text of an error that nobody foresaw may hold anything.
        tell("failed", code="unforeseen", text=type(error).__name__)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    attempt(sys.argv[1]) if len(sys.argv) > 1 else main()
