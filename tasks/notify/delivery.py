"""The console's side of the courier: starting it, handing it a message, and ending it when it takes too long."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from tasks.notify.courier import RECEIPTS

_START_SECONDS = 20.0
_PATIENCE = 3.0
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "RES_OPTIONS")


@dataclass(frozen=True)
class Parcel:
    """Where a message goes to and what it says. ``service`` or ``url`` is what apprise is given, with its secrets."""

    service: dict[str, Any] = field(default_factory=dict, repr=False)
    url: str = field(default="", repr=False)
    schemes: tuple[str, ...] = ()
    local: bool = False
    key: str = ""
    subject: str = ""
    body: str = field(default="", repr=False)
    mood: str = "info"
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Result:
    """What came of it: taken by the server, or the fault (``witness.Fault``) as plain values."""

    ok: bool
    fault: dict[str, Any] = field(default_factory=dict)
    name: str = ""


def receipts_path() -> Path:
    """Return the file that holds the keys of messages that were taken by their servers and are not yet recorded so."""
    directory: Path = settings.DATA_DIR / "notify"
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory / "receipts"


class Delivery:
    """A courier that is started when it is first needed, and anew after one that had to be ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Delivery:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def send(self, parcel: Parcel) -> Result:
        """Send one message within ``NOTIFY_SECONDS``, whatever its server does."""
        return self._ask(parcel, only_look=False)

    def look(self, parcel: Parcel) -> Result:
        """Tell whether apprise understands the address of ``parcel``; nothing is sent, no connection is made."""
        return self._ask(parcel, only_look=True)

    def end(self) -> None:
        """End the courier, which has nothing under way any more or is to be broken off."""
        if self._process is None:
            return
        process, self._process = self._process, None
        with suppress(OSError):
            process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        process.wait()

    def _ask(self, parcel: Parcel, *, only_look: bool) -> Result:
        request = {
            "key": parcel.key,
            "url": parcel.url,
            "service": parcel.service,
            "schemes": list(parcel.schemes),
            "local": parcel.local,
            "seconds": settings.NOTIFY_SECONDS,
            "subject": parcel.subject,
            "body": parcel.body,
            "mood": parcel.mood,
            "message_id": f"<{parcel.key}@{_domain()}>",
            "secrets": list(parcel.secrets),
            "only_look": only_look,
        }
        fresh = self._process is None
        process = self._process or self._start()
        answer = _exchange(process, request, settings.NOTIFY_SECONDS + (_START_SECONDS if fresh else 0.0))
        if answer is None:
            how = "ended" if _ended_otherwise(process) else "limit"
            self.end()
            return Result(False, {"stage": "connect", "how": how})
        return Result(answer["ok"], answer.get("fault", {}), answer.get("name", ""))

    def _start(self) -> subprocess.Popen[bytes]:
        receipts = os.open(receipts_path(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            self._process = subprocess.Popen(
                _command(receipts),
                cwd=settings.BASE_DIR,
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(receipts,),
                # A signal to the worker's group must not end it between the server's answer and the receipt.
                start_new_session=True,
            )
        finally:
            os.close(receipts)
        return self._process


def _command(receipts: int) -> list[str]:
    """Return how the courier is started; the descriptor of the receipts gets the number that it expects."""
    start = (
        f"import os, runpy; os.dup2({receipts}, {RECEIPTS}); "
        "runpy.run_module('tasks.notify.courier', run_name='__main__')"
    )
    return [sys.executable, "-c", start]


def _environment() -> dict[str, str]:
    """Return the few variables that the courier gets: none of the console's secrets, certificates and proxy if set."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    kept["NETRC"] = os.devnull
    if settings.NOTIFY_CA_FILE:
        kept |= dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(settings.NOTIFY_CA_FILE))
    if settings.NOTIFY_PROXY:
        kept |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "COURIER_PROXY"), settings.NOTIFY_PROXY)
    return kept


def _exchange(process: subprocess.Popen[bytes], request: dict[str, Any], seconds: float) -> dict[str, Any] | None:
    """Hand one request over and return its answer; None where none came in time or the courier ended."""
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(request).encode("ascii") + b"\n")
        process.stdin.flush()
    except OSError:
        return None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(seconds + _PATIENCE):
            return None
    line = process.stdout.readline()
    return dict(json.loads(line)) if line else None


def _ended_otherwise(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether the courier ended for another reason than its own time limit."""
    with suppress(subprocess.TimeoutExpired):
        return process.wait(0.5) != -signal.SIGALRM
    return False


def _domain() -> str:
    """Return what stands behind the @ of a message's id: the console's host."""
    allowed = "".join(character for character in settings.HOST_NAME if character.isalnum() or character in ".-")
    return allowed or "backup-console"
