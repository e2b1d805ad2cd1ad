"""The whole console from one command: web server and workers as children, started, watched and ended together."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import IO, Self

from django.conf import settings
from django.core.management import call_command

from backupconsole.children import Child
from backupconsole.env import env_int, env_str

log = logging.getLogger(__name__)
GRACE_SECONDS = 20.0
READY_SECONDS = 60.0


class CannotStart(Exception):
    """The console cannot run; the text says what is in the way and what to do."""


class Ended(BaseException):
    """Somebody asked the console to end: Ctrl-C, SIGTERM, or the terminal was closed."""


@contextmanager
def ends_on_signal() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into ``Ended`` inside, once; later ones do not disturb the ending."""

    def end(number: int, frame: FrameType | None) -> None:
        for each in watched:
            signal.signal(each, signal.SIG_IGN)
        raise Ended

    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, end) for number in watched}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def take_lock() -> IO[str]:
    """Return the file that says that a console works on ``DATA_DIR``; it is given back when the file is closed.

    Raises ``CannotStart`` while another process holds it, however that one was started; one that died holds nothing.
    """
    path = settings.DATA_DIR / "console.lock"
    file = open(path, "a+", encoding="ascii")  # noqa: SIM115 - held open for as long as the console runs
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        owner = file.read().strip()
        file.close()
        raise CannotStart(
            f"A console runs on {settings.DATA_DIR} already, as process {owner or 'unknown'}. "
            "End that one first, or choose another directory with DATA_DIR."
        ) from error
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def prepare_database() -> None:
    """Bring the database to the present tables."""
    call_command("migrate", verbosity=0, interactive=False)


def prepare() -> None:
    """Bring the database to the present tables, and collect what the pages are made of."""
    prepare_database()
    call_command("collectstatic", verbosity=0, interactive=False)


def listen() -> socket.socket:
    """Return the socket for the web server: ``LISTEN`` (127.0.0.1) and ``PORT`` (8000; 0 takes a free one).

    It is opened here, once, so that a port that is taken is known before anything is started, and a web server that
    is started again finds its port. Raises ``CannotStart``.
    """
    host, port = env_str("LISTEN", "127.0.0.1"), env_int("PORT", 8000)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it. Without it the end of a page waits 40 ms for the browser to acknowledge its beginning.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise CannotStart(
            f"Port {port} of {host} cannot be used: {getattr(error, 'strerror', None) or error}. "
            f"Choose a different one, for example PORT={port + 1 if 0 < port < 65535 else 8001}."
        ) from error
    listener.listen(128)
    return listener


def web_command(listener: socket.socket) -> list[str]:
    """Return the command of the web server, which inherits ``listener``."""
    requests = ["--access-logfile", "-"] if settings.ACCESS_LOG else []
    return [
        sys.executable, "-m", "gunicorn", "backupconsole.wsgi:application",
        "--bind", f"fd://{listener.fileno()}",
        "--chdir", str(settings.BASE_DIR),
        "--workers", str(env_int("WEB_WORKERS", 2, least=1)),
        "--threads", "4",
        "--graceful-timeout", "5",
        "--log-level", "warning",
        "--logger-class", "backupconsole.gunicornlog.GunicornLogger",
        "--no-control-socket",
        *requests,
    ]  # fmt: skip


class Console:
    """Web server and workers. A context: inside they run, and after it every process that was started is gone."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        host, port = listener.getsockname()[:2]
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
        self.address = f"http://{shown}:{port}/"
        environment = dict(os.environ)
        # The first password is for whoever started the console, not for its children.
        environment.pop("ADMIN_PASSWORD", None)
        self.web = Child("web server", web_command(listener), environment, [listener.fileno()])
        manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
        self.workers = Child("workers", [*manage, "runworkers"], environment)

    def __enter__(self) -> Self:
        try:
            for child in (self.web, self.workers):
                child.start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *details: object) -> None:
        self._stop()

    def _stop(self) -> None:
        children = (self.workers, self.web)
        for child in children:
            child.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        for child in children:
            child.stop(deadline)
        self._listener.close()

    def wait_ready(self) -> None:
        """Return once a page is served; raise ``CannotStart`` where that does not come about."""
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            for child in (self.web, self.workers):
                status = child.ended()
                if status is not None:
                    raise CannotStart(f"The {child.name} did not start ({_how(status)}). The reason stands above.")
            if time.monotonic() > deadline:
                raise CannotStart(f"The web server gave no page within {READY_SECONDS:.0f} s. Look at the lines above.")
            time.sleep(0.1)

    def _answers(self) -> bool:
        host = settings.ALLOWED_HOSTS[0].lstrip(".").replace("*", "localhost")
        request = urllib.request.Request(self.address + "login/", headers={"Host": host})
        if settings.HTTPS:
            request.add_header("X-Forwarded-Proto", "https")
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            raise CannotStart(f"The login page answers {error.code}. The reason stands above.") from error
        except OSError:
            return False

    def watch(self) -> None:
        """Start again whichever child ended; raise ``CannotStart`` when it ends over and over."""
        for child in (self.web, self.workers):
            status = child.ended()
            if status is None:
                continue
            if not child.may_restart():
                raise CannotStart(f"The {child.name} ended again and again ({_how(status)}). The console ends.")
            log.warning("The %s ended (%s) and is started again.", child.name, _how(status))
            child.start()

    def run_forever(self) -> None:
        """Watch the children until a signal raises ``Ended``."""
        while True:
            self.watch()
            time.sleep(0.5)


def _how(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
