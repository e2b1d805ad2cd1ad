"""A destination that is not of this machine, and that may be told to fail: what drives the tests of the pipeline.

It keeps its files in a directory, through LocalDir's store. ``faults`` are planned by the name of an operation, to come
before it, or by ``after`` and its name, to come when it is done and only the answer is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial as partial_of
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from storage.base import Buffer, Entry, PathType, Space, Store, Upload
from storage.localdir import LocalDirForm, LocalDirStore

Result = TypeVar("Result")


class FaultyUpload(Upload):
    """Passes everything on, after asking the faults."""

    def __init__(self, inner: Upload, owner: FaultyRemote) -> None:
        self.inner, self.owner = inner, owner

    def write(self, data: Buffer) -> None:
        self.owner.around("write", lambda: self.inner.write(data))

    def truncate(self, size: int) -> None:
        self.owner.around("truncate", lambda: self.inner.truncate(size))

    def seal(self, size: int) -> None:
        self.owner.around("seal", lambda: self.inner.seal(size))

    def reader(self) -> BinaryIO:
        return self.owner.around("reader", lambda: self.inner.reader())

    def publish(self) -> str:
        return self.owner.around("publish", lambda: self.inner.publish())

    def abort(self) -> None:
        self.owner.around("abort", lambda: self.inner.abort())


class FaultyStore(LocalDirStore):
    """A store of ``FaultyRemote``; archives reach it through the spool only."""

    in_place = False

    def __init__(self, root: Path, owner: FaultyRemote) -> None:
        super().__init__(root)
        self.owner = owner

    def put(self, directory: str, name: str, partial: str) -> Upload:
        begin = partial_of(super().put, directory, name, partial)
        return FaultyUpload(self.owner.around("put", begin), self.owner)

    def list(self, directory: str) -> list[Entry]:
        return self.owner.around("list", partial_of(super().list, directory))

    def delete(self, directory: str, name: str) -> None:
        self.owner.around("delete", partial_of(super().delete, directory, name))

    def free_space(self) -> Space:
        return self.owner.around("free_space", super().free_space)

    def close(self) -> None:
        self.owner.open_connections -= 1


class FaultyRemote(PathType):
    """The path type; registered by the fixture under the name ``Faulty``."""

    name = "Faulty"
    note = "For tests."
    form_class = LocalDirForm
    secret_fields = ("password",)
    available = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: dict[str, list[Exception | None]] = {}
        self.calls: list[str] = []
        self.open_connections = 0
        self.passwords: list[str] = []

    def around(self, what: str, operation: Callable[[], Result]) -> Result:
        """Do ``operation`` between the faults that are planned before and after it."""
        self.may(what)
        result = operation()
        self.may(f"after {what}")
        return result

    def may(self, what: str) -> None:
        """Take the next fault planned for an operation; None lets it pass."""
        self.calls.append(what)
        planned = self.faults.get(what)
        if planned and (fault := planned.pop(0)) is not None:
            raise fault

    def connect(self, parameters: Mapping[str, Any], secrets: Mapping[str, str]) -> Store:
        self.may("connect")
        self.passwords.append(secrets.get("password", ""))
        self.open_connections += 1
        return FaultyStore(self.root, self)
