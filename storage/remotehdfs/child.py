"""``hdfs-native`` in a process of its own, started as a script by ``process.Child``; it imports nothing of the console.

Three things are only safe in a process that can be ended from outside: a call of the blocking client can wait for ever;
the asynchronous one breaks wherever the package wants to pause, which is in the middle of a failover (0.14.7); and the
user is taken from the environment of the whole process.

Requests come on the standard input and answers go to the standard output: a line of JSON, of which ``size`` bytes of
data follow.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO

from hdfs_native import Client, FileStatus, WriteOptions

_LOOK_SECONDS = 2.0
_TOLD = (FileNotFoundError, FileExistsError, PermissionError, TimeoutError, OSError)

Answer = tuple[Any, bytes]


class Session:
    """The operations; each takes the arguments of a request and its data."""

    def __init__(self) -> None:
        self._client = Client("hdfs://127.0.0.1:1")
        self._open: dict[int, Any] = {}
        self._next = 0

    def _keep(self, thing: Any) -> int:
        self._next += 1
        self._open[self._next] = thing
        return self._next

    def connect(self, _: bytes, url: str, settings: dict[str, str]) -> Answer:
        self._client = Client(url, config=settings)
        return None, b""

    def info(self, _: bytes, path: str) -> Answer:
        return _facts(self._client.get_file_info(path)), b""

    def entries(self, _: bytes, path: str) -> Answer:
        return [_facts(item) for item in self._client.list_status(path)], b""

    def make_directory(self, _: bytes, path: str) -> Answer:
        self._client.mkdirs(path, 0o700, False)
        return None, b""

    def create(self, _: bytes, path: str) -> Answer:
        options = WriteOptions(permission=0o600, overwrite=False, create_parent=False)
        return self._keep(self._client.create(path, options)), b""

    def write(self, data: bytes, writer: int) -> Answer:
        self._open[writer].write(data)
        return None, b""

    def complete(self, _: bytes, writer: int) -> Answer:
        self._open.pop(writer).close()
        return None, b""

    def read(self, _: bytes, path: str, offset: int) -> Answer:
        reader = self._client.read(path)
        left = max(0, len(reader) - offset)
        # The package has no stream of nothing.
        return self._keep(reader.read_range_stream(offset, left) if left else iter(())), b""

    def chunk(self, _: bytes, stream: int) -> Answer:
        return None, bytes(next(self._open[stream], b""))

    def forget(self, _: bytes, thing: int) -> Answer:
        self._open.pop(thing, None)
        return None, b""

    def rename(self, _: bytes, source: str, target: str) -> Answer:
        self._client.rename(source, target, False)
        return None, b""

    def delete(self, _: bytes, path: str) -> Answer:
        return self._client.delete(path, False), b""


def _facts(found: FileStatus) -> dict[str, Any]:
    return {
        "name": found.path.rpartition("/")[2],
        "size": found.length,
        "modified": found.modification_time,
        "directory": found.isdir,
    }


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer requests until there are no more."""
    session = Session()
    while line := source.readline():
        request = json.loads(line)
        data = source.read(request["size"])
        answer, content = _answer(getattr(session, request["call"]), data, request["words"])
        sink.write(json.dumps(answer | {"size": len(content)}).encode() + b"\n")
        sink.write(content)
        sink.flush()


def _answer(call: Callable[..., Answer], data: bytes, words: list[Any]) -> tuple[dict[str, Any], bytes]:
    try:
        value, content = call(data, *words)
    except BaseException as fault:
        # A panic of the package is no Exception.
        kind = next((known.__name__ for known in _TOLD if isinstance(fault, known)), "RuntimeError")
        return {"fault": kind, "text": str(fault)}, b""
    return {"value": value}, content


def _end_with(parent: int) -> None:
    """End when the console's process is gone, although a call may wait for ever."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    serve(sys.stdin.buffer, sys.stdout.buffer)
    # Whatever the package still waits for.
    os._exit(0)
