"""Real servers for messages on this machine: SMTP by aiosmtpd, and HTTP; each behaves as a test wants it to."""

from __future__ import annotations

import email
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.servers.unixkit import free_port

ACCOUNT, PASSWORD = "svc-console", "m@il p%41ss:word/?#"
HOST = "127.0.0.1"


@dataclass
class Mailbox:
    """An SMTP server: what it took, and the answers that it gives in the place of its usual ones, by command."""

    port: int = 0
    taken: list[EmailMessage] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    logins: list[str] = field(default_factory=list)
    taken_at: Callable[[], None] = lambda: None

    async def handle_MAIL(self, server: Any, session: Session, envelope: Envelope, address: str, _: Any) -> str:
        envelope.mail_from = address
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(self, server: Any, session: Session, envelope: Envelope, address: str, _: Any) -> str:
        envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", "250 OK")

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        answer = self.answers.get("DATA", "250 OK")
        if answer.startswith("250"):
            content = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
            self.taken.append(email.message_from_bytes(content, policy=policy.default))  # type: ignore[arg-type]
            self.taken_at()
        return answer

    def login(self, server: Any, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        """Take ACCOUNT with PASSWORD and nobody else."""
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        known = (data.login.decode(), data.password.decode()) == (ACCOUNT, PASSWORD)
        return AuthResult(success=known, handled=False)

    @property
    def texts(self) -> list[str]:
        """The bodies of what was taken."""
        return [message.get_content() for message in self.taken]


def certificate(directory: Path, name: str = HOST) -> tuple[Path, Path]:
    """Make a certificate for ``name`` that signs itself; return it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    alternative = x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
    built = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = directory / f"{name}.pem", directory / f"{name}.key"
    cert_file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return cert_file, key_file


def tls_context(cert_file: Path, key_file: Path) -> ssl.SSLContext:
    """Return what a server needs to show a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    return context


@contextmanager
def smtp_server(
    tls: ssl.SSLContext | None = None, *, from_the_start: bool = False, login: bool = False
) -> Iterator[Mailbox]:
    """Run a mail server on a free port: plain, with STARTTLS, or TLS from the start; with or without a login."""
    box = Mailbox()
    options: dict[str, Any] = {"enable_SMTPUTF8": True}
    if login:
        options |= {"authenticator": box.login, "auth_required": True, "auth_require_tls": tls is not None}
        options["auth_require_tls"] = tls is not None and not from_the_start
    if tls is not None:
        options |= {"ssl_context": tls} if from_the_start else {"tls_context": tls, "require_starttls": True}
    controller = Controller(box, hostname=HOST, port=free_port(), **options)
    controller.start()
    box.port = int(controller.port)
    try:
        yield box
    finally:
        controller.stop()


@dataclass
class Received:
    """One request that a webhook got."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Hook:
    """A web server: what it got, and how it answers."""

    port: int = 0
    got: list[Received] = field(default_factory=list)
    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    taken_at: Callable[[], None] = lambda: None

    def url(self, path: str = "/hook", scheme: str = "http") -> str:
        """Return an address of the server."""
        return f"{scheme}://{HOST}:{self.port}{path}"


@contextmanager
def web_server(tls: ssl.SSLContext | None = None) -> Iterator[Hook]:
    """Run a web server on a free port."""
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.loads(sent) if sent.startswith(b"{") else {}
            hook.got.append(Received(self.command, self.path, dict(self.headers), body))
            hook.taken_at()
            self.send_response(hook.status)
            for name, value in hook.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(hook.body)))
            self.end_headers()
            self.wfile.write(hook.body)

        do_GET = do_DELETE = do_PUT = do_POST

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    hook.port = int(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def hanging_server() -> Iterator[int]:
    """Take connections and never say a word; yield the port."""
    with socket.create_server((HOST, 0)) as server:
        yield int(server.getsockname()[1])
