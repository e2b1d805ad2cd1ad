"""Commands over a channel of SSH: started, fed, and waited for, each with a hard time limit."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, NamedTuple

MOST = 8192
_POLL = 0.1
# What an ended command wrote is on its way still; what it left running may keep the channel open for ever.
_DRAIN = 1.0


class Ended(NamedTuple):
    """How a command ended: ``status`` (None where the server did not let it run), and the ends of what it wrote."""

    status: int | None
    output: str = ""
    errors: str = ""


class NoSession(Exception):
    """A command that should have spoken SFTP ended instead."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.status)
        self.ended = ended


def run(channel: Any, command: str, seconds: float, first: bytes) -> Ended:
    """Run a command with ``first`` as all that it can read; raise TimeoutError, and what the library raises.

    Of both streams the last 8 KiB are kept.
    """
    deadline = time.monotonic() + seconds
    channel.settimeout(seconds)
    channel.exec_command(command)
    if first:
        channel.sendall(first)
    channel.shutdown_write()
    channel.settimeout(_POLL)
    output = bytearray()
    while time.monotonic() < deadline:
        if channel.exit_status_ready():
            deadline = min(deadline, time.monotonic() + _DRAIN)
        try:
            part = channel.recv(32768)
        except TimeoutError:
            continue
        if not part:
            break
        output += part
        del output[:-MOST]
    if not channel.exit_status_ready() and not _ends(channel, deadline):
        raise TimeoutError(f"the command did not end within {seconds:g} s")
    return Ended(_status(channel), _text(output), _text(_errors(channel)))


def last_words(channel: Any, seconds: float) -> Ended:
    """Return how a command ended that should have gone on, with what it said of it."""
    if channel is None:
        return Ended(None)
    _ends(channel, time.monotonic() + min(seconds, _DRAIN))
    errors = _errors(channel)
    status = _status(channel) if channel.exit_status_ready() else None
    channel.close()
    return Ended(status, errors=_text(errors))


def _errors(channel: Any) -> bytes:
    """Return what is there of the stream of errors."""
    errors = bytearray()
    channel.settimeout(_POLL)
    with suppress(OSError):
        while part := channel.recv_stderr(MOST):
            errors += part
            del errors[:-MOST]
    return bytes(errors)


def _text(output: bytes | bytearray) -> str:
    return output.decode("utf-8", "replace")


def _ends(channel: Any, deadline: float) -> bool:
    """Wait for the exit status."""
    while not channel.exit_status_ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _status(channel: Any) -> int | None:
    """Return the exit status; the library says -1 where the server told none."""
    status: int = channel.recv_exit_status()
    return None if status < 0 else status
