"""What every path type and every store can do; the engine knows nothing else of a destination."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Self

from django import forms

if TYPE_CHECKING:
    from storage.checks import Check, Endpoint, LocalPlace

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True)
class Space:
    """Room at a destination, in bytes."""

    free: int
    total: int


@dataclass(frozen=True)
class Entry:
    """One name in a directory of a destination; ``size`` in bytes, ``modified`` in UTC."""

    name: str
    size: int
    modified: datetime
    is_directory: bool


class Upload(ABC):
    """One file on its way: hidden under a partial name until ``publish``.

    The order is write (and truncate) … ``seal``, ``reader`` … ``publish``. ``abort`` may come at any time before
    ``publish`` and leaves nothing behind. Every method raises an error of ``storage.errors``.
    """

    @abstractmethod
    def write(self, data: Buffer) -> None:
        """Write all of ``data`` after what was written before."""

    @abstractmethod
    def truncate(self, size: int) -> None:
        """Drop everything after ``size`` bytes; the next write continues there."""

    @abstractmethod
    def seal(self, size: int) -> None:
        """Bring everything to stable storage; raise ``Corrupt`` unless ``size`` bytes are there."""

    @abstractmethod
    def reader(self) -> BinaryIO:
        """Open the sealed file for reading back what the destination, not a cache of ours, holds."""

    @abstractmethod
    def publish(self) -> str:
        """Give the file its final name and return its full path; raise ``AlreadyExists`` rather than overwrite."""

    @abstractmethod
    def abort(self) -> None:
        """Remove the partial file; never raises for a file that is gone already."""


class Store(ABC):
    """An open connection to a destination. Directories and names are single parts of a path below its root."""

    # Whether an archive may be written there directly; elsewhere the upload follows a spool file on this machine.
    in_place: ClassVar[bool] = False

    @abstractmethod
    def free_space(self) -> Space | None:
        """Return the room left, or None where the destination does not tell."""

    @abstractmethod
    def put(self, directory: str, name: str, partial: str) -> Upload:
        """Begin the file ``name`` in ``directory`` (made where it is missing) under the name ``partial``."""

    @abstractmethod
    def full_path(self, directory: str, name: str) -> str:
        """Return the path of a file as an administrator of the destination would type it."""

    @abstractmethod
    def directories(self) -> list[str]:
        """Return the names of the directories at the root, sorted; links are left out."""

    @abstractmethod
    def list(self, directory: str) -> list[Entry]:
        """Return what is in ``directory``, hidden names too; an absent directory is empty."""

    @abstractmethod
    def stat(self, directory: str, name: str) -> Entry:
        """Return the entry of a file; raise ``PathMissing`` where there is none."""

    @abstractmethod
    def open(self, directory: str, name: str) -> BinaryIO:
        """Open a file for reading from its beginning."""

    @abstractmethod
    def delete(self, directory: str, name: str) -> None:
        """Remove a file; a file that is gone already is no error."""

    def close(self) -> None:  # noqa: B027 (a local directory has nothing to end)
        """End the connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()


class DestinationForm(forms.Form):
    """The fields of one path type, validating the browser's post and the stored values alike.

    ``network`` is the cluster's IP mode, which presets *IP Mode*; ``stored`` tells that a password is already kept, so
    that an empty password field means "unchanged".
    """

    copies = forms.IntegerField(
        label="Maximum Number of Backup Copies",
        min_value=1,
        max_value=100_000,
        initial=7,
        help_text="Backup file sets that are kept. The oldest verified set goes after a successful run; "
        "the last good one never.",
        error_messages={
            "required": "Say how many backup file sets to keep, at least 1.",
            "min_value": "Keep at least 1 backup file set.",
        },
    )
    read_back = forms.BooleanField(
        label="Read back every archive and compare it",
        required=False,
        help_text="Proves every byte, and takes about as long again as the upload. Without it the size is compared.",
    )
    # Which fields stand folded away under which heading.
    folded: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def __init__(self, *args: Any, network: str = "ipv4", stored: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.network = network
        self.stored = stored


class PathType(ABC):
    """A kind of destination. A sixth one is one more file with one more subclass."""

    name: ClassVar[str]
    note: ClassVar[str]
    form_class: ClassVar[type[DestinationForm]]
    # Names of the form's fields that are write-only and encrypted at rest.
    secret_fields: ClassVar[tuple[str, ...]] = ()
    # Names of the fields by which a server is recognised; who confirms another one means it for all sets there.
    trusted_fields: ClassVar[tuple[str, ...]] = ()
    # Whether the standby management node keeps a copy of what is stored.
    has_standby: ClassVar[bool] = False
    # Whether a store is there to run it; without one the form exists but is not offered.
    available: ClassVar[bool] = False

    def summary(self, parameters: Mapping[str, Any]) -> str:
        """Return where the files go in a few words, for the list."""
        return str(parameters.get("server_ip", ""))

    # The parameters that tell one destination from another, besides that of ``path_field``; none is a secret.
    location_fields: ClassVar[tuple[str, ...]] = ("server_ip", "port", "username")

    def location(self, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        """Return what is equal for two tasks where they store at the same place, with the same room for both."""
        return tuple(str(parameters.get(name, "")) for name in (*self.location_fields, self.path_field))

    def title(self, parameters: Mapping[str, Any]) -> str:
        """Return the name of the destination for people: server and directory."""
        return f"{self.summary(parameters)} {parameters.get(self.path_field, '')}".strip()

    # Whether a new destination reads every archive back and compares it; without, sizes are compared.
    read_back_default: ClassVar[bool] = True
    # The form's field that holds the directory at the destination.
    path_field: ClassVar[str] = "shared_path"

    def path_of(self, shown: str) -> str:
        """Return a path of this destination as ``path_field`` takes it, from the way ``Store.full_path`` shows it."""
        return shown

    @abstractmethod
    def connect(self, parameters: Mapping[str, Any], secrets: Mapping[str, str]) -> Store:
        """Open the destination; raise an error of ``storage.errors`` that names the field to change."""

    def connect_to_read(self, parameters: Mapping[str, Any], secrets: Mapping[str, str]) -> Store:
        """Open the destination as ``connect`` does, and make nothing there that is missing."""
        return self.connect(parameters, secrets)

    def reads_back(self, parameters: Mapping[str, Any]) -> bool:
        """Tell whether archives are read back and compared; stored values from before the choice have the default."""
        return bool(parameters.get("read_back", self.read_back_default))

    def merge_secrets(self, stored: Mapping[str, str], typed: Mapping[str, str]) -> dict[str, str]:
        """Return the secrets that hold after ``typed`` was given over ``stored``."""
        return {**stored, **typed}

    # --- What Verify and the form ask besides; the defaults do for a server with address, port and account ---------
    def prepare(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``parameters`` with what only the calling thread can look up, for ``connect`` in another one."""
        return dict(parameters)

    def endpoints(self, parameters: Mapping[str, Any]) -> list[Endpoint]:
        """Return where the destination is reached; one of them has to answer."""
        from storage.checks import Endpoint

        if not (parameters.get("server_ip") and parameters.get("port")):
            return []
        return [Endpoint(str(parameters["server_ip"]), int(parameters["port"]))]

    def servers(self, parameters: Mapping[str, Any]) -> list[str]:
        """Return the addresses of the machines that keep the files; none where that is this machine."""
        return [str(parameters["server_ip"])] if parameters.get("server_ip") else []

    def identify(self, parameters: Mapping[str, Any]) -> Check | None:
        """Find out who answers, before any secret is sent; None where the protocol has nothing to show.

        Raises errors of ``storage.errors``; ``HostKeyUnknown`` makes an offer of the key.
        """
        return None

    def account_words(self, parameters: Mapping[str, Any], store: Store | None) -> str:
        """Return as whom the destination is used; empty where there are no accounts."""
        return f"{parameters['username']} may log in." if parameters.get("username") else ""

    def path_words(self, parameters: Mapping[str, Any], store: Store) -> str:
        """Return what ``connect`` has proven of the directory."""
        return f"{parameters.get(self.path_field, '')} exists and is not the root directory."

    def place(self, directory: str) -> LocalPlace | None:
        """Return where the files of a task lie on this machine; None for a destination elsewhere."""
        return None
