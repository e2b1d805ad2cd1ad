"""What an administrator reads when CIFS does not work, on a real Samba server and on ports that are none."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Callable

import pytest

from storage.cifs.share import Share
from storage.errors import (
    AuthenticationFailed,
    BadPath,
    PathMissing,
    PermissionDenied,
    Unreachable,
)
from tests.patience import Stopwatch
from tests.servers import unixkit
from tests.servers.samba import Samba, samba
from tests.servers.unixkit import Listener
from tests.storage.contract import DIRECTORY, NAME, PARTIAL
from tests.storage.faults import WRONG, Far, RemoteFaults, frozen, no_thread_is_left, refused
from tests.storage.test_cifs import connect, empty

__all__ = ["frozen", "no_thread_is_left", "samba"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("samba")]


@pytest.fixture
def far(samba: Samba) -> Far:
    return Far(samba, connect, samba.share / "iotdb", samba.directory / "small", "/small")


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


def peak_memory() -> int:
    """Return the most memory this process ever had, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class TestCIFSFaults(RemoteFaults):
    """The faults that all have in common."""


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


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-x\r\n", b"\0\0\0\x04\xffSMB" + bytes(64), bytes(4096)])
@pytest.mark.usefixtures("hasty")
def test_a_port_that_is_not_cifs(samba: Samba, greeting: bytes) -> None:
    listener = Listener(greeting)
    begun = Stopwatch()
    before = peak_memory()
    error = refused(Unreachable, lambda: connect(samba, port=listener.port))
    assert peak_memory() - before < 30_000, "a greeting is not taken for the length of a message"
    assert "not as a CIFS server" in error.message
    assert error.field == "port"
    assert begun.seconds < 5
    listener.close()


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
    begun = Stopwatch()
    refused(Unreachable, reader.read)
    reader.close()
    refused(Unreachable, lambda: connect(samba))
    store.close()
    idle.close()
    assert begun.seconds < 12
