"""How a command is run on a machine, here and there alike: what it writes is kept without anything waiting for it."""

from __future__ import annotations

import os
from collections.abc import Sequence

MOST = 8192
# The command writes to a file, not to a pipe: what it leaves running keeps its output open, and neither holds up
# whoever waits for the command nor dies of a pipe that nobody reads any more.
_KEEPER = f'f=$(mktemp) || exit 125; sh -c "$1" >"$f" 2>&1 </dev/null; s=$?; tail -c {MOST} "$f"; rm -f "$f"; exit $s'
# What a command needs of the environment. It gets no secret of the console, nor the mark of its processes.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "JAVA_HOME")


def kept(command: str) -> list[str]:
    """Return the arguments that run ``command``, print the end of what it wrote, and end with its status."""
    return ["/bin/sh", "-c", _KEEPER, "sh", command]


def by_sudo(user: str, options: Sequence[str], command: Sequence[str]) -> list[str]:
    """Return the arguments that run a command as another account."""
    return ["sudo", *options, "-u", user, "--", *command]


def environment() -> dict[str, str]:
    """Return what a command on this machine is given as its environment."""
    return {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}


def text(output: bytes) -> str:
    """Return the end of an output as text."""
    return output[-MOST:].decode("utf-8", "replace")
