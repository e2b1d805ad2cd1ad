"""Which addresses a message may be sent to: whoever edits a channel chooses the host that the console talks to.

Link-local addresses (metadata services of clouds), multicast and the like are never allowed. This machine, its
loopback and its own addresses, with whatever listens on them for the machine's own use, is allowed for what an
administrator set up, and for others only with the setting NOTIFY_LOCAL. The judgement is made when a connection is
opened (``courier``), on the address itself, so that no name that resolves otherwise a second time gets round it.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address


def refusal(address: str, *, local: bool) -> str:
    """Return why nothing is sent to the IP address ``address``, or the empty text where it may be."""
    found = _unwrapped(ip_address(address.partition("%")[0]))
    if found.is_link_local:
        return "a link-local address"
    if found.is_unspecified or found.is_multicast or (found.is_reserved and not found.is_loopback):
        return "no address of a host"
    if not local and (found.is_loopback or _is_own(found)):
        return "an address of the console's own machine"
    return ""


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        # NAT64 (RFC 6052) and 6to4: the embedded address is where the connection goes.
        if address.packed.startswith(b"\x00\x64\xff\x9b" + bytes(8)):
            return IPv4Address(address.packed[-4:])
        if address.sixtofour is not None:
            return address.sixtofour
    return address


def _is_own(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether this machine has the address: only then can a socket be bound to it."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
