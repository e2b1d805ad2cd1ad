"""What is said of a connection to a server: one that does not come about, and one that breaks."""

from __future__ import annotations

import errno
from typing import Protocol

from storage.errors import Unreachable

MIB = 1 << 20
CHECK_SERVER = "Check that the server runs and that the network to it holds, then try again."


class Lost(Exception):
    """The connection is gone; ``silent`` where the server stopped answering rather than hung up."""

    def __init__(self, silent: bool = False) -> None:
        super().__init__(silent)
        self.silent = silent


class Peer(Protocol):
    """Who is connected to: the address alone, and with its port as it stands in a sentence."""

    @property
    def host(self) -> str:
        """Return the address as it stands on the form."""

    @property
    def server(self) -> str:
        """Return the server in a sentence."""


def of_opening(error: OSError | None, peer: Peer, service: str, limit: float) -> Unreachable:
    """Return what is said of a connection to ``service`` (SSH, CIFS) that did not open within ``limit`` seconds."""
    number = error.errno if error else None
    if number == errno.ECONNREFUSED:
        return Unreachable(
            f"Nothing listens on {peer.server}.",
            cure=f"Check Port and Server IP Address, and that the {service} service of the server runs.",
            field="port",
        )
    if isinstance(error, TimeoutError) or number == errno.ETIMEDOUT:
        message = f"{peer.server} did not answer within {limit:g} s."
        cure = "Check Server IP Address, and that no firewall stands between."
    elif number in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL):
        message = f"There is no way to {peer.host} from this machine."
        cure = "Check Server IP Address and the network of the management node."
    else:
        message = f"{peer.server} cannot be reached."
        cure = "Check Server IP Address and Port."
    return Unreachable(message, cure=cure, field="server_ip")


def of_loss(error: Lost, peer: Peer, limit: float, written: int | None) -> Unreachable:
    """Return what is said of a connection that broke; ``written`` bytes of a file had been sent by then."""
    after = "" if written is None else f" after {written / MIB:.1f} MiB"
    if error.silent:
        return Unreachable(f"{peer.server} stopped answering for {limit:g} s{after}.", cure=CHECK_SERVER)
    return Unreachable(f"The connection to {peer.server} was lost{after}.", cure=CHECK_SERVER)
