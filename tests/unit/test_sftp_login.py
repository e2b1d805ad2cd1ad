"""Logins that OpenSSH without PAM does not offer: a server of the SSH library stands in for NAS boxes that do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import paramiko
import pytest

from storage.errors import AuthenticationFailed, StoreFault, Unreachable
from storage.sftp.link import Link, describe_key
from storage.sftp.words import Place

PASSWORD = "S3cret of a dialog"


class Doorman(paramiko.ServerInterface):
    """Asks for the password in a dialog of ``prompts``; ``more`` is what it wants afterwards."""

    def __init__(self, kinds: str, prompts: list[tuple[str, bool]], more: str) -> None:
        self.kinds = kinds
        self.prompts = prompts
        self.more = more
        self.answered: list[list[str]] = []

    def get_allowed_auths(self, username: str) -> str:
        return self.more or self.kinds

    def check_auth_password(self, username: str, password: str) -> int:
        if "password" not in self.kinds or password != PASSWORD:
            return paramiko.AUTH_FAILED
        return paramiko.AUTH_PARTIALLY_SUCCESSFUL if self.more else paramiko.AUTH_SUCCESSFUL

    def check_auth_interactive(self, username: str, submethods: str) -> paramiko.InteractiveQuery:
        query = paramiko.InteractiveQuery("Login", "")
        for prompt, echoed in self.prompts:
            query.add_prompt(prompt, echoed)
        return query

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        self.answered.append(responses)
        return paramiko.AUTH_SUCCESSFUL if responses == [PASSWORD] else paramiko.AUTH_FAILED


class Silent(Doorman):
    """Lets everybody in and then does not say whether there is SFTP."""

    def __init__(self, wait: threading.Event) -> None:
        super().__init__("password", [], "")
        self.wait = wait

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        self.wait.wait(10)
        return False


class Server:
    """One door, with a doorman who may hang up or fall silent."""

    def __init__(self) -> None:
        self.key = paramiko.ECDSAKey.generate()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.doorman = Doorman("password", [], "")
        self.transports: list[paramiko.Transport] = []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                transport = paramiko.Transport(connection)
                transport.add_server_key(self.key)
                self.transports.append(transport)
                with suppress(paramiko.SSHException, EOFError):
                    transport.start_server(server=self.doorman)

    def close(self) -> None:
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for transport in self.transports:
            transport.close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def log_in(server: Server, password: str = PASSWORD) -> Link:
    link = Link(Place("127.0.0.1", server.port, "svc", "/x"))
    link.check_key(describe_key(server.key))
    try:
        link.log_in({"password": password})
    except Exception:
        link.end()
        raise
    return link


def test_a_password_in_a_dialog(server: Server) -> None:
    server.doorman = Doorman("keyboard-interactive", [("Password: ", False)], "")
    log_in(server).end()
    assert server.doorman.answered == [[PASSWORD]]


def test_a_wrong_password_in_a_dialog_is_said_to_be_wrong(server: Server) -> None:
    server.doorman = Doorman("keyboard-interactive", [("Password: ", False)], "")
    with pytest.raises(AuthenticationFailed, match="refused the user name or password of svc"):
        log_in(server, "wrong")


def test_the_password_is_not_given_where_the_answer_would_be_shown(server: Server) -> None:
    server.doorman = Doorman("keyboard-interactive", [("Your town: ", True)], "")
    with pytest.raises(AuthenticationFailed):
        log_in(server)
    assert server.doorman.answered == [[""]]


def test_a_second_proof_is_told(server: Server) -> None:
    server.doorman = Doorman("password", [], "publickey")
    with pytest.raises(AuthenticationFailed, match="asks user svc for a second proof") as caught:
        log_in(server)
    assert caught.value.field == "username"


def test_a_server_that_hangs_up_during_the_login_is_not_a_wrong_password(server: Server) -> None:
    server.doorman.check_auth_password = lambda *_: server.close()  # type: ignore[assignment,method-assign,return-value]
    with pytest.raises(Unreachable, match="did not finish the login of svc"):
        log_in(server)


def test_a_server_that_falls_silent_during_the_login(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Link, "CONNECT", 1.0)
    wait = threading.Event()
    server.doorman.check_auth_password = lambda *_: wait.wait(10) or 0  # type: ignore[assignment,method-assign]
    with pytest.raises(Unreachable, match="did not finish the login of svc within 1 s"):
        log_in(server)
    wait.set()


def test_no_common_encryption(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.sftp.link.CIPHERS", ("3des-cbc",))
    monkeypatch.setattr(paramiko.Transport, "_preferred_ciphers", ("aes128-ctr",))
    with pytest.raises(StoreFault, match="no encryption method in common") as caught:
        log_in(server)
    assert not caught.value.retryable


def test_a_server_that_falls_silent_after_the_login(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    wait = threading.Event()
    server.doorman = Silent(wait)
    link = log_in(server)
    monkeypatch.setattr(Link, "CONNECT", 1.0)
    with pytest.raises(Unreachable, match="did not finish the login of svc within 1 s"):
        link.open_sftp()
    wait.set()


def test_a_server_without_sftp(server: Server) -> None:
    wait = threading.Event()
    wait.set()
    for doorman in (Doorman("password", [], ""), Silent(wait)):
        server.doorman = doorman
        with pytest.raises(StoreFault, match="does not offer SFTP to user svc"):
            log_in(server).open_sftp()
