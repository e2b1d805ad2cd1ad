"""What an administrator reads when CIFS does not work, on a real Samba server and on ports that are none."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from storage.cifs.share import Share
from storage.errors import (
    AuthenticationFailed,
    BadPath,
    ConsoleError,
    NoSpace,
    PathMissing,
    PermissionDenied,
    StoreError,
    Unreachable,
)
from tests.servers import unixkit
from tests.servers.samba import PASSWORD, SMALL_MEBIBYTES, Samba, samba
from tests.servers.unixkit import Listener, free_port
from tests.storage.contract import DIRECTORY, NAME, PARTIAL
from tests.storage.test_cifs import connect, empty

__all__ = ["samba"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("samba")]
WRONG = "wrong-7fa3"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what is never answered: no server has to be quick for it."""
    monkeypatch.setattr(Share, "CONNECT", 1.0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a server that answers at first, on a machine that may be busy."""
    monkeypatch.setattr(Share, "CONNECT", 4.0)
    monkeypatch.setattr(Share, "SILENCE", 1.5)
    monkeypatch.setattr(Share, "FAREWELL", 1.0)


@pytest.fixture
def frozen(samba: Samba) -> Iterator[Callable[[], None]]:
    """Gives a function that freezes the server; it is thawed at the end and its sessions are cut."""
    yield samba.freeze
    samba.thaw()
    samba.cut()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Every test ends its connections; a thread that outlives them would wait for a dead server."""
    before = set(threading.enumerate())
    yield
    end = time.monotonic() + 5
    while left := [t for t in threading.enumerate() if t not in before and t.name != "listener"]:
        assert time.monotonic() < end, left
        time.sleep(0.05)


def refused(kind: type[StoreError], act: Callable[[], object]) -> ConsoleError:
    """Return the error of ``act``, which has a cure and holds neither a secret nor the library's words."""
    with pytest.raises(kind) as caught:
        act()
    error = caught.value
    assert type(error) is kind
    assert error.cure
    for word in (PASSWORD, WRONG, "STATUS_", "NtStatus", "Errno", "Exception", "spnego"):
        assert word not in str(error)
    return error


def peak_memory() -> int:
    """Return the most memory this process ever had, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize("user", ["", "nobody-of-that-name", "DOMAIN\\somebody"])
def test_a_wrong_password_or_user(samba: Samba, user: str) -> None:
    name = user or samba.user
    error = refused(AuthenticationFailed, lambda: connect(samba, password=WRONG, username=name))
    assert error.message == f"127.0.0.1 refused the user name or password of {name}."
    assert (error.field, error.retryable) == ("password", False)


def test_an_account_that_is_disabled(samba: Samba) -> None:
    command = [unixkit.program("smbpasswd"), "-c", str(samba.directory / "smb.conf")]
    subprocess.run([*command, "-d", samba.user], check=True, stdout=subprocess.DEVNULL)
    try:
        error = refused(AuthenticationFailed, lambda: connect(samba))
    finally:
        subprocess.run([*command, "-e", samba.user], check=True, stdout=subprocess.DEVNULL)
    assert error.message == f"127.0.0.1 does not let user {samba.user} in. The account is disabled."
    assert error.field == "username"


def test_a_guest_is_not_let_be_one(samba: Samba) -> None:
    samba.stop()
    try:
        samba.extra = {"map to guest": "bad user"}
        samba.start()
        error = refused(AuthenticationFailed, lambda: connect(samba, username="nobody-of-that-name"))
    finally:
        samba.stop()
        samba.extra = {}
        samba.start()
    assert "a guest's access" in error.message


def test_a_missing_share(samba: Samba) -> None:
    error = refused(PathMissing, lambda: connect(samba, "/nothing/iotdb"))
    assert error.message == "Share nothing does not exist on 127.0.0.1."
    assert (error.field, error.retryable) == ("shared_path", False)


def test_a_missing_directory(samba: Samba) -> None:
    for path in ("/backup/not there", "/backup/not there/nor this"):
        error = refused(PathMissing, lambda path=path: connect(samba, path))
        assert error.message == f"{path} does not exist on 127.0.0.1."
        assert error.field == "shared_path"


def test_a_file_in_the_place_of_the_directory(samba: Samba) -> None:
    error = refused(BadPath, lambda: connect(samba, "/backup/file"))
    assert error.message == "/backup/file on 127.0.0.1 is not a directory."
    assert error.field == "shared_path"


@pytest.mark.parametrize("path", ["/ro", "/backup/locked"])
def test_a_directory_without_permission(samba: Samba, path: str) -> None:
    with connect(samba, path) as store:
        error = refused(PermissionDenied, lambda: store.put(DIRECTORY, NAME, PARTIAL))
    assert error.message == f"User {samba.user} has no permission on {path}/{DIRECTORY} at 127.0.0.1."
    assert (error.field, error.retryable) == ("shared_path", False)


def test_a_share_that_the_account_may_not_enter(samba: Samba) -> None:
    error = refused(PermissionDenied, lambda: connect(samba, "/closed"))
    assert error.message == f"User {samba.user} has no permission on /closed at 127.0.0.1."


@pytest.mark.parametrize("mebibytes", [SMALL_MEBIBYTES - 1, SMALL_MEBIBYTES + 1, SMALL_MEBIBYTES + 16])
def test_a_full_disk(samba: Samba, mebibytes: int) -> None:
    if not samba.has_small_disk:
        pytest.skip("this machine does not let a small disk be mounted")
    empty(samba, "small")
    block = os.urandom(1 << 20)
    with connect(samba, "/small") as store:
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
        assert list((samba.directory / "small").iterdir()) == []
        space = store.free_space()
        assert space is not None
        assert space.free == space.total == SMALL_MEBIBYTES << 20


def test_nothing_listens(samba: Samba) -> None:
    port = free_port()
    error = refused(Unreachable, lambda: connect(samba, port=port))
    assert error.message == f"Nothing listens on 127.0.0.1 port {port}."
    assert (error.field, error.retryable) == ("port", True)


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-x\r\n", b"\0\0\0\x04\xffSMB" + bytes(64), bytes(4096)])
@pytest.mark.usefixtures("hasty")
def test_a_port_that_is_not_cifs(samba: Samba, greeting: bytes) -> None:
    listener = Listener(greeting)
    begun = time.monotonic()
    before = peak_memory()
    error = refused(Unreachable, lambda: connect(samba, port=listener.port))
    assert peak_memory() - before < 30_000, "a greeting is not taken for the length of a message"
    assert "not as a CIFS server" in error.message
    assert error.field == "port"
    assert time.monotonic() - begun < 5
    listener.close()


@pytest.mark.usefixtures("hasty")
def test_an_address_that_does_not_answer(samba: Samba, monkeypatch: pytest.MonkeyPatch) -> None:
    def blackhole(*_: object, **__: object) -> None:
        raise TimeoutError("timed out")

    monkeypatch.setattr("socket.create_connection", blackhole)
    error = refused(Unreachable, lambda: connect(samba, server_ip="192.0.2.1"))
    assert error.message.endswith("did not answer within 1 s.")
    assert error.field == "server_ip"


@pytest.mark.usefixtures("impatient")
def test_a_server_that_freezes_in_a_write(samba: Samba, frozen: Callable[[], None]) -> None:
    empty(samba)
    store = connect(samba)
    upload = store.put(DIRECTORY, NAME, PARTIAL)
    upload.write(bytes(1 << 20))
    frozen()
    begun = time.monotonic()

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
    assert time.monotonic() - begun < 12


@pytest.mark.usefixtures("impatient")
def test_a_server_that_freezes_in_a_read_at_the_login_and_at_the_end(samba: Samba, frozen: Callable[[], None]) -> None:
    empty(samba)
    idle, store = connect(samba), connect(samba)
    upload = store.put(DIRECTORY, NAME, PARTIAL)
    upload.write(bytes(20 << 20))
    upload.seal(20 << 20)
    reader = upload.reader()
    reader.read(10)
    frozen()
    begun = time.monotonic()
    refused(Unreachable, reader.read)
    reader.close()
    refused(Unreachable, lambda: connect(samba))
    store.close()
    idle.close()
    assert time.monotonic() - begun < 12


def test_a_connection_that_is_cut_in_a_write(samba: Samba) -> None:
    empty(samba)
    store = connect(samba)
    upload = store.put(DIRECTORY, NAME, PARTIAL)
    upload.write(bytes(5 << 20))
    samba.cut()

    def flood() -> None:
        for _ in range(64):
            upload.write(bytes(1 << 20))

    error = refused(Unreachable, flood)
    assert f"The connection to 127.0.0.1 port {samba.port} was lost after" in error.message
    assert error.retryable
    upload.abort()
    assert list((samba.share / "iotdb").iterdir()) == [], "abort goes over a new connection"
    store.close()


def test_a_server_that_is_killed_in_a_write(samba: Samba) -> None:
    empty(samba)
    store = connect(samba)
    upload = store.put(DIRECTORY, NAME, PARTIAL)
    upload.write(bytes(5 << 20))
    samba.stop()
    try:
        with pytest.raises(Unreachable):
            for _ in range(64):
                upload.write(bytes(1 << 20))
        upload.abort()
        store.close()
        refused(Unreachable, lambda: connect(samba))
    finally:
        samba.start()
    with connect(samba) as store:
        assert [entry.name for entry in store.list(DIRECTORY)] == [PARTIAL]
        store.delete(DIRECTORY, PARTIAL)
    assert list((samba.share / "iotdb").iterdir()) == []


def test_a_file_that_is_cut_short_on_the_server(samba: Samba) -> None:
    empty(samba)
    with connect(samba) as store:
        upload = store.put(DIRECTORY, NAME, PARTIAL)
        upload.write(os.urandom(3 << 20))
        upload.seal(3 << 20)
        with upload.reader() as reader:
            os.truncate(samba.share / "iotdb" / DIRECTORY / PARTIAL, 1_000_000)
            assert len(reader.read()) == 1_000_000
        upload.abort()


def test_closing_twice_and_after_a_fault(samba: Samba) -> None:
    store = connect(samba)
    samba.cut()
    with suppress(Unreachable):
        store.list("x")
    store.close()
    store.close()
    refused(Unreachable, lambda: store.list("x"))
