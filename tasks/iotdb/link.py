"""A Session of the client package, in the child process: connected in a bounded time, read in bounded memory."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from typing import Any

from iotdb.Session import Session
from iotdb.utils.exception import IoTDBConnectionException, StatementExecutionException
from thrift.transport.TTransport import TTransportException

from tasks.iotdb.base import Endpoint

CONNECT_SECONDS = 5.0
PAGE = 5000  # rows that are in memory at once
_WRONG_LOGIN = ("801", "804")
_TEXT = 300


class NotAnswered(Exception):
    """A server that cannot be reached, or does not answer in time; the text says which."""


class LoginRefused(Exception):
    """A server that does not take the account."""


class StatementRefused(Exception):
    """A server that does not carry out a statement; the text is its own, shortened."""


def in_turn(request: dict[str, Any]) -> Iterator[tuple[Endpoint, float]]:
    """Yield the endpoints of a request, each with the moment until which it may take: the others need time as well."""
    endpoints = [Endpoint(*pair) for pair in request["endpoints"]]
    for number, endpoint in enumerate(endpoints):
        now = time.monotonic()
        yield endpoint, now + (request["until"] - now) / (len(endpoints) - number)


def connect(endpoint: Endpoint, user: str, password: str, until: float, dialect: str = "tree") -> Link:
    """Return an open Session at ``endpoint``; ``until`` is a time of the monotonic clock.

    Raises NotAnswered, LoginRefused.
    """
    where = f"{endpoint.host}:{endpoint.port}"
    left = until - time.monotonic()
    if left <= 0:
        raise NotAnswered("the time was over")
    try:
        # The package waits for a connection as long as for an answer; a host that is off should not cost all the time.
        socket.create_connection(endpoint, min(CONNECT_SECONDS, left)).close()
    except OSError as error:
        raise NotAnswered(f"{where} cannot be reached ({error.strerror or 'no answer'})") from error
    session = Session(
        endpoint.host,
        endpoint.port,
        user,
        password,
        fetch_size=PAGE,
        zone_id="UTC",
        enable_redirection=False,
        connection_timeout_in_ms=int(left * 1000),
    )
    session.sql_dialect = dialect
    try:
        session.open(False)
    except StatementExecutionException as refusal:
        if str(refusal).startswith(_WRONG_LOGIN):
            raise LoginRefused(f"{where} refuses the user {user} or the password") from refusal
        raise NotAnswered(f"{where} does not take Sessions ({_short(refusal)})") from refusal
    except Exception as error:
        raise NotAnswered(f"{where} takes connections but does not answer as an IoTDB") from error
    return Link(session, until)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:_TEXT]


class Link:
    """An open Session; every statement is either answered before ``until`` or refused."""

    def __init__(self, session: Session, until: float) -> None:
        self._session = session
        self._until = until

    def rows(self, statement: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a query with the columns' names in lower case, a page at a time; nothing is None.

        Raises StatementRefused, NotAnswered.
        """
        if time.monotonic() >= self._until:
            raise StatementRefused("the time for the inventory was over")
        try:
            answer = self._session.execute_query_statement(statement)
            try:
                while (page := answer.next_df()) is not None:
                    page.columns = [str(name).lower() for name in page.columns]
                    yield from page.astype(object).where(page.notna(), None).to_dict("records")
                    if time.monotonic() >= self._until:
                        raise StatementRefused("the time for the inventory was over")
            finally:
                answer.close_operation_handle()
        except StatementExecutionException as refusal:
            raise StatementRefused(_short(refusal)) from refusal
        except (IoTDBConnectionException, TTransportException, OSError) as error:
            raise NotAnswered("the connection broke, or no answer came in time") from error
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            # The package fails on some values, such as an empty floating-point one (2.0.11).
            raise StatementRefused(f"the answer could not be read ({type(error).__name__})") from error

    def value(self, statement: str) -> Any:
        """Return the first value of the first row of a query, None where there is none; raises as ``rows`` does."""
        for row in list(self.rows(statement))[:1]:
            return next(iter(row.values()), None)
        return None

    def close(self) -> None:
        """End the Session; a server that is gone is no error."""
        try:
            self._session.close()
        except Exception as error:
            logging.getLogger(__name__).debug("close: %s", type(error).__name__)
