"""A connection by SSH: socket, host key, login, and the session of SFTP in it."""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.ssh_exception import PartialAuthentication

from storage.connection import Lost, of_loss, of_opening
from storage.errors import StoreError
from storage.heap import keep_heap
from storage.sftp import commands, words
from storage.sftp.wire import Wire
from storage.sftp.words import Place
from storage.watchdog import Watchdog

# What the library raises for a connection in trouble.
FAULTS = (paramiko.SSHException, OSError, EOFError)
# AES-GCM costs half of what AES-CTR with a separate checksum does.
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr")
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", *_RSA)
# Every fault is raised and translated; the library's own log would repeat it with a traceback.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class Link:
    """An SSH connection. ``CONNECT`` limits each step of connecting and ``SILENCE`` each later answer, in seconds.

    Everything that waits is watched, so that a frozen server ends in ``Unreachable`` and leaves no thread behind.
    Raises errors of ``storage.errors``. Nothing secret is sent before the host key has been compared.
    """

    CONNECT = 10.0
    SILENCE = 30.0
    KEEP_ALIVE = 15

    def __init__(self, place: Place) -> None:
        keep_heap()
        self.place = place
        self._transport: paramiko.Transport | None = None
        self._socket = self._open()
        self.watchdog = Watchdog(self.end)

    def greet(self, pinned_type: str = "") -> str:
        """Begin the SSH session and return the server's host key, of type ``pinned_type`` where it has such a one."""
        failure: BaseException | None = None
        try:
            with self.watchdog.watch(self.CONNECT):
                transport = self._transport = paramiko.Transport(self._socket)
                transport.banner_timeout = transport.handshake_timeout = self.CONNECT
                options = transport.get_security_options()
                options.ciphers = CIPHERS
                options.key_types = _preferred(pinned_type)
                transport.start_client(timeout=self.CONNECT)
                # A handshake that takes too long ends without an exception; asking for the key then raises one.
                return describe_key(transport.get_remote_server_key())
        except Exception as error:
            # The library's thread passes on whatever a strange greeting made it stumble over.
            failure = error
        self.end()
        raise words.of_handshake(failure, self.place, self.CONNECT) from failure

    def check_key(self, pinned: str) -> None:
        """Compare the server's host key with the pinned one; raise ``HostKeyUnknown`` or ``HostKeyChanged``."""
        shown = self.greet(pinned.partition(" ")[0])
        if shown == pinned:
            return
        self.end()
        if not pinned:
            raise words.key_unknown(self.place, shown)
        raise words.key_changed(self.place, shown, pinned)

    def log_in(self, secrets: Mapping[str, str]) -> None:
        """Prove to be the user: by the private key where there is one, else by the password."""
        field = "private_key" if secrets.get("private_key") else "password"
        key = read_key(secrets["private_key"], secrets.get("passphrase", "")) if field == "private_key" else None
        transport = self._running()
        transport.auth_timeout = self.CONNECT
        failure: BaseException | None = None
        try:
            with self.watchdog.watch(self.CONNECT):
                if key:
                    more = transport.auth_publickey(self.place.user, key)
                else:
                    more = _show_password(transport, self.place.user, secrets.get("password", ""))
            if not more:
                transport.set_keepalive(self.KEEP_ALIVE)
                return
            failure = PartialAuthentication(more)
        except Exception as error:
            failure = error
        late = self.watchdog.fired
        self.end()
        raise words.of_login(None if late else failure, self.place, field, self.CONNECT) from failure

    def open_sftp(self, program: str = "", first: bytes = b"") -> Wire:
        """Begin the session of SFTP: the server's own, or with ``program`` that of a command, which reads ``first``.

        Raises ``NoSession`` where the command does not speak SFTP; the connection is good for another try then.
        """
        channel = None
        try:
            with self.watchdog.watch(self.CONNECT):
                channel = self._running().open_session(timeout=self.CONNECT)
                channel.settimeout(self.SILENCE)
                if program:
                    channel.exec_command(program)
                    channel.sendall(first)
                else:
                    channel.invoke_subsystem("sftp")
            return Wire(channel, self.watchdog, self.SILENCE, FAULTS)
        except (*FAULTS, Lost) as error:
            silent = self.watchdog.fired or (isinstance(error, Lost) and error.silent)
            if program and not silent and self._running().is_active():
                raise commands.NoSession(commands.last_words(channel, self.CONNECT)) from error
            self.end()
            if silent:
                raise words.of_login(None, self.place, "password", self.CONNECT) from error
            raise words.no_sftp(self.place) from error

    def execute(self, command: str, seconds: float, first: bytes = b"") -> commands.Ended:
        """Run a command that is given ``first`` to read and nothing more, and return how it ended.

        Raises TimeoutError after ``seconds``, whatever becomes of the command then, and ``Lost``.
        """
        channel = None
        ended = commands.Ended(None)
        try:
            with self.watchdog.watch(self.CONNECT + seconds):
                channel = self._running().open_session(timeout=self.CONNECT)
                ended = commands.run(channel, command, seconds, first)
        except TimeoutError:
            raise
        except FAULTS as error:
            if not self._running().is_active():
                raise Lost(self.watchdog.fired) from error
        finally:
            if channel is not None:
                channel.close()
        if ended.status is None and not self._running().is_active():
            raise Lost
        return ended

    def end(self) -> None:
        """End the connection and wake whoever waits on it; never waits itself, and may be called again."""
        self.watchdog.close()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self._transport:
            self._transport.close()
        self._socket.close()

    def _open(self) -> socket.socket:
        try:
            opened = socket.create_connection((self.place.host, self.place.port), timeout=self.CONNECT)
        except OSError as error:
            raise of_opening(error, self.place, "SSH", self.CONNECT) from error
        # The library leaves small packets waiting for the acknowledgement of those before: 1 MiB/s instead of 100.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self.SILENCE * 1000))
        return opened

    def _running(self) -> paramiko.Transport:
        if self._transport is None:
            raise of_loss(Lost(), self.place, self.SILENCE, None)
        return self._transport


def connect(place: Place, pinned: str, secrets: Mapping[str, str]) -> tuple[Link, Wire]:
    """Return a connection that is logged in, and the session of SFTP in it."""
    link = Link(place)
    try:
        link.check_key(pinned)
        link.log_in(secrets)
        return link, link.open_sftp()
    except StoreError:
        link.end()
        raise


def fetch_host_key(host: str, port: int) -> str:
    """Return the host key that a server shows, as it is pinned: ``ssh-ed25519 SHA256:…``. Sends no user, no secret."""
    link = Link(Place(host, port))
    try:
        return link.greet()
    finally:
        link.end()


def describe_key(key: paramiko.PKey) -> str:
    """Return type and fingerprint of a key, the latter as ssh-keygen -l prints it."""
    digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    return f"{key.get_name()} SHA256:{digest}"


def read_key(text: str, passphrase: str) -> paramiko.PKey:
    """Return a private key of any kind; raise ``AuthenticationFailed`` where it cannot be used."""
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text), passphrase or None)
        except paramiko.PasswordRequiredException as error:
            raise words.bad_key_file(needs_passphrase=True) from error
        except (paramiko.SSHException, UnsupportedAlgorithm, struct.error, ValueError, IndexError, TypeError):
            continue
    raise words.bad_key_file(needs_passphrase=bool(passphrase))


def _show_password(transport: paramiko.Transport, user: str, password: str) -> list[str]:
    """Log in by the password, also where the server asks for it in a dialog; return what it asks for besides."""
    try:
        return transport.auth_password(user, password, fallback=False)
    except paramiko.BadAuthenticationType as error:
        # The library's own fallback would report a wrong password as a kind of login that is not accepted.
        if "keyboard-interactive" not in error.allowed_types:
            raise

    def reply(_title: str, _instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
        return ["" if echoed else password for _, echoed in prompts]

    return transport.auth_interactive(user, reply)


def _preferred(pinned_type: str) -> tuple[str, ...]:
    """Return the types of host keys to ask for, the pinned one first: a server may have several."""
    first = _RSA if pinned_type == "ssh-rsa" else (pinned_type,)
    wanted = tuple(kind for kind in KEY_TYPES if kind in first)
    return wanted + tuple(kind for kind in KEY_TYPES if kind not in wanted)
