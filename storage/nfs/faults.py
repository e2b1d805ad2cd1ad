"""The one place where what ``nfs-rs`` or the NFS server says becomes an error of the console.

Texts of the library never pass: an error is told by its class, its ``errno`` and its NFS code (RFC 1813, 2.6;
RFC 8881, 15.1), and texts are only searched for marks where the library gives nothing else.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import nfs_rs

from storage.errors import (
    AlreadyExists,
    BadPath,
    NoSpace,
    PathMissing,
    PermissionDenied,
    StoreError,
    StoreFault,
    Unreachable,
)

FAULTS = (nfs_rs.NfsError, OSError, ValueError, NotImplementedError)
"""Everything that a call of ``nfs-rs`` raises."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DENIED = (errno.EACCES, errno.EPERM)
_UNROUTED = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)
_NO_LINKS = (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP)
# NFS codes without an errno in the library: NFS4ERR_NOTSUPP and NFS3ERR_NOTSUPP.
_NOT_SUPPORTED = 10004
# NFS4ERR_STALE and NFS3ERR_STALE; NFS4ERR_BADHANDLE; NFS4ERR_EXPIRED, _STALE_CLIENTID, _STALE_STATEID, _BADSESSION.
_FORGOTTEN = (70, 10001, 10011, 10022, 10023, 10052)
# NFS4ERR_WRONGSEC; NFS 3 has no code for it, the call itself is denied (RFC 5531, 9: AUTH_ERROR).
_WRONG_SECURITY = 10016
_CALL_DENIED = "bad status"
_NOT_NFS = ("RPC fragment size", "invalid RPC", "unexpected RPC")


@dataclass(frozen=True)
class Place:
    """What a message names: the server, the shared directory, and the silence that is borne, in seconds."""

    server: str
    shared: str
    silence: float

    @property
    def on_server(self) -> str:
        """The shared directory as the administrator of the server types it."""
        return f"{self.server}:{self.shared}"


@contextmanager
def translated(place: Place, name: str = "") -> Iterator[None]:
    """Turn every fault of the block into an error of the console; ``name`` is the path below the shared directory."""
    try:
        yield
    except StoreError:
        raise
    except FAULTS as fault:
        raise translate(fault, place, name) from fault


def cannot_link(fault: BaseException) -> bool:
    """Tell whether the server has no hard links there."""
    return (
        isinstance(fault, nfs_rs.NfsUnsupportedError)
        or getattr(fault, "code", None) == _NOT_SUPPORTED
        or getattr(fault, "errno", None) in _NO_LINKS
    )


def is_uncertain(fault: BaseException) -> bool:
    """Tell whether the server may have done what was asked although the call failed, or did it at a first sending."""
    outcome = getattr(fault, "outcome", None)
    return isinstance(fault, nfs_rs.NfsUncertainOutcomeError | FileExistsError) or outcome is (
        nfs_rs.OperationOutcome.UNCERTAIN
    )


def translate(fault: BaseException, place: Place, name: str = "") -> StoreError:
    """Return the console's word for ``fault``."""
    number = getattr(fault, "errno", None)
    path = f"{place.on_server}/{name}" if name else place.on_server
    return (
        _of_login(fault, place)
        or _of_connection(fault, number, place)
        or _of_path(fault, number, place, path)
        or _other(fault, place, path)
    )


def silent(place: Place) -> Unreachable:
    """Return the error of a server that answers nothing."""
    return Unreachable(
        f"The NFS server {place.server} did not answer for {place.silence:g} s.",
        cure="Check that it runs and that no firewall is in between, then run the task again.",
        field="server_ip",
    )


def not_nfs(place: Place) -> Unreachable:
    """Return the error of a port on which something else answers."""
    return Unreachable(
        f"What answers on {place.server} is not an NFS server.", cure="Check Server IP Address.", field="server_ip"
    )


def _of_login(fault: BaseException, place: Place) -> StoreError | None:
    told: BaseException | None = fault
    while told and not (isinstance(told, nfs_rs.NfsRpcError) and _CALL_DENIED in str(told)):
        told = told.__cause__
    if not told and getattr(fault, "code", None) != _WRONG_SECURITY:
        return None
    return PermissionDenied(
        f"{place.on_server} is exported to Kerberos logins only, and the console has none.",
        cure="Export it to this machine with the option sec=sys.",
        field="shared_path",
    )


def _of_connection(fault: BaseException, number: int | None, place: Place) -> StoreError | None:
    if isinstance(fault, TimeoutError | nfs_rs.NfsFileCloseError):
        return silent(place)
    if number == errno.ECONNREFUSED or "portmapper lookup failed" in str(fault):
        return Unreachable(
            f"No NFS server answers on {place.server}: the connection was refused.",
            cure="Check Server IP Address, and that the NFS service runs there.",
            field="server_ip",
        )
    if number in _UNROUTED:
        return Unreachable(
            f"This machine has no route to {place.server}.",
            cure="Check Server IP Address and the network of this machine.",
            field="server_ip",
        )
    if isinstance(fault, nfs_rs.NfsRpcError) and any(word in str(fault) for word in _NOT_NFS):
        return not_nfs(place)
    if isinstance(fault, nfs_rs.NfsRpcError) and "request rejected" in str(fault):
        return Unreachable(
            f"The NFS server {place.server} speaks neither NFS 4.1 nor NFS 3.",
            cure="Switch one of them on there.",
            field="server_ip",
        )
    if isinstance(fault, ConnectionError | nfs_rs.NfsRpcError | nfs_rs.NfsRetryableError):
        return Unreachable(
            f"The connection to the NFS server {place.server} broke.",
            cure="Check the server and the network, then run the task again.",
            field="server_ip",
        )
    return None


def _of_path(fault: BaseException, number: int | None, place: Place, path: str) -> StoreError | None:
    if number in _FULL:
        return NoSpace(
            f"{place.on_server} is full, or a quota there is.", cure="Free space there or keep fewer copies."
        )
    if number == errno.EROFS:
        return PermissionDenied(
            f"{place.on_server} is exported read-only.",
            cure="Export it to this machine with the option rw.",
            field="shared_path",
        )
    if number in _DENIED:
        return PermissionDenied(
            f"The NFS server does not let the console write to {path}.",
            cure="Give the directory to nobody:nobody, and export it to this machine with the options rw and insecure.",
            field="shared_path",
        )
    if isinstance(fault, nfs_rs.NfsMountError):
        return PathMissing(
            f"{place.on_server} does not exist or is not exported to this machine.",
            cure="Check Server Shared Path, and the exports of the server.",
            field="shared_path",
        )
    if isinstance(fault, FileNotFoundError):
        return PathMissing(f"{path} does not exist.", cure="Check Server Shared Path.", field="shared_path")
    if isinstance(fault, FileExistsError):
        return AlreadyExists(f"{path} is there already and is not overwritten.", cure="Run the task again.")
    if isinstance(fault, NotADirectoryError) or number in (errno.ELOOP, errno.ENAMETOOLONG):
        return BadPath(
            f"{path} cannot be used: a part of it is no directory, or is a link, or has too long a name.",
            cure="Give a path that consists of directories only.",
            field="shared_path",
        )
    return None


def _other(fault: BaseException, place: Place, path: str) -> StoreError:
    if getattr(fault, "code", None) in _FORGOTTEN or isinstance(fault, nfs_rs.NfsStateLostError):
        return StoreFault(
            f"The NFS server {place.server} was started anew and no longer knows the open file {path}.",
            cure="Run the task again.",
        )
    word = getattr(fault, "code_name", None) or type(fault).__name__
    return StoreFault(
        f"The NFS server {place.server} failed at {path} ({word}).", cure="Look at the log of the server."
    )
