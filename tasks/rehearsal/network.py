"""The recorded addresses inside of a rehearsal: on the loopback, or where nodes need hosts of their own, on a bridge.

IoTDB listens on the wildcard address, so nodes that had the same ports on different hosts need hosts of their own here
too: a network namespace each. A host gets its addresses as single ones and sends everything else out on its only
interface; the bridge has nobody else on it but the process that asks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from tasks.rehearsal import system

_HUB = "hub0"
# Of the networks for tests between devices (RFC 2544, RFC 5180): nobody's address.
_OWN = ("198.18.0.1", "2001:2::1")
_NAMES, _LOOPBACK_NAMES = "198.18.{}.{}", "127.1.{}.{}"
_SECONDS = 10


class NoNetwork(Exception):
    """The hosts of a cluster cannot be made here; the text says why."""


def name_address(number: int, alone: bool) -> str:
    """Return the address that stands for the host name ``number``; ``alone`` where there is one host only."""
    return (_LOOPBACK_NAMES if alone else _NAMES).format(1 + number // 250, 1 + number % 250)


def make(hosts: Sequence[Sequence[str]]) -> list[int | None]:
    """Give the addresses of ``hosts``, and return for each the network to enter before a node of it is started.

    A single host is the network that is here, which is None. Raises NoNetwork, OSError.
    """
    if len(hosts) != 1:
        return list(_bridged(hosts))
    system.loopback_up()
    for number, address in enumerate(hosts[0]):
        system.add_address(address, number)
    return [None]


def _bridged(hosts: Sequence[Sequence[str]]) -> list[int]:
    """Make a network namespace for each of ``hosts``, given by their addresses, and return their descriptors.

    The calling thread stays in its own, which can reach all of them. Raises NoNetwork, OSError.
    """
    if not shutil.which("ip"):
        raise NoNetwork("the command ip (iproute2) is missing, and the nodes were on different hosts")
    system.loopback_up()
    hub = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    _ip("link", "add", _HUB, "type", "bridge")
    _join(_HUB, [*_OWN[:1], *(_OWN[1:] if any(":" in address for host in hosts for address in host) else ())])
    return [_host(number, addresses, hub) for number, addresses in enumerate(hosts)]


def _host(number: int, addresses: Sequence[str], hub: int) -> int:
    system.new_network()
    try:
        own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        system.loopback_up()
        peer = f"host{number}"
        _ip("link", "add", "eth0", "type", "veth", "peer", "name", peer, "netns", f"/proc/self/fd/{hub}", keep=hub)
        _join("eth0", addresses)
    finally:
        system.enter_network(hub)
    _ip("link", "set", peer, "master", _HUB, "up")
    return own


def _join(device: str, addresses: Sequence[str]) -> None:
    """Give a device its addresses, and send everything that has no other way out on it."""
    for address in addresses:
        _ip("address", "add", *((f"{address}/128", "nodad") if ":" in address else (f"{address}/32",)), "dev", device)
    _ip("link", "set", device, "up")
    _ip("route", "add", "default", "dev", device)
    if any(":" in address for address in addresses):
        _ip("-6", "route", "add", "default", "dev", device)


def _ip(*words: str, keep: int | None = None) -> None:
    try:
        done = subprocess.run(
            ["ip", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            pass_fds=() if keep is None else (keep,),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoNetwork(f"ip {words[0]} {words[1]}: {type(error).__name__}") from error
    if done.returncode:
        said = " ".join(done.stderr.split())[:200]
        raise NoNetwork(f"ip {words[0]} {words[1]}: {said or done.returncode}")
