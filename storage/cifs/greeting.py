"""What a CIFS server says of itself before anybody logs in."""

from __future__ import annotations

from typing import Any

from storage.checks import Check
from storage.cifs.share import Share
from storage.cifs.words import Place

_DIALECTS = {0x0202: "SMB 2.0.2", 0x0210: "SMB 2.1", 0x0300: "SMB 3.0", 0x0302: "SMB 3.0.2", 0x0311: "SMB 3.1.1"}
_FIRST_WITH_ENCRYPTION = 0x0300


class _Greeting(Share):
    """A connection that stops after the two sides agreed on a dialect; no user name is sent."""

    def _log_in(self, password: str) -> Any:
        return None

    def _enter(self) -> Any:
        return None

    def words(self) -> tuple[str, bool]:
        """Return the dialect by its name, and whether what is sent will be encrypted."""
        dialect = int(self._connection.dialect)
        encrypts = dialect >= _FIRST_WITH_ENCRYPTION and bool(self._connection.supports_encryption)
        return _DIALECTS.get(dialect, f"SMB 0x{dialect:04X}"), encrypts


def identify(what: str, host: str, port: int) -> Check:
    """Return dialect and protection; raise an error of ``storage.errors`` where no CIFS server answers."""
    greeting = _Greeting(Place(host, port, "", ""), "")
    try:
        dialect, encrypts = greeting.words()
    finally:
        greeting.cut()
    if encrypts:
        return Check("ok", what, f"{dialect}. What is sent is signed and encrypted.")
    cure = "Turn on SMB 3 with encryption on the server where others could listen."
    return Check("warning", what, f"{dialect}. What is sent is signed but not encrypted.", cure)
