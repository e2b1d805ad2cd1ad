"""The machine of a node that is reached by SSH, without an agent on it: files by SFTP, commands by its shell."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from storage.connection import Lost, of_loss
from storage.errors import ConsoleError
from storage.sftp.commands import Ended
from storage.sftp.link import Link
from storage.sftp.wire import Wire
from storage.sftp.words import Place
from tasks.hosts import commands, remarks, words
from tasks.hosts.base import Done, HostSpec, Remark
from tasks.hosts.sftpfiles import SFTPFiles
from tasks.hosts.sudo import Sudo

_TIME = re.compile(r"(\d{9,11})(\.\d+)?(\.?%?N)?")
_ASK_SECONDS = 10.0


class Clock(NamedTuple):
    """The machine's clock: seconds that it is ``ahead`` of ours; ``told`` is False where it could not be asked."""

    ahead: float
    told: bool


class SSHHost(SFTPFiles):
    """One connection, used by one thread. A fault ends it; every later call then raises ``Unreachable`` at once."""

    def __init__(self, spec: HostSpec, node_name: str) -> None:
        super().__init__()
        self.spec = spec
        self._node = node_name
        self._place = Place(spec.address, spec.port, spec.user)
        self._sudo = Sudo(spec) if spec.sudo_user not in ("", spec.user) else None
        self._clock: Clock | None = None
        with self.talking():
            if spec.problem:
                raise words.no_secrets(spec.problem)
            self._link = Link(self._place)
            try:
                self._link.check_key(spec.host_key)
                self._link.log_in(spec.secrets)
                self._wire: Wire = self._sudo.open_sftp(self._link) if self._sudo else self._link.open_sftp()
            except TimeoutError as error:
                self._link.end()
                raise words.no_answer(spec) from error
            except BaseException:
                self._link.end()
                raise

    @property
    def account(self) -> str:
        """Return the account on the other machine."""
        return f"{self.spec.sudo_user or self.spec.user} on {self.spec.address}"

    @property
    def wire(self) -> Wire:
        """The session of SFTP."""
        return self._wire

    @contextmanager
    def talking(self) -> Iterator[None]:
        """Translate what goes wrong with the connection."""
        try:
            if self.broken:
                raise Lost
            yield
        except Lost as error:
            self.broken = True
            if link := getattr(self, "_link", None):
                link.end()
            raise words.of_node(of_loss(error, self._place, Link.SILENCE, None), self._node) from error
        except ConsoleError as error:
            raise words.of_node(error, self._node) from error

    def now(self) -> float:
        """Return the machine's clock, by what it said when it was asked first; ours where it cannot be asked."""
        ahead = self.clock().ahead
        return time.time() + ahead

    def clock(self) -> Clock:
        """Return how the machine's clock differs from ours; asked once."""
        if self._clock is None:
            began = time.time()
            said = ""
            # What an account is made to run instead of a command may wait for ever.
            with suppress(TimeoutError):
                said = self._execute("date +%s.%N", _ASK_SECONDS).output
            # A shell may greet before.
            match = _TIME.fullmatch((said.split() or [""])[-1])
            # Between the two moments of ours; a date(1) without %N is right to the second.
            middle = (began + time.time()) / 2
            told = float(match[1] + (match[2] or ".5")) - middle if match else 0.0
            self._clock = Clock(told, match is not None)
        return self._clock

    def ahead(self) -> float | None:
        """Return how far the machine's clock is ahead, where the account may ask for it."""
        clock = self.clock()
        return clock.ahead if clock.told else None

    def runs_commands(self) -> bool:
        """Tell whether the account may run commands, and not only use SFTP."""
        return self.clock().told

    def run(self, command: str, seconds: float) -> Done:
        """Run a shell command; one that takes longer than ``seconds`` goes on, and nobody waits for it any more."""
        # What such an account is given to run instead would end well.
        if not self.runs_commands():
            raise words.of_node(words.no_commands(self.spec), self._node)
        line, first = shlex.join(commands.kept(command)), b""
        if self._sudo:
            line, first = self._sudo.wrap(commands.kept(command))
        ended = self._execute(line, seconds, first)
        status = 255 if ended.status is None else ended.status
        # What stands in the way of the command, sudo for one, speaks there; so does a shell that greets.
        return Done(status, ended.output or (ended.errors if status else ""))

    def _execute(self, line: str, seconds: float, first: bytes = b"") -> Ended:
        with self.talking():
            return self._link.execute(line, seconds, first)

    def remarks(self) -> list[Remark]:
        """Return how the machine is reached, whether commands and sudo work, and how the clocks differ."""
        clock = self.clock()
        if self._sudo and clock.told:
            commands_work = remarks.of_sudo(self.spec, self.tried("true", _ASK_SECONDS))
        else:
            commands_work = remarks.of_commands(self.spec, clock.told)
        return [remarks.of_connection(self.spec), commands_work, remarks.of_clock(clock.ahead, clock.told)]

    def close(self) -> None:
        """End the connection; does not wait for the server."""
        self.broken = True
        self._link.end()
