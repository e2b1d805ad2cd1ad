"""Messages through apprise to real servers on this machine: what arrives, what is refused, what a courier may do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.models import MailServer
from tasks.notify.causes import explain
from tasks.notify.channels import mail_parcel, url_parcel, webhook_parcel
from tasks.notify.delivery import Delivery, Parcel, Result, receipts_path
from tasks.states import SmtpSecurity
from tests.patience import Stopwatch
from tests.servers.mail import (
    ACCOUNT,
    HOST,
    PASSWORD,
    certificate,
    hanging_server,
    smtp_server,
    tls_context,
    web_server,
)  # fmt: skip

pytestmark = pytest.mark.process
KEY = "11111111-2222-3333-4444-555555555555"
WORDS: dict[str, Any] = {"key": KEY, "subject": "Backup failed: plant", "body": "Ä body\n  indented", "mood": "failure"}

LIMIT = "The message was not taken within 2 s."


@pytest.fixture(scope="module")
def delivery() -> Iterator[Delivery]:
    """A courier that serves all tests here, as one serves all messages of a sender."""
    with Delivery() as delivery:
        yield delivery


def mail(port: int, security: str = SmtpSecurity.INSECURE, account: str = "", password: str = "") -> Parcel:
    server = MailServer(
        smtp_host=HOST, smtp_port=port, smtp_security=security, smtp_account=account, sender="backup@plant.example"
    )
    return mail_parcel(server, "anna@plant.example", password=password, **WORDS)


def hook(url: str, token: str = "", local: bool = True) -> Parcel:
    parcel = webhook_parcel(url, token, **WORDS)
    return Parcel(**{**parcel.__dict__, "local": local})


def cause(result: Result) -> str:
    assert not result.ok
    return explain(result.fault).text


# --- Mail -----------------------------------------------------------------------------------------------------------
def test_a_mail_arrives_as_it_was_written_with_its_stable_id(delivery: Delivery) -> None:
    receipts_path().unlink(missing_ok=True)
    delivery.end()
    with smtp_server() as box:
        assert delivery.send(mail(box.port)).ok
        assert delivery.send(mail(box.port)).ok
    first, second = box.taken
    assert first["Subject"] == "Backup failed: plant"
    assert (first["To"], first["From"]) == ("anna@plant.example", "Backup Console <backup@plant.example>")
    assert first.get_content().splitlines() == ["Ä body", "  indented"]
    assert first.get_all("Message-ID") == second.get_all("Message-ID")
    assert first["Message-ID"].startswith(f"<{KEY}@")
    assert receipts_path().read_text().split() == [KEY, KEY]


@pytest.mark.parametrize("security", [SmtpSecurity.STARTTLS, SmtpSecurity.SSL])
def test_mail_by_tls_with_a_login_and_a_certificate_of_the_authority_of_the_setting(
    tmp_path: Path, settings: Any, security: SmtpSecurity
) -> None:
    files = certificate(tmp_path)
    settings.NOTIFY_CA_FILE = str(files[0])
    from_the_start = security == SmtpSecurity.SSL
    with smtp_server(tls_context(*files), from_the_start=from_the_start, login=True) as box, Delivery() as delivery:
        assert delivery.send(mail(box.port, security, ACCOUNT, PASSWORD)).ok
        refused = delivery.send(mail(box.port, security, ACCOUNT, "wrong-password"))
        beyond = delivery.send(mail(box.port, security, ACCOUNT, "wörd"))
    assert len(box.taken) == 1
    assert "letters that SMTP cannot send" in cause(beyond)
    assert "The account or its password was refused: 127.0.0.1 answered 535" in cause(refused)


@pytest.mark.parametrize("security", [SmtpSecurity.STARTTLS, SmtpSecurity.SSL])
def test_an_unknown_certificate_is_refused_before_anything_is_said(
    delivery: Delivery, tmp_path: Path, security: SmtpSecurity
) -> None:
    context = tls_context(*certificate(tmp_path))
    with smtp_server(context, from_the_start=security == SmtpSecurity.SSL, login=True) as box:
        result = delivery.send(mail(box.port, security, ACCOUNT, PASSWORD))
    assert f"The certificate of 127.0.0.1:{box.port} is not trusted: self-signed certificate" in cause(result)
    assert box.logins == [] and box.taken == []


def test_a_certificate_for_another_name_is_refused(tmp_path: Path, settings: Any) -> None:
    files = certificate(tmp_path, "mail.example")
    settings.NOTIFY_CA_FILE = str(files[0])
    with smtp_server(tls_context(*files), login=True) as box, Delivery() as delivery:
        assert "is not trusted: IP address mismatch" in cause(
            delivery.send(mail(box.port, SmtpSecurity.STARTTLS, ACCOUNT, PASSWORD))
        )
    assert box.logins == []


def test_a_server_without_starttls_gets_nothing(delivery: Delivery) -> None:
    with smtp_server() as box:
        result = delivery.send(mail(box.port, SmtpSecurity.STARTTLS, ACCOUNT, PASSWORD))
    assert "does not offer STARTTLS. Nothing was sent." in cause(result)
    assert box.logins == []


@pytest.mark.parametrize("command,answer,words", [
    ("MAIL", "550 not from here", "The sender was refused: 127.0.0.1 answered 550: not from here."),
    ("RCPT", "550 no such mailbox", "The recipient was refused: 127.0.0.1 answered 550: no such mailbox."),
    ("RCPT", "450 try later", "The recipient was refused: 127.0.0.1 answered 450: try later."),
    ("DATA", "552 too big", "127.0.0.1 answered 552: too big."),
])  # fmt: skip
def test_what_a_mail_server_answers_is_said(delivery: Delivery, command: str, answer: str, words: str) -> None:
    with smtp_server() as box:
        box.answers[command] = answer
        assert cause(delivery.send(mail(box.port))) == words


def test_a_server_that_hangs_is_given_up_at_the_limit_and_the_next_message_goes_out(settings: Any) -> None:
    settings.NOTIFY_SECONDS = 2
    with hanging_server() as port, smtp_server() as box, Delivery() as delivery:
        delivery.look(url_parcel("json://hook.example"))
        began = Stopwatch()
        assert cause(delivery.send(mail(port))) in (f"{HOST}:{port} did not answer in time.", LIMIT)
        assert began.seconds < 8
        settings.NOTIFY_SECONDS = 20
        assert delivery.send(mail(box.port)).ok


def test_a_server_that_drips_is_ended_with_its_courier(settings: Any) -> None:
    import socket
    import threading

    settings.NOTIFY_SECONDS = 2
    with socket.create_server((HOST, 0)) as server, Delivery() as delivery:
        delivery.look(url_parcel("json://hook.example"))

        def drip() -> None:
            opened, _ = server.accept()
            with opened:
                for _ in range(200):
                    try:
                        opened.sendall(b"220-still here\r\n")
                    except OSError:
                        return
                    time.sleep(0.1)

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        assert cause(delivery.send(mail(server.getsockname()[1]))) == LIMIT
        thread.join(10)
        assert not thread.is_alive(), "the connection ends with the courier"


# --- Webhooks -------------------------------------------------------------------------------------------------------
def test_a_webhook_gets_json_with_its_token_and_key(delivery: Delivery) -> None:
    with web_server() as server:
        assert delivery.send(hook(server.url("/a%20b?sig=x%2Fy"), "T0ken-123")).ok
    (got,) = server.got
    assert (got.method, got.path) == ("POST", "/a%20b?sig=x%2Fy")
    assert (got.headers["Authorization"], got.headers["Idempotency-Key"]) == ("Bearer T0ken-123", KEY)
    assert (got.body["title"], got.body["message"], got.body["type"]) == (WORDS["subject"], WORDS["body"], "failure")


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503])
def test_what_a_webhook_answers_is_said_without_its_token(delivery: Delivery, status: int) -> None:
    with web_server() as server:
        server.status, server.body = status, b"bad token T0ken-123"
        result = delivery.send(hook(server.url(), "T0ken-123"))
    assert cause(result) == f"127.0.0.1 answered {status}: bad token ******."


def test_a_redirect_is_not_followed(delivery: Delivery) -> None:
    with web_server() as target, web_server() as server:
        server.status, server.headers = 307, {"Location": target.url()}
        assert "It leads to another address, which is not followed." in cause(delivery.send(hook(server.url())))
    assert target.got == []


def test_tls_of_webhooks_is_checked(delivery: Delivery, tmp_path: Path) -> None:
    with web_server(tls_context(*certificate(tmp_path))) as server:
        assert "is not trusted" in cause(delivery.send(hook(server.url(scheme="https"))))
        unchecked = Parcel(url=f"jsons://{HOST}:{server.port}/?verify=no", schemes=("jsons",), local=True, **WORDS)
        assert "is not trusted" in cause(delivery.send(unchecked))
    assert server.got == []


def test_nothing_is_sent_to_this_machine_or_to_link_local_addresses(delivery: Delivery) -> None:
    with web_server() as server:
        for url in (server.url(), f"http://localhost:{server.port}/", f"http://2130706433:{server.port}/"):
            assert "an address of the console's own machine. Nothing is sent there." in cause(
                delivery.send(hook(url, local=False))
            )
    assert "a link-local address" in cause(delivery.send(hook("http://169.254.169.254/latest")))
    assert server.got == []


def test_no_other_method_than_post_is_used(delivery: Delivery) -> None:
    with web_server() as server:
        url = f"json://{HOST}:{server.port}/x?method=DELETE"
        assert delivery.send(Parcel(url=url, schemes=("json",), local=True, **WORDS)).ok
    assert [got.method for got in server.got] == ["POST"]


# --- Services by URL, and the sandbox -------------------------------------------------------------------------------
@pytest.mark.parametrize("url,words", [
    ("syslog://", "not sent to syslog:// addresses"), ("nonsense", "not understood"), ("slack://x", "not understood"),
    ("workflows://h/w/s?template=/etc/passwd", "template= names a file"),
    ("mailtos://a:b@plant.example?pgpprv=/etc/shadow", "pgpprv= names a file"),
])  # fmt: skip
def test_services_that_are_not_allowed_or_not_understood(delivery: Delivery, url: str, words: str) -> None:
    assert words in cause(delivery.look(url_parcel(url)))
    assert words in cause(delivery.send(Parcel(**{**url_parcel(url).__dict__, **WORDS})))


def test_every_allowed_scheme_is_one_that_apprise_knows(settings: Any) -> None:
    from apprise.manager_plugins import NotificationManager

    assert set(settings.NOTIFY_SCHEMES) <= set(NotificationManager().schemas())


def test_the_courier_reads_writes_and_starts_nothing(tmp_path: Path, settings: Any) -> None:
    import subprocess
    import sys

    script = """
import os, subprocess, sys, socket
from tasks.notify.sandbox import Sandbox
sandbox = Sandbox(); sandbox.enter()
def refused(call):
    try: call()
    except PermissionError: return True
    return False
print([refused(call) for call in (
    lambda: open('/etc/passwd'), lambda: open(os.path.expanduser('~/.netrc'), 'w'), lambda: open(sys.argv[1]),
    lambda: os.open(sys.argv[1] + '.new', os.O_CREAT | os.O_WRONLY), lambda: os.remove(sys.argv[1]),
    lambda: subprocess.run(['true']), lambda: os.system('true'),
    lambda: socket.socket(socket.AF_UNIX).connect('/run/x'), lambda: socket.create_connection(('127.0.0.1', 1)),
)])
import wsgiref.util, zoneinfo; zoneinfo.ZoneInfo('Europe/Berlin')
print('imports work')
"""
    secret = tmp_path / "secrets-key"
    secret.write_text("key")
    done = subprocess.run(
        [sys.executable, "-c", script, str(secret)], cwd=settings.BASE_DIR, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [str([True] * 9), "imports work"], done.stderr


def test_the_courier_has_none_of_the_secrets_of_the_console(delivery: Delivery, monkeypatch: Any) -> None:
    from tasks.notify import delivery as module

    monkeypatch.setenv("SECRET_KEY", "planted-secret")
    monkeypatch.setenv("DATABASE_URL", "postgres://planted")
    assert not {"SECRET_KEY", "DATABASE_URL", "HOME"} & set(module._environment())
