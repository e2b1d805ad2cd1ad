"""A whole console for tests: real web server, real workers, a database and a disk of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
_ADDRESS = re.compile(r"Backup Console: (http://\S+)")
START_SECONDS = 90.0
STOP_SECONDS = 40.0


class LiveConsole:
    """``manage.py runconsole`` in a directory of its own, on a port that was free.

    ``start`` returns when pages are served; ``stop`` sends SIGTERM and returns the exit status, and kills what does
    not end. Everything it says is in ``log``.
    """

    def __init__(self, directory: Path, settings: Mapping[str, str] | None = None) -> None:
        self.data = directory
        self.log_file = directory / "console.log"
        self.address = ""
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "backupconsole.settings",
            "DATA_DIR": str(directory),
            "TIME_ZONE": "Europe/Berlin",
            "PORT": "0",
            "FREE_SPACE_FLOOR_MB": "0",
            "LOG_LEVEL": "INFO",
            "HOST_NAME": "mgmt-1",
            # Without it setproctitle writes over the environment, by which left_over() knows the processes.
            "SPT_NOENV": "1",
            **(settings or {}),
        }
        self.environment.pop("ADMIN_PASSWORD", None)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """Everything that the console said so far."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def manage(self, *arguments: str) -> str:
        """Run one command of ``manage.py`` on this console's data and return what it printed."""
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(command, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def module(self, name: str, *arguments: str) -> str:
        """Run a Python module on this console's data and return what it printed."""
        command = [sys.executable, "-m", name, *arguments]
        done = subprocess.run(command, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, command: str = "runconsole") -> None:
        """Start the console and wait until it names its address."""
        with open(self.log_file, "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), command],
                env=self.environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not (found := _ADDRESS.search(self.log)):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"The console did not start:\n{self.log[-4000:]}")
            time.sleep(0.1)
        self.address = found.group(1)

    @property
    def pid(self) -> int:
        """The process that was started."""
        assert self._process is not None
        return self._process.pid

    def left_over(self) -> list[psutil.Process]:
        """Return every process of this machine that works on this console's data."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("DATA_DIR") == str(self.data) and process.pid != os.getpid()
        except psutil.Error:
            return False

    def kill(self) -> None:
        """End whatever is left, in its own way or not."""
        self.stop()
        for process in self.left_over():
            process.kill()

    def stop(self) -> int:
        """End the console as its administrator would."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        return self._process.returncode
