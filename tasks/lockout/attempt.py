"""An attempt to log in: by which name, from which address, with a browser that is known or not."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from tasks.audit import address_of
from tasks.lockout import browsers


@dataclass(frozen=True)
class Attempt:
    """Who tries: ``name_key`` stands for the name that was typed, ``browser`` for a browser that this name knows."""

    name_key: str
    network: str | None
    browser: str = ""

    @classmethod
    def of(cls, request: HttpRequest, credentials: dict[str, Any]) -> Attempt:
        """Return the attempt that a request makes."""
        name_key = key_of(str(credentials.get(User.USERNAME_FIELD) or ""))
        return cls(name_key, network_of(request), browsers.known(request, name_key))

    @property
    def key(self) -> str:
        """What the counts of name and address are kept under."""
        return f"{self.name_key}.{self.browser}" if self.browser else self.name_key


def key_of(name: str) -> str:
    """Return what stands for a name in the counts: it may be a password that was typed into the wrong field."""
    return salted_hmac("tasks.lockout", User.normalize_username(name), algorithm="sha256").hexdigest()[:40]


def network_of(request: HttpRequest) -> str | None:
    """Return the address of a request as it is counted; None where it is not known."""
    return network(address_of(request))


def network(text: str) -> str | None:
    """Return an address as it is counted; None for what is none.

    Of an IPv6 address it is the /64: whoever has one address of it has them all.
    """
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)
