"""Metadata of every kind for an IoTDB 2.0, and its inventory through SQL: what is there before must be there after."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.servers.iotdb import IoTDB, rows

PASSWORDS = {"anna": "Throwaway_1", "bernd": "Throwaway_2"}
"""They guard nothing: throw-away accounts of a throw-away server."""
PLANTS, DEVICES, SENSORS = 3, 20, 8
_NOW = 1_760_000_000_000
# What a pipe met since the start is no metadata.
_VOLATILE = {"SHOW PIPES": ("ExceptionMessage", "RemainingEventCount", "EstimatedRemainingSeconds")}
_DATA = (
    "SELECT count(s0), count(s1) FROM root.plant1.line1.device1",
    "SELECT last * FROM root.fleet.truck1",
    "SELECT temperature FROM root.windfarm.north.turbine1",
)


def create_metadata(server: IoTDB, jar: Path | None = None) -> None:
    """Create databases, series, templates, TTLs, accounts, a CQ, a pipe and tables, with some data in them.

    ``jar`` holds the classes ``PlusOffset`` (a UDF) and ``Watcher`` (a trigger); without it these two are left out.
    """
    server.execute(*_databases(), *_named_series(), *_templates())
    _plant_series(server)
    _aligned_series(server)
    server.execute(*_lifetimes(), *_accounts(), *_jobs())
    if jar is not None:
        server.execute(
            f"CREATE FUNCTION plus_offset AS 'PlusOffset' USING URI '{jar.as_uri()}'",
            "CREATE STATELESS TRIGGER watcher BEFORE INSERT ON root.plant3.line1.** AS 'Watcher' "
            f"USING URI '{jar.as_uri()}' WITH ('limit'='100')",
        )
    _tables(server)
    server.execute(*_data(), "FLUSH")


def _databases() -> list[str]:
    names = [f"root.plant{plant}" for plant in range(1, PLANTS + 1)] + ["root.fleet", "root.windfarm", "root.odd"]
    return [f"CREATE DATABASE {name}" for name in names]


def _named_series() -> list[str]:
    plain = [
        f"CREATE TIMESERIES root.plant1.named.device{number}.s(temperature{number}) "
        "WITH datatype=FLOAT, encoding=GORILLA, compression=SNAPPY, deadband=SDT, compdev=0.01 "
        f"TAGS(unit='°C', 'the owner'='team {number % 4}') ATTRIBUTES(description='línea \"{number}\"', max='100')"
        for number in range(20)
    ]
    return [*plain, "CREATE TIMESERIES root.odd.`d.1`.`a b` WITH datatype=INT64"]


def _templates() -> list[str]:
    north = [f"CREATE TIMESERIES USING DEVICE TEMPLATE ON root.windfarm.north.turbine{n}" for n in range(20)]
    south = [f"CREATE TIMESERIES USING DEVICE TEMPLATE ON root.windfarm.south.turbine{n}" for n in range(10)]
    return [
        "CREATE DEVICE TEMPLATE turbine (temperature FLOAT encoding=RLE, status BOOLEAN encoding=PLAIN)",
        "CREATE DEVICE TEMPLATE position ALIGNED (lat FLOAT encoding=GORILLA, lon FLOAT encoding=GORILLA)",
        "SET DEVICE TEMPLATE turbine TO root.windfarm.north",
        "SET DEVICE TEMPLATE position TO root.windfarm.south",
        *north,
        *south,
    ]


def _plant_series(server: IoTDB) -> None:
    from iotdb.utils.IoTDBConstants import Compressor, TSDataType, TSEncoding

    kinds = (TSDataType.DOUBLE, TSDataType.INT32, TSDataType.TEXT, TSDataType.BOOLEAN)
    session = server.session()
    try:
        for plant in range(1, PLANTS + 1):
            paths, types, tags = [], [], []
            for device in range(DEVICES):
                for sensor in range(SENSORS):
                    paths.append(f"root.plant{plant}.line{device % 4}.device{device}.s{sensor}")
                    types.append(kinds[sensor % 4])
                    tags.append({"unit": "bar", "owner": f"team{device % 7}"} if sensor == 0 else {})
            count = len(paths)
            session.create_multi_time_series(
                paths,
                types,
                [TSEncoding.PLAIN] * count,
                [Compressor.LZ4] * count,
                [{}] * count,
                tags,
                [{}] * count,
                None,
            )
    finally:
        session.close()


def _aligned_series(server: IoTDB) -> None:
    from iotdb.utils.IoTDBConstants import Compressor, TSDataType, TSEncoding

    session = server.session()
    try:
        for truck in range(20):
            session.create_aligned_time_series(
                f"root.fleet.truck{truck}",
                [f"m{number}" for number in range(5)],
                [TSDataType.FLOAT] * 5,
                [TSEncoding.GORILLA] * 5,
                [Compressor.SNAPPY] * 5,
            )
    finally:
        session.close()


def _lifetimes() -> list[str]:
    return [
        "SET TTL TO root.plant2.** 94608000000000",
        "SET TTL TO root.plant3.line0.** 63072000000000",
        "SET TTL TO root.fleet.** 99999999999999",
    ]


def _accounts() -> list[str]:
    users = [f"CREATE USER {name} '{password}'" for name, password in PASSWORDS.items()]
    return [
        *users,
        "CREATE ROLE reader",
        "CREATE ROLE writer",
        "GRANT READ_DATA, READ_SCHEMA ON root.plant1.** TO ROLE reader",
        "GRANT WRITE_DATA ON root.plant2.** TO ROLE writer WITH GRANT OPTION",
        "GRANT ROLE reader TO anna",
        "GRANT MANAGE_DATABASE ON root.** TO USER bernd",
        "GRANT READ_DATA ON root.fleet.** TO USER anna WITH GRANT OPTION",
    ]


def _jobs() -> list[str]:
    return [
        # So seldom that it never writes while a test compares what was there before and after.
        "CREATE CQ hourly RESAMPLE EVERY 52w RANGE 52w BEGIN SELECT avg(s0) INTO root.plant1.hourly(s0_avg) "
        "FROM root.plant1.line0.device0 GROUP BY(1h) END",
        "CREATE PIPE discard WITH SOURCE ('source.pattern'='root.plant3') WITH SINK ('sink'='do-nothing-sink')",
    ]


def _tables(server: IoTDB) -> None:
    session = server.table_session()
    try:
        for statement in (
            "CREATE DATABASE metering WITH (TTL=31536000000000)",
            "USE metering",
            "CREATE TABLE meters (region STRING TAG, device STRING TAG, model STRING ATTRIBUTE, "
            "energy DOUBLE FIELD, voltage FLOAT FIELD) WITH (TTL=8640000000000)",
            *(f"CREATE TABLE site{number} (device STRING TAG, value FLOAT FIELD)" for number in range(6)),
            "ALTER TABLE site0 ADD COLUMN extra INT32 FIELD",
            "INSERT INTO meters(time, region, device, model, energy, voltage) VALUES "
            + ",".join(f"({_NOW + n},'r{n % 3}','meter{n}','m{n % 2}',{n}.5,{n})" for n in range(20)),
            "UPDATE meters SET model='updated' WHERE device='meter1'",
        ):
            session.execute_non_query_statement(statement)
    finally:
        session.close()


def _data() -> list[str]:
    points = [
        f"INSERT INTO root.plant{plant}.line1.device1(time, s0, s1, s2, s3) "
        f"VALUES({_NOW + n}, {n}.5, {n}, 't{n}', true)"
        for plant in range(1, PLANTS + 1)
        for n in range(10)
    ]
    return [
        *points,
        f"INSERT INTO root.fleet.truck1(time, m0, m1, m2, m3, m4) ALIGNED VALUES({_NOW}, 1, 2, 3, 4, 5)",
        f"INSERT INTO root.windfarm.north.turbine1(time, temperature, status) VALUES({_NOW}, 20.5, true)",
    ]


def inventory(server: IoTDB, *, data: bool = True) -> dict[str, list[str]]:
    """Return everything SQL shows of the metadata: for each statement its rows as sorted JSON texts.

    A statement that the server refuses gives one row with the reason, so that two inventories still compare.
    ``data`` adds queries that read time series, which also need the files of the data regions.
    """
    found: dict[str, list[str]] = {}
    session = server.session()
    try:
        for statement in _tree_statements(session, found):
            _ask(session, statement, found)
        for statement in _DATA if data else ():
            _ask(session, statement, found)
    finally:
        session.close()
    tables = server.table_session()
    try:
        for row in _ask(tables, "SHOW DATABASES DETAILS", found, "table model: SHOW DATABASES DETAILS"):
            if (database := _first(row)) != "information_schema":
                _table_inventory(tables, database, found)
    finally:
        tables.close()
    return found


def _tree_statements(session: Any, found: dict[str, list[str]]) -> Iterable[str]:
    yield from ("SHOW DATABASES DETAILS", "SHOW TIMESERIES", "SHOW DEVICES", "SHOW ALL TTL", "SHOW FUNCTIONS")
    yield from ("SHOW TRIGGERS", "SHOW CQS", "SHOW PIPES")
    for template in map(_first, _ask(session, "SHOW DEVICE TEMPLATES", found)):
        yield f"SHOW NODES IN DEVICE TEMPLATE {template}"
        yield f"SHOW PATHS SET DEVICE TEMPLATE {template}"
        yield f"SHOW PATHS USING DEVICE TEMPLATE {template}"
    for kind in ("USER", "ROLE"):
        for name in map(_first, _ask(session, f"LIST {kind}", found)):
            yield f"LIST PRIVILEGES OF {kind} {name}"
            if kind == "USER":
                yield f"LIST ROLE OF USER {name}"


def _table_inventory(session: Any, database: str, found: dict[str, list[str]]) -> None:
    for row in _ask(session, f"SHOW TABLES DETAILS FROM {database}", found):
        table = f"{database}.{_first(row)}"
        _ask(session, f"DESC {table} DETAILS", found)
        _ask(session, f"SHOW DEVICES FROM {table}", found)


def _ask(session: Any, statement: str, found: dict[str, list[str]], key: str = "") -> list[dict[str, Any]]:
    try:
        answer = rows(session, statement)
    except Exception as refusal:
        found[key or statement] = [f"refused: {refusal}"[:200]]
        return []
    for row in answer:
        for name in _VOLATILE.get(statement, ()):
            with suppress(KeyError):
                del row[name]
    found[key or statement] = sorted(json.dumps(row, default=str, sort_keys=True) for row in answer)
    return answer


def _first(row: dict[str, Any]) -> str:
    return str(next(iter(row.values())))


def counts(found: dict[str, list[str]]) -> dict[str, int]:
    """Return the figures of an inventory that a person wants to see."""
    names = {
        "databases": "SHOW DATABASES DETAILS",
        "series": "SHOW TIMESERIES",
        "devices": "SHOW DEVICES",
        "templates": "SHOW DEVICE TEMPLATES",
        "lifetimes": "SHOW ALL TTL",
        "users": "LIST USER",
        "roles": "LIST ROLE",
        "triggers": "SHOW TRIGGERS",
        "continuous queries": "SHOW CQS",
        "pipes": "SHOW PIPES",
    }
    figures = {name: len(found[statement]) for name, statement in names.items()}
    figures["external functions"] = sum("external" in row for row in found["SHOW FUNCTIONS"])
    figures["tables"] = sum(len(found[key]) for key in found if key.startswith("SHOW TABLES DETAILS FROM "))
    return figures


def differences(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    """Return one line for each statement whose rows differ; none when the two inventories are equal."""
    lines = []
    for key in sorted(before.keys() | after.keys()):
        lost, gained = set(before.get(key, [])) - set(after.get(key, [])), set(after.get(key, []))
        gained -= set(before.get(key, []))
        if lost or gained:
            lines.append(f"{key}: lost {sorted(lost)[:2]} ({len(lost)}), gained {sorted(gained)[:2]} ({len(gained)})")
    return lines


def digests(found: dict[str, list[str]]) -> dict[str, str]:
    """Return a short digest of the rows of every statement: two inventories compare without being kept whole."""
    return {key: hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] for key, lines in found.items()}
