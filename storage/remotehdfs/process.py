"""The console's end of ``child.py``: every call has a hard limit, at which the process is ended."""

from __future__ import annotations

import builtins
import json
import os
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from storage.base import Buffer

SCRIPT = Path(__file__).with_name("child.py")
# All that the child needs of the environment: it gets no secret of the console, and no configuration of a Hadoop that
# happens to be installed here.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")
_ENDING_SECONDS = 2.0
_PART = 1 << 16


class Child:
    """A process that uses HDFS as ``user``. Calls of several threads wait for each other."""

    def __init__(self, user: str) -> None:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment | {"HADOOP_USER_NAME": user},
            bufsize=0,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)
        self._read = b""
        self._turn = threading.Lock()

    @property
    def alive(self) -> bool:
        """Whether calls can be made."""
        return self._process.poll() is None

    def call(self, name: str, *words: Any, data: Buffer = b"", seconds: float) -> tuple[Any, bytes]:
        """Make a call; return its value and its data.

        Raises what the client raised, as one of Python's own errors, TimeoutError after ``seconds`` and
        ConnectionError where the process ended. After the last two the process is gone.
        """
        with self._turn:
            try:
                answer, content = self._exchange(name, words, data, time.monotonic() + seconds)
            except (TimeoutError, ConnectionError):
                self.kill()
                raise
        if "fault" in answer:
            fault: type[Exception] = getattr(builtins, answer["fault"])
            raise fault(answer["text"])
        return answer["value"], content

    def _exchange(self, name: str, words: Any, data: Buffer, until: float) -> tuple[dict[str, Any], bytes]:
        if not self.alive:
            raise ConnectionError("the client's process ended")
        self._send(json.dumps({"call": name, "words": words, "size": len(data)}).encode() + b"\n", until)
        self._send(data, until)
        answer: dict[str, Any] = json.loads(self._line(until))
        return answer, self._exactly(answer["size"], until)

    def _wait(self, handle: int, event: int, until: float) -> None:
        poll = select.poll()
        poll.register(handle, event)
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            raise TimeoutError

    def _send(self, data: Buffer, until: float) -> None:
        view = memoryview(data).cast("B")
        while view:
            self._wait(self._to, select.POLLOUT, until)
            with suppress(BlockingIOError):
                view = view[os.write(self._to, view) :]

    def _receive(self, size: int, until: float) -> bytes:
        while True:
            self._wait(self._from, select.POLLIN, until)
            with suppress(BlockingIOError):
                data = os.read(self._from, size)
                if not data:
                    raise ConnectionError("the client's process ended")
                return data

    def _line(self, until: float) -> bytes:
        data = self._read
        while b"\n" not in data:
            data += self._receive(_PART, until)
        line, _, self._read = data.partition(b"\n")
        return line

    def _exactly(self, size: int, until: float) -> bytes:
        data = bytearray(self._read[:size])
        self._read = self._read[size:]
        while len(data) < size:
            data += self._receive(size - len(data), until)
        return bytes(data)

    def kill(self) -> None:
        """End the process at once; its connections end with it."""
        self._process.kill()
        self._collect()

    def close(self) -> None:
        """End the process; one that does not end by itself is killed."""
        with suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING_SECONDS)
        self.kill()

    def _collect(self) -> None:
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe:
                    pipe.close()
