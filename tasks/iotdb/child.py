"""The client of IoTDB in a process of its own: ``python -m tasks.iotdb.child``; it needs neither Django nor settings.

In the console's own process a server that hangs would hold a worker for ever, and numpy, pandas and thrift would cost
every worker a hundred megabytes. So they are imported here only, and the process is ended from outside.

The request is one line of JSON on the standard input:

    {"call": "health" | "inventory" | "regions", "user": "...", "password": "...", "endpoints": [["host", 6667], ...],
     "until": 12345.6, "series_limit": 1000000}

``until`` is a time of the monotonic clock of this machine, which is the same in every network namespace. Answers are
lines of JSON on the standard output: one for the health; for the inventory one an object and a last one of the type
``summary``, or a single one of the type ``failure`` where nobody could be asked.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any, BinaryIO

_LOOK_SECONDS = 2.0


def serve(request: dict[str, Any], sink: BinaryIO) -> None:
    """Answer one request."""
    # The package is slow to import: it is not needed to read this module.
    from tasks.iotdb import health, regions, taking

    def send(answer: dict[str, Any]) -> None:
        sink.write(json.dumps(answer, separators=(",", ":"), default=str).encode("ascii") + b"\n")

    if request["call"] == "health":
        found = health.ask(request)
        send({**vars(found), "nodes": [node.__dict__ for node in found.nodes]})
    elif request["call"] == "regions":
        send(regions.ask(request))
    else:
        taking.take(request, send)
    sink.flush()


def _end_with(parent: int) -> None:
    """End when the console's process is gone, although a call may wait for ever."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)


def _private_output() -> BinaryIO:
    """Return the standard output, and keep the packages from writing to it."""
    sink = os.fdopen(os.dup(1), "wb")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    return sink


if __name__ == "__main__":
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    serve(json.loads(sys.stdin.buffer.readline()), _private_output())
    # Whatever the package still waits for.
    os._exit(0)
