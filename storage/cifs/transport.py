"""The TCP connection below SMB, with what the library's own lacks."""

from __future__ import annotations

import socket
from contextlib import suppress

from smbprotocol.connection import Connection
from smbprotocol.exceptions import SMBException
from smbprotocol.transport import Tcp


class Transport(Tcp):
    """A connection that is quick with small packets, notices a dead peer, and can be cut from any thread.

    ``silence`` is how long sent data may stay without acknowledgement, in seconds.
    """

    silence = 30.0

    def connect(self) -> None:
        """Open the connection; raises ``ValueError``, whose cause is the ``OSError``."""
        super().connect()
        bare: socket.socket = self._sock
        bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self.silence * 1000))

    def recv(self, timeout: float) -> bytes:
        """Return the next message, or none at the end of the connection.

        The library takes four bytes for the length and makes room for it at once: 1.3 GiB where an SSH server says its
        name. By MS-SMB2 2.1 the first byte is zero, which leaves 16 MiB.
        """
        head, timeout = self._recv(4, timeout)
        if not head:
            return b""
        if head[0]:
            raise SMBException("no direct TCP")
        return self._recv(int.from_bytes(head[1:]), timeout)[0] or b""

    def cut(self) -> None:
        """End the connection below the library, which closes under a lock that a blocked send holds."""
        if self._sock is not None:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)


class OwnConnection(Connection):
    """A connection of the library over our transport."""

    silence = Transport.silence
    _transport: Transport | None = None

    @property
    def transport(self) -> Transport | None:
        """Return the TCP connection; None before there is one."""
        return self._transport

    @transport.setter
    def transport(self, given: Tcp | None) -> None:
        """Take what the library made as the order for one of ours."""
        self._transport = None
        if given is not None:
            self._transport = Transport(given.server, given.port, given.timeout)
            self._transport.silence = self.silence
