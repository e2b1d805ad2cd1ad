"""Threads that run DDL on a real IoTDB, and what a restored one must show of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from tests.servers.iotdb import IoTDB, rows
from tests.servers.iotdb_metadata import PASSWORDS, inventory


def drop_short(server: IoTDB) -> None:
    """Drop the database and wait until its region is gone from the disk too."""
    server.execute("DROP DATABASE root.short")
    directory, end = server.home / "data/datanode/system/schema/root.short", time.monotonic() + 30
    while any(directory.glob("*")):
        assert time.monotonic() < end, "the region of a dropped database is still there"
        time.sleep(0.05)


class Writers:
    """Three threads that run DDL and remember when each statement was acknowledged."""

    def __init__(self, server: IoTDB) -> None:
        self.acknowledged: list[tuple[float, str, str]] = []
        self._server = server
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._series, self._accounts, self._tables)
        ]

    def start(self) -> None:
        """Start, and return when DDL of every kind has been flowing for a while."""
        self._server.execute("CREATE DATABASE root.hot")
        session = self._server.table_session()
        session.execute_non_query_statement("CREATE DATABASE hot_tables")
        session.close()
        for thread in self._threads:
            thread.start()
        end = time.monotonic() + 60
        while len({kind for _, kind, _ in list(self.acknowledged)}) < 5:
            assert time.monotonic() < end, "the writers do not get their DDL acknowledged"
            time.sleep(0.1)
        time.sleep(2)

    def stop(self) -> None:
        """End the threads."""
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

    def _run(self, session: Any, step: Callable[[int], tuple[str, str, str]], pause: float) -> None:
        number = 0
        while not self._stop.is_set():
            kind, name, statement = step(number)
            session.execute_non_query_statement(statement)
            self.acknowledged.append((time.time(), kind, name))
            number += 1
            time.sleep(pause)
        session.close()

    def _series(self) -> None:
        def step(number: int) -> tuple[str, str, str]:
            name = f"root.hot.d{number % 50}.s{number}"
            return "series", name, f"CREATE TIMESERIES {name} WITH datatype=INT64 TAGS(k='{number % 9}')"

        self._run(self._server.session(), step, 0)

    def _accounts(self) -> None:
        def step(number: int) -> tuple[str, str, str]:
            if number % 3 == 0:
                return "user", f"hotuser{number}", f"CREATE USER hotuser{number} 'pw_{number}_xx'"
            if number % 3 == 1:
                return "database", f"root.hotx{number}", f"CREATE DATABASE root.hotx{number}"
            return "role", f"hotrole{number}", f"CREATE ROLE hotrole{number}"

        self._run(self._server.session(), step, 0.03)

    def _tables(self) -> None:
        def step(number: int) -> tuple[str, str, str]:
            return "table", f"t{number}", f"CREATE TABLE hot_tables.t{number} (d STRING TAG, v FLOAT FIELD)"

        self._run(self._server.table_session(), step, 0.05)


def require_acknowledged(server: IoTDB, acknowledged: list[tuple[float, str, str]], began: float) -> None:
    """Everything acknowledged before the copy began is there; what came later is kept without a gap, or not at all."""
    session, tables = server.session(), server.table_session()
    try:
        have = {
            "series": first_values(session, "SHOW TIMESERIES root.hot.**"),
            "user": first_values(session, "LIST USER"),
            "database": first_values(session, "SHOW DATABASES"),
            "role": first_values(session, "LIST ROLE"),
            "table": first_values(tables, "SHOW TABLES FROM hot_tables"),
        }
    finally:
        session.close()
        tables.close()
    for kind, names in have.items():
        kept = [(when, name in names) for when, known, name in acknowledged if known == kind]
        assert kept[0][0] < began, kind
        assert all(is_kept for when, is_kept in kept if when < began), kind
        order = [is_kept for _, is_kept in kept]
        assert order == sorted(order, reverse=True), f"a gap in {kind}"


def require_base(server: IoTDB, before: dict[str, list[str]]) -> None:
    """What was there before the writers began is there, passwords too, and the server takes new DDL and data."""
    after = inventory(server, data=False)
    lost = {key: set(lines) - set(after.get(key, [])) for key, lines in before.items()}
    assert {key: lines for key, lines in lost.items() if lines} == {}
    for user, password in PASSWORDS.items():
        server.session(user, password).close()
    server.execute(
        "CREATE DATABASE root.after",
        "CREATE TIMESERIES root.after.d.s WITH datatype=INT32",
        "INSERT INTO root.after.d(time, s) VALUES(1, 1)",
    )


def first_values(session: Any, statement: str) -> set[str]:
    return {str(next(iter(row.values()))) for row in rows(session, statement)}
