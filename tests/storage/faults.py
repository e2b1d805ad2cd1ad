"""Faults that every store over a connection meets. A path type's tests inherit them and give ``far``, ``hasty`` and
``impatient`` for its real server."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage.errors import ConsoleError, NoSpace, StoreError, Unreachable
from storage.remote import RemoteStore
from tests.lacks import NO_SMALL_DISK, leave_out
from tests.patience import Stopwatch
from tests.servers import openssh, samba
from tests.servers.unixkit import SMALL_MEBIBYTES, free_port
from tests.storage.contract import DIRECTORY, NAME, PARTIAL

WRONG = "wrong-7fa3"
_SECRETS = (openssh.PASSWORD, samba.PASSWORD, WRONG, "PRIVATE")
_LIBRARIES = ("paramiko", "spnego", "STATUS_", "NtStatus", "Errno", "Exception", "Traceback")


@dataclass(frozen=True)
class Far:
    """A running server. ``connect`` opens its store, whose files lie in ``folder``.

    ``small`` is a file system of few MiB, which the form calls ``small_path``.
    """

    server: openssh.OpenSSH | samba.Samba
    connect: Callable[..., RemoteStore]
    folder: Path
    small: Path
    small_path: str

    def begin(self) -> RemoteStore:
        """Empty the folder and connect."""
        empty(self.folder)
        return self.connect(self.server)


def empty(folder: Path) -> None:
    """Remove what earlier tests left."""
    for path in folder.iterdir():
        shutil.rmtree(path)


def refused(kind: type[StoreError], act: Callable[[], object]) -> ConsoleError:
    """Return the error of ``act``, which has a cure and holds neither a secret nor a library's words."""
    with pytest.raises(kind) as caught:
        act()
    error = caught.value
    assert type(error) is kind
    assert error.cure
    for word in (*_SECRETS, *_LIBRARIES):
        assert word not in str(error)
    return error


@pytest.fixture
def frozen(far: Far) -> Iterator[Callable[[], None]]:
    """Gives a function that freezes the server; it is thawed at the end and its sessions are cut."""
    yield far.server.freeze
    far.server.thaw()
    far.server.cut()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Every test ends its connections; a thread that outlives them would wait for a dead server."""
    before = set(threading.enumerate())
    yield
    end = time.monotonic() + 5
    while left := [t for t in threading.enumerate() if t not in before and t.name != "listener"]:
        assert time.monotonic() < end, left
        time.sleep(0.05)


class RemoteFaults:
    """What is said, and what is left, when the disk is full and when the server goes away."""

    @pytest.mark.parametrize("mebibytes", [SMALL_MEBIBYTES - 1, SMALL_MEBIBYTES + 1, SMALL_MEBIBYTES + 16])
    def test_a_full_disk(self, far: Far, mebibytes: int) -> None:
        if not far.server.has_small_disk:
            leave_out(NO_SMALL_DISK)
        empty(far.small)
        block = os.urandom(1 << 20)
        with far.connect(far.server, far.small_path) as store:
            upload = store.put(DIRECTORY, NAME, PARTIAL)

            def fill() -> None:
                for _ in range(mebibytes):
                    upload.write(block)
                upload.seal(mebibytes << 20)

            if mebibytes < SMALL_MEBIBYTES:
                fill()
            else:
                error = refused(NoSpace, fill)
                assert "is full" in error.message
                assert not error.retryable
            upload.abort()
            assert list(far.small.iterdir()) == []
            space = store.free_space()
            assert space is not None
            assert space.free == space.total == SMALL_MEBIBYTES << 20

    def test_nothing_listens(self, far: Far) -> None:
        port = free_port()
        error = refused(Unreachable, lambda: far.connect(far.server, port=port))
        assert error.message == f"Nothing listens on 127.0.0.1 port {port}."
        assert (error.field, error.retryable) == ("port", True)

    @pytest.mark.usefixtures("hasty")
    def test_an_address_that_does_not_answer(self, far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
        def blackhole(*_: object, **__: object) -> None:
            raise TimeoutError("timed out")

        monkeypatch.setattr("socket.create_connection", blackhole)
        error = refused(Unreachable, lambda: far.connect(far.server, server_ip="192.0.2.1"))
        assert error.message.endswith("did not answer within 1 s.")
        assert error.field == "server_ip"

    @pytest.mark.usefixtures("impatient")
    def test_a_server_that_freezes_in_a_write(self, far: Far, frozen: Callable[[], None]) -> None:
        store = far.begin()
        upload = store.put(DIRECTORY, NAME, PARTIAL)
        upload.write(bytes(1 << 20))
        frozen()
        begun = Stopwatch()

        def flood() -> None:
            for _ in range(64):
                upload.write(bytes(1 << 20))

        error = refused(Unreachable, flood)
        assert "stopped answering for 1.5 s after" in error.message
        assert error.retryable
        refused(Unreachable, lambda: upload.seal(1))
        refused(Unreachable, store.free_space)
        upload.abort()
        store.close()
        assert begun.seconds < 12

    def test_a_connection_that_is_cut_in_a_write(self, far: Far) -> None:
        store = far.begin()
        upload = store.put(DIRECTORY, NAME, PARTIAL)
        upload.write(bytes(5 << 20))
        far.server.cut()

        def flood() -> None:
            for _ in range(64):
                upload.write(bytes(1 << 20))

        error = refused(Unreachable, flood)
        assert f"The connection to 127.0.0.1 port {far.server.port} was lost after" in error.message
        assert error.retryable
        upload.abort()
        assert list(far.folder.iterdir()) == [], "abort goes over a new connection"
        store.close()

    def test_a_server_that_is_killed_in_a_write(self, far: Far) -> None:
        store = far.begin()
        upload = store.put(DIRECTORY, NAME, PARTIAL)
        upload.write(bytes(5 << 20))
        far.server.stop()
        try:
            with pytest.raises(Unreachable):
                for _ in range(64):
                    upload.write(bytes(1 << 20))
            upload.abort()
            store.close()
            refused(Unreachable, lambda: far.connect(far.server))
        finally:
            far.server.start()
        with far.connect(far.server) as store:
            assert [entry.name for entry in store.list(DIRECTORY)] == [PARTIAL]
            store.delete(DIRECTORY, PARTIAL)
        assert list(far.folder.iterdir()) == []

    def test_a_file_that_is_cut_short_on_the_server(self, far: Far) -> None:
        with far.begin() as store:
            upload = store.put(DIRECTORY, NAME, PARTIAL)
            upload.write(os.urandom(3 << 20))
            upload.seal(3 << 20)
            with upload.reader() as reader:
                os.truncate(far.folder / DIRECTORY / PARTIAL, 1_000_000)
                assert len(reader.read()) == 1_000_000
            upload.abort()

    def test_closing_twice_and_after_a_fault(self, far: Far) -> None:
        store = far.connect(far.server)
        far.server.cut()
        with suppress(Unreachable):
            store.list("x")
        store.close()
        store.close()
        refused(Unreachable, lambda: store.list("x"))
