"""Hard time limits around ``hdfs-native``, and the one user that a process can be for it at a time."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from storage.errors import Unreachable

T = TypeVar("T")

USER_VARIABLE = "HADOOP_USER_NAME"
# Their XML files would be laid below the settings of the task.
FOREIGN_VARIABLES = ("HADOOP_CONF_DIR", "HADOOP_HOME")
_GRACE = 2.0


class Loop:
    """An event loop in a thread of its own, in which every call ends in time.

    The blocking client of the package can wait for ever; a call of the asynchronous one is given up at its limit.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="hdfs", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
            # One turn, in which the task ends.
            with suppress(asyncio.CancelledError, Exception):
                self._loop.run_until_complete(task)
        self._loop.close()

    def run(self, call: Coroutine[Any, Any, T], seconds: float) -> T:
        """Return what ``call`` gives; raise TimeoutError after ``seconds``, and whatever it raises."""
        future: Future[T] = asyncio.run_coroutine_threadsafe(self._limited(call, seconds), self._loop)
        try:
            return future.result(seconds + _GRACE)
        except TimeoutError:
            future.cancel()
            raise

    @staticmethod
    async def _limited(call: Coroutine[Any, Any, T], seconds: float) -> T:
        return await asyncio.wait_for(call, seconds)

    def close(self) -> None:
        """End the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_GRACE)


class Identity:
    """The user of HDFS of this process.

    The package takes it from the environment whenever it connects, also to connect again in the middle of a run. So a
    second user waits until the first one has gone.
    """

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._user = ""
        self._count = 0

    def take(self, user: str, seconds: float) -> None:
        """Be ``user`` until ``leave``; raise ``Unreachable`` where another user stays longer than ``seconds``."""
        with self._free:
            if not self._free.wait_for(lambda: self._count == 0 or self._user == user, seconds):
                raise Unreachable(
                    f"This worker uses HDFS as the user {self._user} now and cannot be {user} at the same time.",
                    cure="Wait until the other run has ended.",
                )
            self._user = user
            self._count += 1
            os.environ[USER_VARIABLE] = user

    def leave(self) -> None:
        """Make room for another user."""
        with self._free:
            self._count -= 1
            if not self._count:
                os.environ.pop(USER_VARIABLE, None)
            self._free.notify_all()


IDENTITY = Identity()
_ENVIRONMENT = threading.Lock()


@contextmanager
def without_foreign_settings() -> Iterator[None]:
    """Hide Hadoop's own configuration from a client that is made in the block."""
    with _ENVIRONMENT:
        hidden = {name: os.environ.pop(name) for name in FOREIGN_VARIABLES if name in os.environ}
        try:
            yield
        finally:
            os.environ.update(hidden)
