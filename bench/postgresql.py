"""A PostgreSQL of the bench's own: Debian's programs, an unprivileged account, a Unix socket and no port."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

_PLACES = Path("/usr/lib/postgresql")
_ACCOUNTS = ("postgres", "nobody")


class NoPostgreSQL(Exception):
    """There is none on this machine, or it does not start; the text says what to do."""


def programs() -> Path:
    """Return the directory of the newest PostgreSQL that is installed; raise ``NoPostgreSQL``."""
    found = sorted(_PLACES.glob("*/bin/postgres"), key=lambda path: int(path.parent.parent.name))
    if not found:
        raise NoPostgreSQL("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return found[-1].parent


@contextmanager
def running(directory: Path) -> Iterator[tuple[str, int]]:
    """Run a server on ``directory``, made where it is missing; give its ``DATABASE_URL`` and its process.

    Raises ``NoPostgreSQL``.

    The server does not run as root: the directory belongs to the account that does. Every parent of it has to be one
    that this account may pass.
    """
    bin_path, data = programs(), directory / "data"
    account = _account()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if account is not None:
        os.chown(directory, account.pw_uid, account.pw_gid)
    if directory.stat().st_uid != (account.pw_uid if account else os.geteuid()):
        raise NoPostgreSQL(f"{directory} belongs to somebody else. Remove it, or choose another one with --dir.")
    if not (data / "PG_VERSION").exists():
        _run(account, [bin_path / "initdb", "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--no-sync"])
    options = f"-c listen_addresses= -c unix_socket_directories={directory} -c autovacuum=on -c max_connections=40"
    control: list[str | Path] = [bin_path / "pg_ctl", "-D", data, "-l", directory / "log"]
    _run(account, [*control, "-w", "-o", options, "start"])
    try:
        _run(account, [bin_path / "psql", "-h", directory, "-U", "bench", "-d", "postgres", "-c", "SELECT 1"])
        _run(account, [bin_path / "createdb", "-h", directory, "-U", "bench", "console"], may_fail=True)
        yield (
            f"postgres://bench@{quote(str(directory), safe='')}/console",
            int((data / "postmaster.pid").read_text().split()[0]),
        )
    finally:
        _run(account, [*control, "-m", "fast", "-w", "stop"])


def version() -> str:
    """Return the version of the server in words."""
    said = subprocess.run([str(programs() / "postgres"), "--version"], capture_output=True, text=True, check=True)
    return "PostgreSQL " + said.stdout.split()[2]


def _account() -> pwd.struct_passwd | None:
    """Return the account that the server runs as, where we are root; None: our own."""
    if os.geteuid():
        return None
    for name in _ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPostgreSQL(f"There is no account {' or '.join(_ACCOUNTS)}, and PostgreSQL does not run as root.")


def _run(account: pwd.struct_passwd | None, command: Sequence[str | Path], *, may_fail: bool = False) -> None:
    """Run a program of PostgreSQL as that account; raise ``NoPostgreSQL`` with what it said."""
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd="/",
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )
    if done.returncode and not may_fail:
        said = (done.stderr or done.stdout).strip()[-500:]
        raise NoPostgreSQL(f"{Path(command[0]).name} failed: {said}")
