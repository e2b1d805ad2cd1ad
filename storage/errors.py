"""The one tree of errors that an administrator may read.

Every error that leaves a store or an engine is a ``ConsoleError``: a class, a stable code, a message that says what
happened to which thing, the form field it concerns where there is one, the cure, and whether trying again can help.
Exceptions of libraries are translated where they are met, one place per path type; their text never reaches a page.
"""

from __future__ import annotations


class ConsoleError(Exception):
    """What happened, to which thing, and what to do.

    ``code`` is stable and for programs. ``message`` and ``cure`` are for the administrator and hold no secret.
    ``field`` is the name of the form field that has to change, or None. ``retryable`` tells whether the same action
    may succeed later without anybody changing anything.
    """

    code = "error"
    retryable = False

    def __init__(self, message: str, *, cure: str = "", field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure
        self.field = field

    def __str__(self) -> str:
        return f"{self.message} {self.cure}".strip()


class StoreError(ConsoleError):
    """A destination could not do what was asked of it."""

    code = "store"


class Unreachable(StoreError):
    """The server does not answer, or the connection broke."""

    code = "unreachable"
    retryable = True


class AuthenticationFailed(StoreError):
    """The server refused the account or its password."""

    code = "authentication"


class HostKeyUnknown(StoreError):
    """No host key is pinned yet; nothing was sent to the server ``host``. ``host_key`` is the one it showed."""

    code = "host-key-unknown"

    def __init__(
        self,
        message: str,
        *,
        cure: str = "",
        field: str | None = None,
        host_key: str = "",
        host: str = "",
        port: int = 0,
    ) -> None:
        super().__init__(message, cure=cure, field=field)
        self.host_key = host_key
        self.host = host
        self.port = port


class HostKeyChanged(HostKeyUnknown):
    """The server shows another host key than the pinned one; nothing was sent to it."""

    code = "host-key-changed"


class PermissionDenied(StoreError):
    """The account may not do this at that place."""

    code = "permission-denied"


class NoSpace(StoreError):
    """The destination is full, or a quota is."""

    code = "no-space"


class PathMissing(StoreError):
    """A file or directory that should be there is not."""

    code = "path-missing"


class BadPath(StoreError):
    """The path may not be used as a destination."""

    code = "bad-path"


class AlreadyExists(StoreError):
    """A file under its final name is never overwritten."""

    code = "already-exists"


class Corrupt(StoreError):
    """What was read back is not what was written."""

    code = "corrupt"


class StoreFault(StoreError):
    """The destination failed in a way that has no class of its own."""

    code = "store-fault"
    retryable = True
