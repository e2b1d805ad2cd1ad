"""What an administrator reads when SFTP does not work, on a real OpenSSH server and on ports that are none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from storage.errors import (
    AuthenticationFailed,
    BadPath,
    HostKeyChanged,
    HostKeyUnknown,
    PathMissing,
    PermissionDenied,
    StoreFault,
    Unreachable,
)
from storage.sftp.link import Link, fetch_host_key
from tests.patience import Stopwatch
from tests.servers.openssh import OpenSSH, openssh
from tests.servers.unixkit import Listener
from tests.storage.contract import DIRECTORY, NAME, PARTIAL
from tests.storage.faults import WRONG, Far, RemoteFaults, frozen, no_thread_is_left, refused
from tests.storage.test_sftp import connect, empty

__all__ = ["frozen", "no_thread_is_left", "openssh"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("openssh")]


@pytest.fixture
def far(openssh: OpenSSH) -> Far:
    return Far(openssh, connect, openssh.root / "store", openssh.root / "small", "/small")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what is never answered: no server has to be quick for it."""
    monkeypatch.setattr(Link, "CONNECT", 1.0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a server that answers at first, on a machine that may be busy."""
    monkeypatch.setattr(Link, "CONNECT", 4.0)
    monkeypatch.setattr(Link, "SILENCE", 1.5)


class TestSFTPFaults(RemoteFaults):
    """The faults that all have in common."""


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


@pytest.mark.parametrize(
    "greeting", [b"", b"220 ftp\r\n", b"SSH-2.0-x\r\n", b"\xff" * 900 + b"\r\n", b"HTTP/1.1 400 Bad\r\n\r\n"]
)
@pytest.mark.usefixtures("hasty")
def test_a_port_that_is_not_ssh(openssh: OpenSSH, greeting: bytes) -> None:
    listener = Listener(greeting)
    begun = Stopwatch()
    error = refused(Unreachable, lambda: connect(openssh, port=listener.port))
    assert "not as an SSH server" in error.message
    assert error.field == "port"
    assert begun.seconds < 5
    refused(Unreachable, lambda: fetch_host_key("127.0.0.1", listener.port))
    listener.close()


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
def test_a_server_that_freezes_in_a_read_and_at_the_login(openssh: OpenSSH, frozen: Callable[[], None]) -> None:
    empty(openssh)
    with connect(openssh) as store:
        upload = store.put(DIRECTORY, NAME, PARTIAL)
        upload.write(bytes(20 << 20))
        upload.seal(20 << 20)
        reader = upload.reader()
        reader.read(10)
        frozen()
        begun = Stopwatch()
        refused(Unreachable, reader.read)
        reader.close()
        refused(Unreachable, lambda: connect(openssh))
        assert begun.seconds < 12
