"""SFTP as another account of the machine: OpenSSH's sftp-server started by sudo, over a channel of the connection."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from storage.sftp.commands import NoSession
from storage.sftp.link import Link
from storage.sftp.wire import Wire
from tasks.hosts import commands, words
from tasks.hosts.base import HostSpec

# Debian, Red Hat and openEuler, Alpine and the BSDs, SUSE.
SERVERS = (
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/libexec/sftp-server",
    "/usr/lib/ssh/sftp-server",
)
_FIND = f'for s in {" ".join(SERVERS)}; do if [ -x "$s" ]; then echo "$s"; exit 0; fi; done; exit 3'
_NOT_FOUND = 3
_SILENT = ["-n"]
# With -k a cached permission does not count: a password that nobody asks for would be read by the command.
_ASKED = ["-k", "-S", "-p", ""]
# sudo waits about two seconds after a wrong password.
_SECONDS = 20.0


class Sudo:
    """How commands become the other account's: ``wrap`` gives the command line and what is written to it first."""

    def __init__(self, spec: HostSpec) -> None:
        self._spec = spec
        self._options = _SILENT

    def open_sftp(self, link: Link) -> Wire:
        """Begin a session of SFTP as the account.

        Raises errors of ``storage.errors`` that name the cure, and ``Lost``.
        """
        program = self._find_server(link)
        try:
            return link.open_sftp(*self._worded([program]))
        except NoSession as refused:
            ended = refused.ended
            if not (words.asks_password(ended) and self._spec.secrets.get("password")):
                raise words.of_sudo(ended, self._spec, program) from refused
        self._options = _ASKED
        self._check_password(link, program)
        try:
            return link.open_sftp(*self._worded([program]))
        except NoSession as refused:
            raise words.of_sudo(refused.ended, self._spec, program) from refused

    def wrap(self, command: Sequence[str]) -> tuple[str, bytes]:
        """Return the command line by which the account runs ``command``, and what it has to be given to read."""
        first = f"{self._spec.secrets['password']}\n".encode() if self._options is _ASKED else b""
        return shlex.join(commands.by_sudo(self._spec.sudo_user, self._options, command)), first

    def _worded(self, command: Sequence[str]) -> tuple[str, bytes]:
        """As ``wrap``, with the words of sudo in English."""
        line, first = self.wrap(command)
        return f"env LC_ALL=C {line}", first

    def _find_server(self, link: Link) -> str:
        found = link.execute(shlex.join(["sh", "-c", _FIND]), _SECONDS)
        lines = found.output.split()
        if found.status == 0 and lines and lines[-1] in SERVERS:
            return lines[-1]
        raise words.no_server(self._spec) if found.status == _NOT_FOUND else words.no_shell(self._spec)

    def _check_password(self, link: Link, program: str) -> None:
        """Try the password on its own: sudo would take the first bytes of SFTP for the next attempt at a wrong one."""
        line = shlex.join(["env", "LC_ALL=C", "sudo", *_ASKED, "-v"])
        ended = link.execute(line, _SECONDS, f"{self._spec.secrets['password']}\n".encode())
        if ended.status:
            raise words.of_sudo(ended, self._spec, program)
