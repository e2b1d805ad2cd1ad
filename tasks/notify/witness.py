"""Seeing why a delivery failed: apprise says only that it did, and the reason to its log, with what it was given.

What passes between apprise and the libraries below it (``requests`` and ``smtplib``) is noted here, in the courier's
process only. What servers say is cut short and holds nothing that was to be kept secret.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter

_SAID = 200


@dataclass
class Fault:
    """The last thing that went wrong: at which stage, how, with which status, and what the server said to it.

    ``stage``: connect, tls, login, sender, recipient, data, http, policy, url, service. ``how``: refused, timeout,
    unresolved, unreachable, broken, certificate, unsupported, letters, redirect, status, file.
    """

    stage: str
    how: str = ""
    host: str = ""
    port: int = 0
    status: int = 0
    said: str = ""

    def told(self, secrets: list[str]) -> dict[str, Any]:
        """Return it as plain values, without anything of ``secrets``."""
        said = self.said
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            said = said.replace(secret, "******")
        clean = "".join(character if character.isprintable() else " " for character in said)
        return {**asdict(self), "said": " ".join(clean.split())[:_SAID]}


class Witness:
    """Notes the faults of one delivery after the other; ``last`` is that of the present one."""

    def __init__(self) -> None:
        self.last: Fault | None = None
        self._place = ("", 0)

    def watch(self) -> None:
        """Look on from now on, until the process ends."""
        smtplib.SMTP.connect = self._seen(smtplib.SMTP.connect, self._connecting)  # type: ignore[method-assign]
        smtplib.SMTP.starttls = self._seen(smtplib.SMTP.starttls, self._securing)  # type: ignore[method-assign]
        smtplib.SMTP.login = self._seen(smtplib.SMTP.login, self._logging_in)  # type: ignore[method-assign]
        smtplib.SMTP.sendmail = self._seen(smtplib.SMTP.sendmail, self._sending)  # type: ignore[method-assign]
        HTTPAdapter.send = self._request(HTTPAdapter.send)  # type: ignore[method-assign]

    def _seen(self, call: Callable[..., Any], note: Callable[[BaseException], Fault]) -> Any:
        def seen(connection: Any, *args: Any, **kwargs: Any) -> Any:
            if note == self._connecting and len(args) > 1:
                self._place = (str(args[0]), int(args[1]))
            try:
                return call(connection, *args, **kwargs)
            except Exception as error:
                self.last = note(error)
                self.last.host, self.last.port = self._place
                raise

        return seen

    def _connecting(self, error: BaseException) -> Fault:
        if isinstance(error, smtplib.SMTPResponseException):
            return Fault("connect", "status", status=error.smtp_code, said=_text(error.smtp_error))
        return _network(error)

    def _securing(self, error: BaseException) -> Fault:
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return Fault("tls", "unsupported")
        if isinstance(error, smtplib.SMTPResponseException):
            return Fault("tls", "status", status=error.smtp_code, said=_text(error.smtp_error))
        return _network(error)

    def _logging_in(self, error: BaseException) -> Fault:
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return Fault("login", "unsupported")
        if isinstance(error, UnicodeError):
            return Fault("login", "letters")
        if isinstance(error, smtplib.SMTPResponseException):
            return Fault("login", "status", status=error.smtp_code, said=_text(error.smtp_error))
        return _network(error)

    def _sending(self, error: BaseException) -> Fault:
        if isinstance(error, smtplib.SMTPSenderRefused):
            return Fault("sender", "status", status=error.smtp_code, said=_text(error.smtp_error))
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            status, said = next(iter(error.recipients.values()))
            return Fault("recipient", "status", status=status, said=_text(said))
        if isinstance(error, smtplib.SMTPResponseException):
            return Fault("data", "status", status=error.smtp_code, said=_text(error.smtp_error))
        return _network(error)

    def _request(self, call: Callable[..., Any]) -> Any:
        def seen(adapter: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            parts = requests.compat.urlparse(request.url)
            host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
            try:
                answer = call(adapter, request, *args, **kwargs)
            except Exception as error:
                self.last = _network(error)
                self.last.host, self.last.port = host, port
                raise
            how = "redirect" if 300 <= answer.status_code < 400 else "status"
            if not 200 <= answer.status_code < 300:
                self.last = Fault("http", how, host, port, answer.status_code, answer.text[:2000])
            else:
                # Some services say what they did not like with the status of success.
                self.last = Fault("service", "status", host, port, answer.status_code, answer.text[:2000])
            return answer

        return seen


def _network(error: BaseException) -> Fault:
    """Return what a failure of the network was, looked for down the chain of causes that libraries wrap it in."""
    chain = list(_chain(error))
    for one in chain:
        if isinstance(one, ssl.SSLCertVerificationError):
            return Fault("tls", "certificate", said=one.verify_message)
    for one in chain:
        if isinstance(one, ssl.SSLError) and not isinstance(one, (ssl.SSLZeroReturnError, ssl.SSLEOFError)):
            return Fault("tls", "broken")
        if isinstance(one, socket.gaierror):
            return Fault("connect", "unresolved")
        if isinstance(one, ConnectionRefusedError):
            return Fault("connect", "refused")
    if any(isinstance(one, (TimeoutError, requests.Timeout)) for one in chain):
        return Fault("connect", "timeout")
    if any(isinstance(one, (ConnectionResetError, smtplib.SMTPServerDisconnected, BrokenPipeError)) for one in chain):
        return Fault("connect", "broken")
    return Fault("connect", "unreachable")


def _chain(error: BaseException | None) -> Any:
    """Yield an error, what caused it, and what is wrapped in it, each once."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None)]
        waiting += [argument for argument in one.args if isinstance(argument, BaseException)]
        waiting = [other for other in waiting if isinstance(other, BaseException)]


def _text(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
