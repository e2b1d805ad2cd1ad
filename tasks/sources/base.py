"""What a data source is: something whose files are surveyed, checked and copied into an archive.

A data source knows how its files must be read; it knows nothing of tasks, stores, forms or the database. The
caller passes values (``ServiceSpec``) and gets values back, so a source can be tried on any directory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from tasks.engine.archive import Attributes, Member
from tasks.hosts.base import HostSpec
from tasks.iotdb.base import Account, Endpoint

Level = Literal["ok", "warning", "failed"]

Log = Callable[[str, str], None]
"""Takes a level, ``INFO`` or ``WARN``, and one sentence for the run's log."""


def nothing() -> None:
    """Do nothing: the check of a caller who has none."""


@dataclass(frozen=True)
class NodeSpec:
    """A host of a service: its name, the absolute path of its home, its roles, its RPC address if it has one.

    ``host`` is how its files are reached.
    """

    name: str
    home: str
    config_node: bool
    data_node: bool
    rpc_host: str = ""
    rpc_port: int | None = None
    host: HostSpec = HostSpec()


@dataclass(frozen=True)
class ServiceSpec:
    """One service of a cluster with its nodes.

    ``account`` asks the service by a Session at its ``endpoints``; None where none is given, or where its password is
    lost: ``account_problem`` then says so.
    """

    cluster: str
    name: str
    nodes: tuple[NodeSpec, ...]
    account: Account | None = None
    account_problem: str = ""
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One line of what Check found on a node; ``cure`` says what to do, empty where nothing is wrong."""

    level: Level
    what: str
    detail: str
    cure: str = ""


@dataclass(frozen=True)
class Survey:
    """What a copy taken now would hold: ``bytes`` and ``files`` are the amount to read, before compression.

    ``running`` is True when at least one node of the service runs. ``warnings`` are sentences for the run's log
    that make the run end as Successful with warnings. ``clocks`` are the seconds that the clock of each node is ahead
    of ours, by the node's name, where it is another one and could be asked.
    """

    version: str
    cluster_id: str
    bytes: int
    files: int
    running: bool
    warnings: tuple[str, ...] = ()
    clocks: Mapping[str, float] = field(default_factory=dict)


class Archive(Protocol):
    """The part of ``tasks.engine.archive.ArchiveWriter`` that a source needs."""

    @property
    def broken(self) -> bool:
        """Whether the archive itself failed, so that an error is not about the file that was read."""

    def add_directory(self, name: str, stat: Attributes) -> None:
        """Add a directory."""

    def add_file(self, name: str, fd: int) -> Member:
        """Add a file of this machine at the size it has now; raises ``FileShrank`` when it ends before that."""

    def add_stream(self, name: str, read: Callable[[int], bytes], size: int, about: Attributes) -> Member:
        """Add a file of ``size`` bytes that ``read`` gives; raises ``FileShrank`` when they end before that."""

    def add_symlink(self, name: str, target: str, stat: Attributes) -> Any:
        """Add a symbolic link as a link."""

    def check(self) -> None:
        """Raise what ends the run, if anything does."""

    def checkpoint(self) -> Any:
        """Return a point to which ``rollback`` can return."""

    def rollback(self, checkpoint: Any) -> None:
        """Make the archive exactly what it was at the checkpoint."""


class Source(ABC):
    """A kind of thing that is backed up. Instances hold no state; one serves every run."""

    key: ClassVar[str]
    """Stable name in the database."""
    label: ClassVar[str]
    """Name on the form and in the names of backup files."""
    group: ClassVar[str]
    """Group of *Configuration* on the form in which it is listed."""

    @abstractmethod
    def check(self, node: NodeSpec) -> list[Finding]:
        """Return what is found on a node; never raises for what it finds."""

    @abstractmethod
    def survey(self, service: ServiceSpec, check: Callable[[], None] = nothing) -> Survey:
        """Return what a copy would hold. Raises ``tasks.errors.SourceError`` where no whole copy can be made.

        ``check`` is called all the while, and may raise what ends the run.
        """

    @abstractmethod
    def copy(self, service: ServiceSpec, survey: Survey, archive: Archive, log: Log) -> dict[str, Any]:
        """Copy everything into ``archive`` and return facts for the manifest (values that JSON can hold).

        Raises ``tasks.errors.SourceError``; whatever the archive raises (Stop, a full disk) passes through.
        """

    def lacking(self, facts: Mapping[str, Any], members: Iterable[str]) -> list[str]:
        """Return one sentence for each thing that an archive should hold and does not.

        ``facts`` are what ``copy`` returned; ``members`` are the names in the archive, those of directories with a
        slash at the end.
        """
        return []
