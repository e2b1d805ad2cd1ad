"""Whether an address is one of this machine; nothing is sent anywhere."""

from __future__ import annotations

import ipaddress
import socket


def is_own(address: str) -> bool:
    """Tell whether ``address`` (IPv4 or IPv6) leads to this machine; what is no address does not, but localhost."""
    if address.lower().rstrip(".") == "localhost":
        return True
    try:
        parsed = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    parsed = mapped or parsed
    if parsed.is_loopback or parsed.is_unspecified:
        return True
    family = socket.AF_INET if parsed.version == 4 else socket.AF_INET6
    try:
        # A socket can be bound to the machine's own addresses only.
        with socket.socket(family, socket.SOCK_DGRAM) as own:
            own.bind((str(parsed), 0))
    except OSError:
        return False
    return True
