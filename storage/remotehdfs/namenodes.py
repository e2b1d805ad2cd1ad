"""Asking each NameNode what it is, within seconds, and saying why none of them will do."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum

import requests

from storage.errors import AuthenticationFailed, StoreError, Unreachable
from storage.remotehdfs.rpc import NotRpc, RpcRefused, ask
from storage.remotehdfs.target import WEBHDFS, Target

OTHERS_SECONDS = 2.0
"""How long the other NameNode is waited for when one is active."""
REASON_SECONDS = 5.0


class State(Enum):
    """What a NameNode turned out to be."""

    ACTIVE = "active"
    STANDBY = "standby"
    REFUSED = "refuses connections"
    SILENT = "does not answer"
    SECURED = "asks for Kerberos"
    HTTP = "is an HTTP port"
    OTHER = "is no NameNode"


@dataclass(frozen=True)
class NameNodes:
    """What was found, by address in the order of the form."""

    target: Target
    states: dict[str, State]

    @property
    def usable(self) -> list[str]:
        """The addresses to give to a client, the active NameNode first.

        One that accepts and never answers would hold the client up; one that refuses costs nothing and may take over.
        """
        order = [State.ACTIVE, State.STANDBY, State.REFUSED]
        found = [address for address, state in self.states.items() if state in order]
        return sorted(found, key=lambda address: order.index(self.states[address]))

    @property
    def active(self) -> str | None:
        """The address of the active NameNode, None where there is none."""
        return next((address for address, state in self.states.items() if state is State.ACTIVE), None)


def find(target: Target) -> NameNodes:
    """Ask all NameNodes at once, for ``target.connect`` at the most.

    Once one is active the others have ``OTHERS_SECONDS`` left: who says nothing until then is counted as silent, and a
    run does not wait for a NameNode that it does not need.
    """
    probe: Callable[[Target, str], State] = _probe_web if target.transport == WEBHDFS else _probe_rpc
    pool = ThreadPoolExecutor(len(target.addresses), "namenode")
    asked = {pool.submit(probe, target, address): address for address in target.addresses}
    states = dict.fromkeys(target.addresses, State.SILENT)
    until = time.monotonic() + target.connect + 1
    waiting = set(asked)
    while waiting and (left := until - time.monotonic()) > 0:
        done, waiting = wait(waiting, left, FIRST_COMPLETED)
        states |= {asked[answer]: answer.result() for answer in done}
        if State.ACTIVE in states.values():
            until = min(until, time.monotonic() + OTHERS_SECONDS)
    # Each question ends by its own limit; nobody waits for it.
    pool.shutdown(wait=False)
    return NameNodes(target, states)


def session() -> requests.Session:
    """Return a session that goes straight to the server: no proxy, no password file of this account."""
    direct = requests.Session()
    direct.trust_env = False
    return direct


def _probe_rpc(target: Target, address: str) -> State:
    try:
        ask(address, target.rpc_port, "getFsStats", b"", target.user, target.connect)
    except RpcRefused as refused:
        return _of_exception(refused.java)
    except NotRpc as other:
        return State.HTTP if other.http else State.OTHER
    except TimeoutError:
        return State.SILENT
    except OSError:
        return State.REFUSED
    return State.ACTIVE


def _probe_web(target: Target, address: str) -> State:
    url = f"http://{target.host_port(address)}/webhdfs/v1/"
    try:
        with session() as direct:
            answer = direct.get(
                url,
                params={"op": "GETFILESTATUS", "user.name": target.user},
                timeout=target.connect,
                allow_redirects=False,
            )
    except (requests.ConnectTimeout, requests.ReadTimeout):
        return State.SILENT
    except requests.ConnectionError as error:
        return State.REFUSED if "refused" in str(error) else State.OTHER
    except requests.RequestException:
        return State.OTHER
    with suppress(ValueError, KeyError, TypeError):
        body = answer.json()
        if answer.ok and "FileStatus" in body:
            return State.ACTIVE
        if answer.status_code == requests.codes.unauthorized:
            return State.SECURED
        return _of_exception(body["RemoteException"]["exception"])
    return State.SECURED if answer.status_code == requests.codes.unauthorized else State.OTHER


def _of_exception(java: str) -> State:
    name = java.rpartition(".")[2]
    if name in ("StandbyException", "ObserverRetryOnActiveException"):
        return State.STANDBY
    if name in ("AccessControlException", "SaslException"):
        return State.SECURED
    return State.OTHER


def explain(found: NameNodes) -> StoreError | None:
    """Return why no NameNode can be used, or None where one is active."""
    target, states = found.target, found.states
    if found.active:
        return None
    if State.SECURED in states.values():
        return AuthenticationFailed(
            f"The HDFS {target.name_service} runs in security mode and asks for Kerberos, which is not offered.",
            cure="Give an HDFS with simple authentication, or another Path Type.",
            field="name_service",
        )
    wrong = next((address for address, state in states.items() if state in (State.HTTP, State.OTHER)), None)
    if wrong:
        return _wrong_port(target, wrong, states[wrong])
    if State.STANDBY in states.values():
        return Unreachable(
            f"Neither NameNode of {target.name_service} is active: {_listed(found)}.",
            cure="Wait for the failover of the HDFS to end, or make one of them active.",
            field="active_ip",
        )
    refused = all(state is State.REFUSED for state in states.values())
    return Unreachable(
        f"No NameNode of {target.name_service} can be reached: {_listed(found)}.",
        cure=f"Check the IP addresses and {target.port_label}, and that the HDFS runs."
        if refused
        else "Check the IP addresses, and that no firewall is in between.",
        field=target.port_field if refused else "active_ip",
    )


def reason_now(target: Target) -> StoreError | None:
    """Return why no NameNode can be used at this moment, None where one can; asked for when a connection was lost."""
    return explain(find(replace(target, connect=min(target.connect, REASON_SECONDS))))


def _wrong_port(target: Target, address: str, state: State) -> StoreError:
    what = "an HTTP server" if state is State.HTTP else "not a NameNode"
    error = Unreachable(
        f"What answers on {target.host_port(address)} is {what}, or does not take that protocol.",
        cure=f"Check {target.port_label} in the HDFS configuration of the standby cluster.",
        field=target.port_field,
    )
    # Nothing changes by waiting.
    error.retryable = False
    return error


def _listed(found: NameNodes) -> str:
    return ", ".join(f"{found.target.host_port(address)} {_word(state)}" for address, state in found.states.items())


def _word(state: State) -> str:
    return "is standby" if state is State.STANDBY else state.value
