"""The one place where what CIFS servers say becomes what an administrator reads.

The numbers are NTSTATUS values (MS-ERREF 2.3.1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from storage.connection import Lost, of_loss
from storage.errors import (
    AlreadyExists,
    AuthenticationFailed,
    BadPath,
    NoSpace,
    PathMissing,
    PermissionDenied,
    StoreError,
    StoreFault,
    Unreachable,
)

COLLISION = 0xC0000035
NO_MORE_FILES = 0x80000006
END_OF_FILE = 0xC0000011
MISSING = {0xC0000034, 0xC000003A, 0xC000000F, 0xC0000225}
_NO_SHARE = 0xC00000CC
_ACCESS_DENIED = 0xC0000022
_DENIED = {_ACCESS_DENIED, 0xC00000A2, 0xC00000CA, 0xC0000061, 0xC0000121}
_FULL = {0xC000007F, 0xC0000044, 0xC0000802}
_IN_USE = {0xC0000043, 0xC0000054, 0xC0000056}
_NO_NAME = {0xC0000033, 0xC0000039, 0xC000003B}
_NO_DIRECTORY = {0xC0000103, 0xC00000BA}
_BUSY = {0xC0000205, 0xC00000D0, 0xC000009A, 0xC0000466}
_ENDED = {0xC0000203, 0xC00000C9, 0xC000035C, 0xC00000C4, 0xC000020C, 0xC000020D, 0xC00000B5}
_WRONG_ACCOUNT = {0xC000006D, 0xC000006A, 0xC0000064}
_ACCOUNT = {
    0xC0000072: "The account is disabled.",
    0xC0000193: "The account has expired.",
    0xC0000234: "The account is locked.",
    0xC0000071: "The password has expired.",
    0xC0000224: "The password has to be changed first.",
    0xC000006E: "The account is restricted.",
    0xC000006F: "The account may not log in at this time.",
    0xC0000070: "The account may not log in from this machine.",
    0xC000015B: "The account may not log in over the network.",
}


@dataclass(frozen=True)
class Place:
    r"""A destination: the server, the account, the share, and the names of the directories below it."""

    host: str
    port: int
    user: str
    share: str
    parts: tuple[str, ...] = ()

    @property
    def server(self) -> str:
        """Return the server in a sentence."""
        return f"{self.host} port {self.port}"

    @property
    def path(self) -> str:
        r"""Return the path as Windows writes it: ``\\host\share\directory``, with the port where it is not 445."""
        host = self.host if self.port == 445 else f"{self.host}:{self.port}"
        if ":" in self.host:
            host = f"[{self.host}]" if self.port == 445 else f"[{self.host}]:{self.port}"
        return "\\\\" + "\\".join((host, self.share, *self.parts))

    @property
    def field(self) -> str:
        """Return the path as it stands on the form."""
        return "/" + "/".join((self.share, *self.parts))

    @property
    def inside(self) -> str:
        """Return the path below the share, as it is sent."""
        return "\\".join(self.parts)

    def below(self, *parts: str) -> Place:
        """Return the place of a directory or file below this one."""
        return replace(self, parts=self.parts + parts)


def no_cifs(place: Place, limit: float) -> StoreError:
    """Return what is said where a port was opened and does not speak SMB 2 or 3."""
    return Unreachable(
        f"{place.server} answers, but not as a CIFS server of SMB 2 or 3 within {limit:g} s.",
        cure="Check Port, and that SMB 2.1 or newer is on; SMB 1 is not used.",
        field="port",
    )


def of_login(status: int, place: Place) -> StoreError:
    """Return what is said of a login that the server refused."""
    reason = _ACCOUNT.get(status)
    if reason:
        return AuthenticationFailed(
            f"{place.host} does not let user {place.user} in. {reason}",
            cure="Change the account on the server, or use another Username.",
            field="username",
        )
    if status in _WRONG_ACCOUNT or status == _ACCESS_DENIED:
        return bad_login(place)
    return of_status(status, place)


def bad_login(place: Place) -> StoreError:
    """Return what is said of a wrong user name or password."""
    return AuthenticationFailed(
        f"{place.host} refused the user name or password of {place.user}.",
        cure="Correct Username or Password; a domain goes before the name, as DOMAIN\\user.",
        field="password",
    )


def guest(place: Place) -> StoreError:
    """Return what is said where the server took an unknown account as a guest, which can neither sign nor encrypt."""
    return AuthenticationFailed(
        f"{place.host} does not know user {place.user} with this password and offers a guest's access, which is not "
        "protected and not used.",
        cure="Correct Username or Password.",
        field="password",
    )


def of_share(status: int, place: Place) -> StoreError:
    """Return what is said of a share that cannot be entered."""
    if status == _NO_SHARE or status in MISSING:
        return PathMissing(
            f"Share {place.share} does not exist on {place.host}.",
            cure="Correct the first part of Server Shared Path.",
            field="shared_path",
        )
    return of_status(status, replace(place, parts=()), root=True)


def of_status(status: int, place: Place, *, root: bool = False) -> StoreError:
    """Return what is said of a request that the server refused; ``root`` where it is the path of the form."""
    field = "shared_path" if root else None
    if status in MISSING:
        cure = "Make it on the server, or change Server Shared Path." if root else ""
        return PathMissing(f"{place.field} does not exist on {place.host}.", cure=cure, field=field)
    if status in _DENIED:
        return PermissionDenied(
            f"User {place.user} has no permission on {place.field} at {place.host}.",
            cure="Give the account the right to read and write there, in the share and in the file system, or change "
            "Server Shared Path.",
            field="shared_path",
        )
    if status in _FULL:
        return NoSpace(
            f"The disk of {place.host} that holds {place.field} is full.",
            cure="Free space there, raise the quota of the account, or keep fewer copies.",
        )
    if status == COLLISION:
        return AlreadyExists(
            f"{place.field} is on {place.host} already and is not overwritten.", cure="Run the task again."
        )
    if status in _NO_NAME or status in _NO_DIRECTORY:
        what = "is not a directory" if status in _NO_DIRECTORY else "is no name that it takes"
        return BadPath(f"{place.field} on {place.host} {what}.", cure="Change Server Shared Path.", field=field)
    if status in _ENDED:
        return of_loss(Lost(), place, 0, None)
    return _fault(status, place)


def _fault(status: int, place: Place) -> StoreError:
    if status in _IN_USE:
        return StoreFault(
            f"{place.field} on {place.host} is in use by another program.",
            cure="Close it there, or try again in some minutes.",
        )
    if status in _BUSY:
        return StoreFault(f"{place.host} has no capacity for this at the moment.", cure="Try again in some minutes.")
    return StoreFault(
        f"{place.host} could not work on {place.field} (status 0x{status:08X}).",
        cure="Look into the log of its CIFS service, and at its disk.",
    )
