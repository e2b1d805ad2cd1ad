"""What an administrator reads when SFTP does not work, on a real OpenSSH server and on ports that are none."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from storage.errors import (
    AuthenticationFailed,
    BadPath,
    ConsoleError,
    HostKeyChanged,
    HostKeyUnknown,
    NoSpace,
    PathMissing,
    PermissionDenied,
    StoreError,
    StoreFault,
    Unreachable,
)
from storage.sftp.link import Link, fetch_host_key
from tests.servers.openssh import PASSWORD, SMALL_MEBIBYTES, OpenSSH, openssh
from tests.servers.unixkit import Listener, free_port
from tests.storage.contract import DIRECTORY, NAME, PARTIAL
from tests.storage.test_sftp import connect, empty

__all__ = ["openssh"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("openssh")]
WRONG = "wrong-7fa3"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what is never answered: no server has to be quick for it."""
    monkeypatch.setattr(Link, "CONNECT", 1.0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a server that answers at first, on a machine that may be busy."""
    monkeypatch.setattr(Link, "CONNECT", 4.0)
    monkeypatch.setattr(Link, "SILENCE", 1.5)


@pytest.fixture
def frozen(openssh: OpenSSH) -> Iterator[Callable[[], None]]:
    """Gives a function that freezes the server; it is thawed at the end and its sessions are cut."""
    yield openssh.freeze
    openssh.thaw()
    openssh.cut()


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
    for word in (PASSWORD, WRONG, "paramiko", "Errno", "Exception", "Traceback", "PRIVATE"):
        assert word not in str(error)
    return error


def test_a_wrong_password(openssh: OpenSSH) -> None:
    error = refused(AuthenticationFailed, lambda: connect(openssh, secrets={"password": WRONG}))
    assert error.message == f"127.0.0.1 refused the user name or password of {openssh.user}."
    assert (error.field, error.retryable) == ("password", False)


def test_an_unknown_user(openssh: OpenSSH) -> None:
    error = refused(AuthenticationFailed, lambda: connect(openssh, username="nobody-of-that-name"))
    assert "nobody-of-that-name" in error.message


def test_private_keys_that_do_not_open(openssh: OpenSSH) -> None:
    foreign = (openssh.directory / "host_rsa").read_text()
    error = refused(AuthenticationFailed, lambda: connect(openssh, secrets={"private_key": foreign}))
    assert "private key" in error.message
    for secrets, words in (
        ({"private_key": openssh.locked_key}, "passphrase"),
        ({"private_key": openssh.locked_key, "passphrase": WRONG}, "passphrase"),
        ({"private_key": "no key at all"}, "cannot be read"),
    ):
        error = refused(AuthenticationFailed, lambda secrets=secrets: connect(openssh, secrets=secrets))
        assert words in error.message
        assert (error.field, error.retryable) == ("private_key", False)


def test_the_host_key_is_fetched_without_a_login(openssh: OpenSSH) -> None:
    assert fetch_host_key("127.0.0.1", openssh.port) == openssh.fingerprint()
    assert fetch_host_key("::1", openssh.port) == openssh.fingerprint()
    log = (openssh.directory / "sshd.log").read_text().splitlines()[-2:]
    assert not any("password" in line or "user" in line.split("]")[-1] for line in log), log


def test_a_host_key_that_nobody_confirmed(openssh: OpenSSH) -> None:
    for absent in ("", None):
        error = refused(HostKeyUnknown, lambda absent=absent: connect(openssh, host_key=absent))
        assert isinstance(error, HostKeyUnknown)
        assert error.host_key == openssh.fingerprint()
        assert openssh.fingerprint() in error.message
        assert not error.retryable


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "nonsense"])
def test_another_host_key_than_the_confirmed_one(openssh: OpenSSH, kind: str) -> None:
    pinned = f"{kind} SHA256:{'A' * 43}"
    error = refused(HostKeyChanged, lambda: connect(openssh, host_key=pinned))
    assert pinned in error.message
    assert "Nothing was sent" in error.message
    assert not error.retryable


def test_a_pinned_key_of_another_type_is_asked_for(openssh: OpenSSH) -> None:
    with connect(openssh, host_key=openssh.fingerprint("rsa")) as store:
        assert store.list("nothing") == []


def test_no_secret_is_sent_before_the_host_key_is_checked(openssh: OpenSSH, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Link, "log_in", lambda *_: pytest.fail("a login was tried"))
    refused(HostKeyUnknown, lambda: connect(openssh, host_key=""))
    refused(HostKeyChanged, lambda: connect(openssh, host_key="ssh-ed25519 SHA256:x"))


def test_a_missing_directory(openssh: OpenSSH) -> None:
    error = refused(PathMissing, lambda: connect(openssh, "/store/not there"))
    assert error.message == "/store/not there does not exist on 127.0.0.1."
    assert error.field == "shared_path"


def test_a_file_in_the_place_of_the_directory(openssh: OpenSSH) -> None:
    assert "not a directory" in refused(BadPath, lambda: connect(openssh, "/file")).message
    refused(PathMissing, lambda: connect(openssh, "/file/below"))


def test_a_directory_without_permission(openssh: OpenSSH) -> None:
    with connect(openssh, "/readable") as store:
        error = refused(PermissionDenied, lambda: store.put(DIRECTORY, NAME, PARTIAL))
    assert f"User {openssh.user} has no permission on /readable" in error.message
    assert (error.field, error.retryable) == ("shared_path", False)


@pytest.mark.parametrize("mebibytes", [SMALL_MEBIBYTES - 1, SMALL_MEBIBYTES + 1, SMALL_MEBIBYTES + 16])
def test_a_full_disk(openssh: OpenSSH, mebibytes: int) -> None:
    if not openssh.has_small_disk:
        pytest.skip("this machine does not let a small disk be mounted")
    empty(openssh, "small")
    block = os.urandom(1 << 20)
    with connect(openssh, "/small") as store:
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
        assert list((openssh.root / "small").iterdir()) == []
        space = store.free_space()
        assert space is not None
        assert space.free == space.total == SMALL_MEBIBYTES << 20


def test_nothing_listens(openssh: OpenSSH) -> None:
    port = free_port()
    error = refused(Unreachable, lambda: connect(openssh, port=port))
    assert error.message == f"Nothing listens on 127.0.0.1 port {port}."
    assert (error.field, error.retryable) == ("port", True)


@pytest.mark.parametrize(
    "greeting", [b"", b"220 ftp\r\n", b"SSH-2.0-x\r\n", b"\xff" * 900 + b"\r\n", b"HTTP/1.1 400 Bad\r\n\r\n"]
)
@pytest.mark.usefixtures("hasty")
def test_a_port_that_is_not_ssh(openssh: OpenSSH, greeting: bytes) -> None:
    listener = Listener(greeting)
    begun = time.monotonic()
    error = refused(Unreachable, lambda: connect(openssh, port=listener.port))
    assert "not as an SSH server" in error.message
    assert error.field == "port"
    assert time.monotonic() - begun < 5
    refused(Unreachable, lambda: fetch_host_key("127.0.0.1", listener.port))
    listener.close()


@pytest.mark.usefixtures("hasty")
def test_an_address_that_does_not_answer(openssh: OpenSSH, monkeypatch: pytest.MonkeyPatch) -> None:
    def blackhole(*_: object, **__: object) -> None:
        raise TimeoutError("timed out")

    monkeypatch.setattr("socket.create_connection", blackhole)
    error = refused(Unreachable, lambda: connect(openssh, server_ip="192.0.2.1"))
    assert error.message.endswith("did not answer within 1 s.")
    assert error.field == "server_ip"


def test_an_account_without_sftp(openssh: OpenSSH) -> None:
    settings = openssh.directory / "sshd_config"
    kept = settings.read_text()
    openssh.stop()
    try:
        openssh.extra = "Match all\nForceCommand /bin/false"
        openssh.start()
        error = refused(StoreFault, lambda: connect(openssh))
    finally:
        openssh.stop()
        openssh.extra = ""
        openssh.start()
    assert settings.read_text() == kept
    assert error.message == f"127.0.0.1 does not offer SFTP to user {openssh.user}."
    assert not error.retryable


def test_a_password_where_only_keys_are_taken(openssh: OpenSSH) -> None:
    openssh.stop()
    try:
        openssh.extra = f"Match User {openssh.user}\nPasswordAuthentication no"
        openssh.start()
        error = refused(AuthenticationFailed, lambda: connect(openssh))
    finally:
        openssh.stop()
        openssh.extra = ""
        openssh.start()
    assert "does not accept a password" in error.message


@pytest.mark.usefixtures("impatient")
def test_a_server_that_freezes_in_a_write(openssh: OpenSSH, frozen: Callable[[], None]) -> None:
    empty(openssh)
    store = connect(openssh)
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
def test_a_server_that_freezes_in_a_read_and_at_the_login(openssh: OpenSSH, frozen: Callable[[], None]) -> None:
    empty(openssh)
    with connect(openssh) as store:
        upload = store.put(DIRECTORY, NAME, PARTIAL)
        upload.write(bytes(20 << 20))
        upload.seal(20 << 20)
        reader = upload.reader()
        reader.read(10)
        frozen()
        begun = time.monotonic()
        refused(Unreachable, reader.read)
        reader.close()
        refused(Unreachable, lambda: connect(openssh))
        assert time.monotonic() - begun < 12


def test_a_connection_that_is_cut_in_a_write(openssh: OpenSSH) -> None:
    empty(openssh)
    store = connect(openssh)
    upload = store.put(DIRECTORY, NAME, PARTIAL)
    upload.write(bytes(5 << 20))
    openssh.cut()

    def flood() -> None:
        for _ in range(64):
            upload.write(bytes(1 << 20))

    error = refused(Unreachable, flood)
    assert "The connection to 127.0.0.1" in error.message
    assert "was lost after" in error.message
    assert error.retryable
    upload.abort()
    assert list((openssh.root / "store").iterdir()) == [], "abort goes over a new connection"
    store.close()


def test_a_server_that_is_killed_in_a_write(openssh: OpenSSH) -> None:
    empty(openssh)
    store = connect(openssh)
    upload = store.put(DIRECTORY, NAME, PARTIAL)
    upload.write(bytes(5 << 20))
    openssh.stop()
    try:
        with pytest.raises(Unreachable):
            for _ in range(64):
                upload.write(bytes(1 << 20))
        upload.abort()
        store.close()
        refused(Unreachable, lambda: connect(openssh))
    finally:
        openssh.start()
    with connect(openssh) as store:
        assert [entry.name for entry in store.list(DIRECTORY)] == [PARTIAL]
        store.delete(DIRECTORY, PARTIAL)
    assert list((openssh.root / "store").iterdir()) == []


def test_a_file_that_is_cut_short_on_the_server(openssh: OpenSSH) -> None:
    empty(openssh)
    with connect(openssh) as store:
        upload = store.put(DIRECTORY, NAME, PARTIAL)
        upload.write(os.urandom(3 << 20))
        upload.seal(3 << 20)
        with upload.reader() as reader:
            os.truncate(openssh.root / "store" / DIRECTORY / PARTIAL, 1_000_000)
            assert len(reader.read()) == 1_000_000
        upload.abort()


def test_closing_twice_and_after_a_fault(openssh: OpenSSH) -> None:
    store = connect(openssh)
    openssh.cut()
    with suppress(Unreachable):
        store.list("x")
    store.close()
    store.close()
    refused(Unreachable, lambda: store.list("x"))
