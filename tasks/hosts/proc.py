"""What the kernel of a machine tells in ``/proc``, read through its file interface: ports and processes (proc(5))."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.hosts.base import Host

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTENING = "0A"


def listening(table: str) -> set[int]:
    """Return the ports in state LISTEN of a table of ``/proc/net``."""
    ports = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 3 and fields[3] == _LISTENING:
            ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


def listening_ports(host: Host) -> frozenset[int]:
    """Return the ports on which something listens, by IPv4 or IPv6. Raises OSError where no table can be read."""
    found: set[int] = set()
    tables = [content for _, content in host.contents(_TABLES)]
    for content in tables:
        found |= listening(content.decode("ascii", "replace"))
    if not tables:
        raise FileNotFoundError(2, "No table of ports", _TABLES[0])
    return frozenset(found)


def command_of(line: bytes) -> tuple[str, ...]:
    """Return the words of a ``cmdline`` file; none for a thread of the kernel and for a process that is ending."""
    words = line.decode("utf-8", "surrogateescape").split("\0")
    return tuple(words[:-1] if words[-1] == "" else words)


def commands(host: Host) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield number and command line of the processes, as far as the account may see them. Raises OSError."""
    names = sorted((name for name, _ in host.scan("/proc") if name.isdecimal()), key=int)
    for path, line in host.contents(f"/proc/{name}/cmdline" for name in names):
        command = command_of(line)
        if command:
            yield int(path.split("/")[2]), command


def whole(host: Host, paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the contents of small files one after the other; a file that is gone or closed to us is passed over."""
    for path in paths:
        content = None
        with suppress(OSError):
            content = _read(host, path)
        if content is not None:
            yield path, content


def _read(host: Host, path: str) -> bytes:
    file = host.open(path)
    try:
        content = b""
        while part := file.read(65536):
            content += part
        return content
    finally:
        file.close()
