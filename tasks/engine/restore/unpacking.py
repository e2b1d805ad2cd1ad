"""The members of a verified archive into staging directories beside the ones they replace, written and read back."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256 as new_sha256
from typing import Any, BinaryIO, NamedTuple

from storage.errors import ConsoleError, Corrupt
from tasks.engine.archive import Listing, Unpacked, unpack
from tasks.engine.restore.places import Place, below
from tasks.engine.restore.target import exists
from tasks.hosts import FileStat, Host
from tasks.sources.iotdb_groups import LOCKS

_CHUNK = 1 << 18
_FRESH = 0o700


class Staged(NamedTuple):
    """A place, the machine it is on, where it is unpacked, and what was there before (None where nothing was)."""

    place: Place
    host: Host
    root: str
    before: FileStat | None


class Unpacking:
    """Writes one archive to its staging directories.

    ``count`` is told the name of each member that is written or compared, ``read`` the size of each of these files.
    """

    def __init__(
        self,
        staged: Sequence[Staged],
        check: Callable[[], None],
        count: Callable[[str], None],
        read: Callable[[int], None] = lambda size: None,
    ) -> None:
        # The longest prefix first, so that a member goes to the innermost place it belongs to.
        self.staged = sorted(staged, key=lambda one: len(one.place.prefix), reverse=True)
        self.check = check
        self.count = count
        self.read = read
        self._directories: set[tuple[str, str]] = set()
        self._attributes: list[tuple[Staged, str, Unpacked]] = []

    def write(self, archive: Callable[[], BinaryIO], listing: Listing, sha256: str) -> None:
        """Write all members of all places. Raises Corrupt, OSError, and what ``check`` raises."""
        for place in self.staged:
            self._directory(place, place.root)
        with archive() as reader:
            for member in unpack(reader, listing, sha256=sha256, check=self.check):
                one = self._of(member.name)
                if one is not None and os.path.basename(member.name) not in LOCKS:
                    self._member(one, member)
        # Times of directories last: every name that is made in one changes them.
        for place, path, directory in reversed(self._attributes):
            self._own(place, path, directory)

    def compare(self, listing: Listing) -> int:
        """Read back what lies in the staging directories and hold it against the archive; return how many files.

        Raises Corrupt for the first difference, a file more or less included.
        """
        wanted = {self._path(one, name): member for one, name, member in self._listed(listing)}
        seen = 0
        for one in self.staged:
            for path in _files(one.host, one.root):
                self.check()
                member = wanted.pop((one.place.node, path), None)
                if member is None or member["sha256"] != _digest(one.host, path, self.check):
                    raise _differs(one, path)
                self.count(member["name"])
                self.read(member["size"])
                seen += 1
        if wanted:
            node, path = next(iter(wanted))
            raise Corrupt(f"{path} on node {node} was not written.", cure="Check the disk of that node, then retry.")
        return seen

    def _listed(self, listing: Listing) -> Iterator[tuple[Staged, str, Mapping[str, Any]]]:
        for line in listing.lines():
            member = json.loads(line)
            one = self._of(member["name"].rstrip("/"))
            if one is not None and member["type"] == "file" and os.path.basename(member["name"]) not in LOCKS:
                yield one, member["name"], member

    def _path(self, one: Staged, name: str) -> tuple[str, str]:
        return one.place.node, below(one.place, name, one.root)

    def _of(self, name: str) -> Staged | None:
        prefixed = (one for one in self.staged if name == one.place.prefix or name.startswith(one.place.prefix + "/"))
        return next(prefixed, None)

    def _member(self, one: Staged, member: Unpacked) -> None:
        path = below(one.place, member.name, one.root)
        if member.kind == "directory":
            self._directory(one, path)
            self._attributes.append((one, path, member))
            return
        self._directory(one, os.path.dirname(path))
        if member.kind == "symlink":
            one.host.symlink(member.target, path)
        else:
            one.host.write(path, member.chunks, stat.S_IMODE(member.mode))
            self._own(one, path, member)
        self.count(member.name)
        self.read(member.size)

    def _own(self, one: Staged, path: str, member: Unpacked) -> None:
        """Give a member its mode and times, and the owner that the directory had which it replaces.

        IoTDB's account may have another number on a machine that was set up anew; where nothing was there before, the
        recorded one is all that is known.
        """
        uid, gid = (one.before.uid, one.before.gid) if one.before else (member.uid, member.gid)
        one.host.set_attributes(path, mode=member.mode, uid=uid, gid=gid, mtime=member.mtime)

    def _directory(self, one: Staged, path: str) -> None:
        """Make a directory in a staging directory, or that itself, with those above it."""
        if (one.place.node, path) in self._directories:
            return
        if path != one.root:
            self._directory(one, os.path.dirname(path))
        one.host.mkdir(path, _FRESH)
        if one.before:
            one.host.set_attributes(path, mode=_FRESH, uid=one.before.uid, gid=one.before.gid, mtime=one.host.now())
        self._directories.add((one.place.node, path))


def make_parents(host: Host, path: str) -> None:
    """Make the directories above ``path`` that are missing, as those of the nearest one that is there."""
    parent = os.path.dirname(path)
    if exists(host, parent):
        return
    make_parents(host, parent)
    above = host.stat(os.path.dirname(parent))
    host.mkdir(parent, stat.S_IMODE(above.mode))
    host.set_attributes(parent, mode=stat.S_IMODE(above.mode), uid=above.uid, gid=above.gid, mtime=host.now())


def failure(node: str, error: OSError) -> ConsoleError:
    """Return what an error of a node's files is to a person."""
    what = os.strerror(error.errno) if error.errno else type(error).__name__
    return NodeFault(
        f"{error.filename or 'A file'} on node {node}: {what}.", cure="Look at the disk and the rights on that node."
    )


class NodeFault(ConsoleError):
    """A file or directory of a node could not be made, renamed or read."""

    code = "node"


def _differs(one: Staged, path: str) -> Corrupt:
    return Corrupt(
        f"{path} on node {one.place.node} is not as it stands in the archive.",
        cure="Check the disk of that node, then retry.",
    )


def _files(host: Host, root: str) -> Iterator[str]:
    pending = [root]
    while pending:
        directory = pending.pop()
        for name, seen in host.scan(directory):
            path = os.path.join(directory, name)
            if stat.S_ISDIR(seen.mode):
                pending.append(path)
            elif stat.S_ISREG(seen.mode):
                yield path


def _digest(host: Host, path: str, check: Callable[[], None]) -> str:
    digest = new_sha256(usedforsecurity=False)
    file = host.open(path)
    try:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            check()
    finally:
        file.close()
    return digest.hexdigest()
