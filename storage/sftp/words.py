"""The one place where what SSH and SFTP say becomes what an administrator reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import quote

import paramiko
from paramiko.ssh_exception import PartialAuthentication

from storage.connection import CHECK_SERVER, MIB, Lost, of_loss
from storage.errors import (
    AlreadyExists,
    AuthenticationFailed,
    BadPath,
    HostKeyChanged,
    HostKeyUnknown,
    NoSpace,
    PathMissing,
    PermissionDenied,
    StoreError,
    StoreFault,
    Unreachable,
)
from storage.sftp.wire import Code, Refusal


@dataclass(frozen=True)
class Place:
    """A destination: the server, the account and the directory, as they stand on the form."""

    host: str
    port: int
    user: str = ""
    root: str = ""

    @property
    def server(self) -> str:
        """Return the server in a sentence."""
        return f"{self.host} port {self.port}"

    def url(self, *parts: str) -> str:
        """Return a path below the root as it would be given to sftp(1): ``sftp://user@host:22/path``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = quote("/".join((self.root, *parts)), safe="/+,=@:~!$&'()*;", errors="surrogateescape")
        return f"sftp://{quote(self.user, safe='')}@{host}:{self.port}{path}"

    def below(self, *parts: str) -> Place:
        """Return the place of a directory or file below this one."""
        return replace(self, root="/".join((self.root, *parts)))


def of_handshake(error: BaseException | None, place: Place, limit: float) -> StoreError:
    """Return what is said where a port was opened and no SSH session came of it."""
    if isinstance(error, paramiko.IncompatiblePeer):
        return _final(
            f"{place.host} and the console have no encryption method in common.",
            "Update the SSH service of the server, or allow newer methods in it.",
            "server_ip",
        )
    return Unreachable(
        f"{place.server} answers, but not as an SSH server within {limit:g} s.",
        cure="Check Port, and that the SSH service of the server is not overloaded.",
        field="port",
    )


def of_login(error: BaseException | None, place: Place, field: str, limit: float) -> StoreError:
    """Return what is said of a login that failed; ``field`` is the secret that was shown to the server."""
    if isinstance(error, PartialAuthentication):
        return AuthenticationFailed(
            f"{place.host} asks user {place.user} for a second proof, which the console cannot give.",
            cure="Let the account log in by its password or its key alone.",
            field="username",
        )
    if isinstance(error, paramiko.BadAuthenticationType):
        offered = "a password" if field == "password" else "a private key"
        return AuthenticationFailed(
            f"{place.host} does not accept {offered} for user {place.user}.",
            cure="Allow it in the SSH service of the server, or use what the server accepts.",
            field=field,
        )
    # The library calls a connection that breaks during the login a failed login, and says so in its text only.
    broken = any(word in str(error).lower() for word in ("timeout", "shut down", "eof"))
    if isinstance(error, paramiko.AuthenticationException) and not broken:
        secret = "password" if field == "password" else "private key"
        return AuthenticationFailed(
            f"{place.host} refused the user name or {secret} of {place.user}.",
            cure=f"Correct Username or {secret.capitalize()}; the account may also be locked on the server.",
            field=field,
        )
    return Unreachable(
        f"{place.server} did not finish the login of {place.user} within {limit:g} s.", cure=CHECK_SERVER
    )


def no_sftp(place: Place) -> StoreError:
    """Return what is said where the login succeeded and the account may not use SFTP."""
    return _final(
        f"{place.host} does not offer SFTP to user {place.user}.",
        "Turn on the SFTP subsystem in the SSH service of the server, and let the account use it.",
        "username",
    )


def key_unknown(place: Place, shown: str) -> StoreError:
    """Return what is said where no host key is pinned."""
    return HostKeyUnknown(
        f"The host key of {place.server} is not confirmed yet: {shown}. Nothing was sent to it.",
        cure="Compare the key with that of the server and confirm it.",
        field="host_key",
        host_key=shown,
        host=place.host,
        port=place.port,
    )


def key_changed(place: Place, shown: str, pinned: str) -> StoreError:
    """Return what is said where another host key is pinned than the server shows."""
    return HostKeyChanged(
        f"The host key of {place.server} has changed: it shows {shown}, confirmed is {pinned}. Another machine may "
        "answer in its place. Nothing was sent to it.",
        cure="Find out why; confirm the new key only where the server was really given one.",
        field="host_key",
        host_key=shown,
        host=place.host,
        port=place.port,
    )


def bad_key_file(needs_passphrase: bool) -> StoreError:
    """Return what is said of a private key that cannot be used."""
    if needs_passphrase:
        return AuthenticationFailed(
            "The private key cannot be opened with its passphrase.",
            cure="Type the passphrase of the key again.",
            field="private_key",
        )
    return AuthenticationFailed(
        "The private key cannot be read.",
        cure="Give an OpenSSH or PEM private key (Ed25519, ECDSA or RSA) whole, with its first and last line.",
        field="private_key",
    )


def of_refusal(error: Refusal, place: Place, field: str | None = None) -> StoreError:
    """Return what is said of a request that the server refused for ``place``; ``field`` where it is the root."""
    path = place.root
    if error.code in (Code.NO_SUCH_FILE, Code.NO_SUCH_PATH):
        cure = "Make it on the server, or change Server Shared Path." if field else ""
        return PathMissing(f"{path} does not exist on {place.host}.", cure=cure, field=field)
    if error.code in (Code.PERMISSION_DENIED, Code.WRITE_PROTECT):
        return denied(place)
    if error.code in (Code.NO_SPACE, Code.QUOTA_EXCEEDED):
        return full(place, None)
    if error.code == Code.FILE_ALREADY_EXISTS:
        return exists(place)
    if error.code in (Code.NO_CONNECTION, Code.CONNECTION_LOST):
        return of_loss(Lost(), place, 0, None)
    return StoreFault(
        f"{place.host} could not work on {path} and gives no reason.",
        cure="Look into the log of its SFTP service, and at the disk and the quota of the account.",
    )


def denied(place: Place) -> StoreError:
    """Return what is said where the account may not work at a place."""
    return PermissionDenied(
        f"User {place.user} has no permission on {place.root} at {place.host}.",
        cure="Give the account the right to read and write there, or change Server Shared Path.",
        field="shared_path",
    )


def full(place: Place, free: int | None) -> StoreError:
    """Return what is said of a full disk or quota; ``free`` bytes are left where the server tells."""
    left = "" if free is None else f": {free / MIB:.1f} MiB are free"
    return NoSpace(
        f"The disk of {place.host} that holds {place.root} is full{left}.",
        cure="Free space there, raise the quota of the account, or keep fewer copies.",
    )


def exists(place: Place) -> StoreError:
    """Return what is said rather than to overwrite a file."""
    return AlreadyExists(f"{place.root} is on {place.host} already and is not overwritten.", cure="Run the task again.")


def is_root(place: Place) -> StoreError:
    """Return what is said of a path that leads to the root directory by way of links."""
    return BadPath(
        f"{place.root} leads to the root directory of {place.host}.",
        cure="Give a directory below it as Server Shared Path.",
        field="shared_path",
    )


def no_directory(place: Place) -> StoreError:
    """Return what is said of a root that is a file."""
    return BadPath(
        f"{place.root} on {place.host} is not a directory.",
        cure="Give a directory as Server Shared Path.",
        field="shared_path",
    )


def _final(message: str, cure: str, field: str) -> StoreError:
    """Return a fault that trying again does not cure."""
    fault = StoreFault(message, cure=cure, field=field)
    fault.retryable = False
    return fault
