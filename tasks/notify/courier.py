"""Sending one message after the other through apprise, in a process of its own: ``python -m tasks.notify.courier``.

In the console's own process a server that hangs would hold a worker, apprise would cost every worker its memory, and
what somebody wrote as an address would be read by code that has the console's keys. So this process needs neither
Django nor settings, is given one message at a time, holds to ``sandbox``, and ends itself when a message takes too
long. It opens no configuration, fetches no attachment, follows no redirect, checks every certificate and logs nothing.

A request is a line of JSON on the standard input, its answer one on the standard output:

    {"key": "...", "service": {...} or "url": "...", "schemes": [...], "local": false, "seconds": 20,
     "subject": "...", "body": "...", "mood": "failure", "message_id": "<...>", "secrets": [...], "only_look": false}
    {"ok": true, "name": "Slack", "schema": "slack"}   {"ok": false, "fault": {...}}

The key of a message that was taken by its server is written to descriptor 3 before the answer is: whoever starts the
courier reads there what was sent, even when nobody lived to hear the answer.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import socket
import sys
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from tasks.notify.sandbox import Sandbox
from tasks.notify.witness import Fault, Witness

RECEIPTS = 3
_MEMORY = 1 << 30
# Parts of a service's address that name a file of this machine, or undo what is promised above.
_FILES = ("template", "pgppub", "pgpprv", "keyfile", "subfile", "privatekey", "pem")


class Courier:
    """Answers requests; ``sandbox`` and ``witness`` are in force already."""

    def __init__(self, sandbox: Sandbox, witness: Witness, receipts: int | None) -> None:
        import apprise
        from apprise.plugins.email import base as mail

        self._apprise, self._mail = apprise, mail
        self._sandbox, self._witness, self._receipts = sandbox, witness, receipts
        self._asset = apprise.AppriseAsset(
            app_id="Backup Console", app_desc="Backup Console", app_url="", secure_logging=True, allow_templates=False
        )
        self._asset.http_redirects = False

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send one message, or only look whether its address can be used."""
        self._sandbox.local, self._sandbox.refused, self._witness.last = bool(request["local"]), None, None
        signal.setitimer(signal.ITIMER_REAL, float(request["seconds"]))
        try:
            service = self._service(request)
            if isinstance(service, Fault):
                return self._failed(service, request)
            if request.get("only_look") or self._sent(service, request):
                return {"ok": True, "name": str(service.service_name), "schema": service.schema}
            return self._failed(self._fault(), request)
        except Exception as error:
            # Its text may hold what was to be kept secret.
            return self._failed(self._fault(type(error).__name__), request)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _service(self, request: dict[str, Any]) -> Any:
        given = request.get("service") or request["url"]
        if isinstance(given, str):
            names = {pair.partition("=")[0].lower().lstrip("-+:") for pair in urlsplit(given).query.split("&")}
            for name in names.intersection(_FILES):
                return Fault("url", "file", said=name)
        service = self._apprise.Apprise.instantiate(given, asset=self._asset, suppress_exceptions=True)
        if service is None:
            return Fault("url", "unknown")
        if service.schema not in request["schemes"]:
            return Fault("url", "scheme", said=str(service.schema))
        service.verify_certificate, service.redirects = True, False
        service.socket_connect_timeout = service.socket_read_timeout = max(1.0, float(request["seconds"]) / 2)
        if hasattr(service, "method"):
            service.method = "POST"
        return service

    def _sent(self, service: Any, request: dict[str, Any]) -> bool:
        # The id that a mail has at every attempt: who gets it twice can tell.
        self._mail.make_msgid = lambda *_, **__: request["message_id"]
        sent = service.notify(
            body=request["body"], title=request["subject"], notify_type=request["mood"], body_format="text"
        )
        if sent and self._receipts is not None:
            os.write(self._receipts, f"{request['key']}\n".encode())
        return bool(sent)

    def _fault(self, name: str = "") -> Fault:
        if self._sandbox.refused is not None:
            host, reason = self._sandbox.refused
            return Fault("policy", "address", host=host, said=reason)
        return self._witness.last or Fault("service", said=name)

    @staticmethod
    def _failed(fault: Fault, request: dict[str, Any]) -> dict[str, Any]:
        # Of an address only the name of a scheme or of an argument is told, which is none of its secrets.
        return {"ok": False, "fault": fault.told([] if fault.stage == "url" else request["secrets"])}


def serve(lines: BinaryIO, sink: BinaryIO, receipts: int | None) -> None:
    """Answer until there are no more requests."""
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    files = tuple(filter(None, (os.environ.get("SSL_CERT_FILE"), os.environ.get("REQUESTS_CA_BUNDLE"))))
    sandbox, witness = Sandbox(files), Witness()
    sandbox.proxy = _addresses(os.environ.get("COURIER_PROXY", ""))
    courier = Courier(sandbox, witness, receipts)
    witness.watch()
    sandbox.enter()
    for line in lines:
        sink.write(json.dumps(courier.answer(json.loads(line))).encode("ascii") + b"\n")
        sink.flush()


def _addresses(proxy: str) -> tuple[str, ...]:
    """Return the addresses of the proxy that the console's settings name: it is reached wherever it is."""
    host = urlsplit(proxy).hostname
    try:
        return tuple({str(found[4][0]) for found in socket.getaddrinfo(host, None)}) if host else ()
    except OSError:
        return ()


def _private_output() -> BinaryIO:
    """Return the standard output, and keep packages from writing to it."""
    sink = os.fdopen(os.dup(1), "wb")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    return sink


if __name__ == "__main__":
    try:
        os.fstat(RECEIPTS)
        kept: int | None = RECEIPTS
    except OSError:
        kept = None
    serve(sys.stdin.buffer, _private_output(), kept)
