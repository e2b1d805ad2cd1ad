"""Finding the backup file sets that lie in a destination, by names and manifests alone: no record of them is needed.

Names are looked at first, which is cheap; of the sets that are to be shown the head of each manifest is read. Nothing
is written there. The names are those of the seed, ``<task>_<time>/<version>_<source>_<time>.tar.gz``; a directory
``<task>_<source>_<time>``, as the sibling page of the seed has it, is understood as well.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from storage.base import Entry, Store
from storage.errors import PathMissing, PermissionDenied
from tasks import sources
from tasks.engine.archive.blocks import Damage
from tasks.engine.archive.manifest import Head, parse_head
from tasks.naming import manifest_name, partial_owner

HEAD_LIMIT = 4 << 20
"""Bytes of a manifest's first line at the most; the facts of a large service take some ten thousand."""
_PIECE = 1 << 16
_DIRECTORY = re.compile(r"(.+)_(\d{14})\Z")
_ARCHIVE = re.compile(r"(?P<version>.+)_(?P<source>[^_]+)_(?P<time>\d{14})\.tar\.gz\Z")
_MANIFEST = re.compile(r"(.+\.tar\.gz)\.manifest\.json\Z")
NO_MANIFEST = "There is no manifest beside it: another program made it, or its manifest was removed."
NO_ARCHIVE = "Only the manifest is there: the archive was removed."

Check = Callable[[], None]


@dataclass(frozen=True)
class SourcePath:
    """Where to look: a root, and below it one directory or one archive where a path names it."""

    root: str
    directory: str = ""
    archive: str = ""


def split_path(path: str) -> SourcePath:
    """Return the root of a path that leads to a root, to the directory of a task, or to an archive."""
    trimmed = path.rstrip("/")
    above, _, last = trimmed.rpartition("/")
    if last.endswith(".tar.gz"):
        root, _, directory = above.rpartition("/")
        return SourcePath(root or "/", directory, last)
    if _DIRECTORY.match(last):
        return SourcePath(above or "/", last)
    return SourcePath(path)


@dataclass(frozen=True)
class Named:
    """A set as its names tell of it: a directory, a time of 14 digits, and the files of that time."""

    directory: str
    time: str
    archives: tuple[Entry, ...]
    manifests: tuple[Entry, ...]

    @property
    def key(self) -> str:
        """What tells the set from every other one of the destination."""
        return f"{self.directory}/{self.time}"

    @property
    def task(self) -> str:
        """The task in the name of the directory."""
        found = _DIRECTORY.match(self.directory)
        return found[1] if found else self.directory


@dataclass(frozen=True)
class Index:
    """The sets of a destination, newest first, and how many directories have names that no set has."""

    sets: tuple[Named, ...]
    others: int


@dataclass(frozen=True)
class FoundFile:
    """One archive of a set; ``problem`` says why it cannot be restored, empty where it can."""

    service: str
    name: str
    size: int
    sha256: str = ""
    members: int = 0
    version: str = ""
    problem: str = ""


@dataclass(frozen=True)
class FoundSet:
    """A set with what its manifests say; ``problem`` tells why it cannot be chosen.

    ``taken_at`` is the moment that the manifest names, else that of the name in the zone of the console.
    """

    key: str
    directory: str
    task: str
    cluster: str
    version: str
    taken_at: datetime
    files: tuple[FoundFile, ...]
    problem: str = ""

    @property
    def size(self) -> int:
        """The bytes of all archives."""
        return sum(file.size for file in self.files)


def index_of(store: Store, check: Check, only: str = "") -> Index:
    """Return what the names at a destination tell; ``only`` is the one directory to look into.

    ``check`` is called between any two requests and may raise to end the search.
    """
    names = [only] if only else store.directories()
    fitting = [name for name in names if only or _DIRECTORY.match(name)]
    found: list[Named] = []
    for directory in fitting:
        check()
        found += _sets_in(directory, store.list(directory))
    found.sort(key=lambda one: (one.time, one.directory), reverse=True)
    return Index(tuple(found), len(names) - len(fitting))


def _sets_in(directory: str, entries: Iterable[Entry]) -> list[Named]:
    """Group the files of a directory by the time in their names; what is being written is passed over."""
    archives: dict[str, list[Entry]] = defaultdict(list)
    manifests: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.is_directory or partial_owner(entry.name) is not None:
            continue
        beside = _MANIFEST.match(entry.name)
        named = _ARCHIVE.match(beside[1] if beside else entry.name)
        if named:
            (manifests if beside else archives)[named["time"]].append(entry)
    times = set(archives) | set(manifests)
    return [Named(directory, time, tuple(archives[time]), tuple(manifests[time])) for time in times]


def describe(store: Store, named: Sequence[Named], zone: tzinfo, check: Check) -> list[FoundSet]:
    """Read the manifests of the sets and return what they are; ``zone`` is that of times in names."""
    found = []
    for one in named:
        check()
        found.append(_describe(store, one, zone))
    return found


def _describe(store: Store, named: Named, zone: tzinfo) -> FoundSet:
    beside = {entry.name for entry in named.manifests}
    files, heads = [], []
    for entry in named.archives:
        file, head = _file_of(store, named.directory, entry, manifest_name(entry.name) in beside)
        files.append(file)
        heads += [head] if head else []
    left = beside - {manifest_name(entry.name) for entry in named.archives}
    files += [FoundFile(_service(name), name.removesuffix(".manifest.json"), 0, problem=NO_ARCHIVE) for name in left]
    facts = heads[0].facts if heads else {}
    return FoundSet(
        key=named.key,
        directory=named.directory,
        task=str(facts.get("task") or named.task),
        cluster=str(facts.get("cluster") or ""),
        version=next((file.version for file in files if file.version), ""),
        taken_at=_moment(facts.get("executed_at"), named.time, zone),
        files=tuple(sorted(files, key=lambda file: file.service)),
        problem=_problem_of(files, heads),
    )


def _file_of(store: Store, directory: str, entry: Entry, has_manifest: bool) -> tuple[FoundFile, Head | None]:
    service = _service(entry.name)
    if not has_manifest:
        return FoundFile(service, entry.name, entry.size, problem=NO_MANIFEST), None
    try:
        head = read_head(store, directory, manifest_name(entry.name))
        about = head.archive or {}
        file = FoundFile(
            service=str(head.facts.get("service") or service),
            name=entry.name,
            size=entry.size,
            sha256=str(about["sha256"]),
            members=head.totals.members,
            version=str(head.facts.get("version") or ""),
            problem=_problem(entry, about, head),
        )
    except (Damage, KeyError, TypeError, AttributeError):
        return FoundFile(service, entry.name, entry.size, problem="Its manifest is damaged."), None
    except (PathMissing, PermissionDenied) as error:
        return FoundFile(service, entry.name, entry.size, problem=f"Its manifest cannot be read: {error}"), None
    return file, head


def read_head(store: Store, directory: str, name: str) -> Head:
    """Read the first line of a manifest beside an archive; raise ``Damage`` where it is none or too long."""
    line = bytearray()
    with store.open(directory, name) as file:
        while b"\n" not in line and len(line) <= HEAD_LIMIT:
            piece = file.read(_PIECE)
            if not piece:
                break
            line += piece
    head, end, _ = bytes(line).partition(b"\n")
    if not end or len(head) > HEAD_LIMIT:
        raise Damage("the head of the manifest is not complete")
    return parse_head(head)


def _problem(entry: Entry, about: dict[str, object], head: Head) -> str:
    """Return why an archive with a whole manifest cannot be restored."""
    if about.get("name") != entry.name:
        return f"Its manifest is that of {about.get('name')}."
    if about.get("size") != entry.size:
        return f"It is not whole: it has {entry.size:,} bytes, its manifest says {about.get('size')}."
    kind = head.facts.get("data_source")
    if kind not in {source.key for source in sources.all()}:
        return f"It holds {kind or 'something unknown'}, which this console cannot restore."
    return ""


def _problem_of(files: Sequence[FoundFile], heads: Sequence[Head]) -> str:
    broken = [file for file in files if file.problem]
    if broken:
        return " ".join(f"{file.service}: {file.problem}" if len(files) > 1 else file.problem for file in broken)
    if len({head.facts.get("cluster") for head in heads}) > 1:
        return "Its archives are of several clusters."
    return ""


def _service(name: str) -> str:
    found = _ARCHIVE.match(name.removesuffix(".manifest.json"))
    return found["source"] if found else name


def _moment(text: object, digits: str, zone: tzinfo) -> datetime:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        found = datetime(1970, 1, 1)
    if found.tzinfo is not None:
        return found
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=zone)
    except ValueError:
        # 14 digits that are no time: somebody else's name.
        return datetime(1970, 1, 1, tzinfo=zone)
