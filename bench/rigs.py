"""The servers of the benchmark of stores, each with the tool that people would use in the console's place."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers import openssh, samba, unixkit

from .measure import Command, quoted

DIRECTORY, NAME, PEER_NAME = "bench", "console.bin", "peer.bin"
OURS = "console"


class Lacking(Exception):
    """The server cannot be had on this machine; the text says why."""


@dataclass(frozen=True)
class Rig:
    """A running server. ``result`` is where the console's file ends up on its disk, ``peer_result`` the peer's."""

    name: str
    ours: Command
    peer: Command
    result: Path
    peer_result: Path


Start = Callable[[Path, Path], Any]


def console(
    path_type: str, parameters: dict[str, Any], secrets: dict[str, str], source: Path, scratch: Path
) -> Command:
    """Return the command for our side; secrets go by a file that only we can read, never by arguments."""
    told = scratch / f"{path_type}.json"
    with open(os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(
            {
                "path_type": path_type,
                "parameters": parameters,
                "secrets": secrets,
                "directory": DIRECTORY,
                "name": NAME,
            },
            file,
        )
    line = f"{quoted(sys.executable)} -m bench.storerunner {quoted(source)} < {quoted(told)}"
    return Command(OURS, line, reports=True)


@contextmanager
def sftp(source: Path, scratch: Path) -> Iterator[Rig]:
    """OpenSSH, in turn with its own sftp."""
    if reason := unixkit.lack([*openssh.PROGRAMS, "sftp"], openssh.PACKAGES):
        raise Lacking(reason)
    with ExitStack() as stack:
        server = openssh.prepare(stack)
        stack.callback(server.stop)
        server.start()
        key = scratch / "key"
        key.write_text(server.key)
        key.chmod(0o600)
        options = "-q -b - -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes"
        line = f"sftp {options} -i {quoted(key)} -P {server.port} {server.user}@127.0.0.1"
        batch = shlex.quote(f"put {source} /store/{PEER_NAME}")
        yield Rig(
            "SFTP",
            console("SFTP", server.parameters(), {"password": openssh.PASSWORD}, source, scratch),
            Command("sftp", f"echo {batch} | {line}", ("sftp",)),
            server.root / "store" / DIRECTORY / NAME,
            server.root / "store" / PEER_NAME,
        )


@contextmanager
def cifs(source: Path, scratch: Path) -> Iterator[Rig]:
    """Samba, in turn with its own smbclient."""
    if reason := unixkit.lack([*samba.PROGRAMS, "smbclient"], f"{samba.PACKAGES} smbclient"):
        raise Lacking(reason)
    with ExitStack() as stack:
        server = samba.prepare(stack)
        stack.callback(server.stop)
        server.start()
        account = scratch / "account"
        account.touch(0o600)
        account.write_text(f"username={server.user}\npassword={samba.PASSWORD}\n")
        line = f"smbclient -s /dev/null -A {quoted(account)} -p {server.port} //127.0.0.1/backup"
        put = shlex.quote(f"put {source} iotdb\\{PEER_NAME}")
        yield Rig(
            "CIFS",
            console("CIFS", server.parameters(), {"password": samba.PASSWORD}, source, scratch),
            Command("smbclient", f"{line} -c {put}", ("smbclient",)),
            server.share / "iotdb" / DIRECTORY / NAME,
            server.share / "iotdb" / PEER_NAME,
        )


# A further protocol is one more function that yields a Rig while its server runs, or raises Lacking.
RIGS: tuple[Start, ...] = (sftp, cifs)
