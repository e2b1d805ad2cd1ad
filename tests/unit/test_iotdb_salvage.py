"""An inventory as SQL, statement by statement. ``tests/engine/test_iotdb_salvage.py`` runs it on a real IoTDB."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tasks.iotdb.base import Summary
from tasks.iotdb.document import BadInventory
from tasks.iotdb.salvage import TOGETHER, statements

FACTS = {
    "cluster": "plant-east",
    "service": "IoTDB",
    "run": 42,
    "task": "nightly",
    "taken_at": "2026-11-25T03:00:00+00:00",
}
SUMMARY = Summary(version="2.0.1-beta", counts={"series": 3}, errors={"LIST USER": "803: No permissions"})


def document(objects: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    head = {"format": "backup-console-inventory", "version": 1, "facts": FACTS, "summary": SUMMARY.as_json()}
    yield json.dumps(head).encode()[:-1] + b',"objects":[\n'
    for one in objects:
        yield json.dumps(one).encode() + b",\n"
    yield b"]}\n"


def salvaged(*objects: dict[str, Any]) -> str:
    return "".join(statements(document(objects)))


def series(path: str, **facts: Any) -> dict[str, Any]:
    plain = {"type": "series", "path": path, "datatype": "FLOAT", "encoding": "GORILLA", "compression": "LZ4"}
    return plain | facts


def test_the_head_says_what_it_is_and_what_is_missing() -> None:
    text = salvaged()
    assert "-- Metadata of plant-east IoTDB, version 2.0.1-beta, as SQL." in text
    assert "-- From the set of run 42 of nightly." in text
    assert "passwords of users" in text
    assert "-- Not asked or refused: LIST USER: 803: No permissions" in text
    assert all(line.startswith("--") for line in text.splitlines() if line)


def test_columns_make_their_table_also_where_a_table_has_no_line_of_its_own() -> None:
    text = salvaged(
        {"type": "table_database", "name": "m"},
        {"type": "table", "database": "m", "name": "a", "ttl": "60000"},
        {"type": "column", "database": "m", "table": "a", "name": "time", "datatype": "TIMESTAMP", "category": "TIME"},
        {"type": "column", "database": "m", "table": "a", "name": "v", "datatype": "FLOAT", "category": "FIELD"},
        {"type": "column", "database": "m", "table": "b", "name": "v", "datatype": "FLOAT", "category": "FIELD"},
        {"type": "ttl", "path": "root.x.**", "ttl": "5"},
    )
    assert 'CREATE DATABASE "m";\n' in text
    assert 'CREATE TABLE "m"."a" (\n  "time" TIMESTAMP TIME,\n  "v" FLOAT FIELD\n) WITH (TTL=60000);\n' in text
    assert 'CREATE TABLE "m"."b" (\n  "v" FLOAT FIELD\n) WITH (TTL=\'INF\');\n' in text
    assert text.index('"m"."b"') < text.index("Tree model") < text.index("SET TTL TO root.x.** 5;\n")


def test_an_aligned_device_is_one_statement_and_a_long_one_is_several() -> None:
    many = [series(f"root.d.a.m{number}", aligned=True) for number in range(TOGETHER + 1)]
    text = salvaged(*many, series("root.d.b.m0", aligned=True), series("root.d.c.s"))
    assert text.count("CREATE ALIGNED TIMESERIES root.d.a(") == 2
    assert text.count("CREATE ALIGNED TIMESERIES root.d.b(") == 1
    assert "CREATE TIMESERIES root.d.c.s WITH datatype=FLOAT, encoding=GORILLA, compression=LZ4;\n" in text


def test_series_of_a_template_come_with_its_activation() -> None:
    text = salvaged(
        {"type": "template_used", "template": "t", "path": "root.d.a"}, series("root.d.a.s", template="t", aligned=True)
    )
    assert "CREATE TIMESERIES USING DEVICE TEMPLATE ON root.d.a;\n" in text
    assert "root.d.a.s" not in text


def test_users_stand_there_as_comments_and_root_does_not() -> None:
    text = salvaged(
        {"type": "user", "name": "anna"},
        {"type": "privilege", "of": "user", "holder": "anna", "path": "root.**", "privilege": "READ_DATA"},
        {"type": "role_of_user", "user": "anna", "role": "reader"},
        {"type": "user", "name": "root"},
        {"type": "role", "name": "reader"},
    )
    assert (
        "\n-- CREATE USER anna '?';\n-- GRANT READ_DATA ON root.** TO USER anna;\n-- GRANT ROLE reader TO anna;\n"
        in text
    )
    assert "CREATE USER root" not in text
    assert "\nCREATE ROLE reader;\n" in text


def test_what_would_begin_to_work_at_once_is_a_comment() -> None:
    text = salvaged(
        {"type": "pipe", "name": "p", "source": "{}", "sink": "{sink=x, sink.password=******}", "processor": "{}"},
        {"type": "continuous_query", "name": "c", "query": "CREATE CQ c\nBEGIN END"},
        {"type": "function", "name": "f", "class_name": "org.F"},
        {
            "type": "trigger",
            "name": "t",
            "event": "BEFORE_INSERT",
            "kind": "STATELESS",
            "path": "root.a",
            "class_name": "T",
        },
    )
    assert "-- CREATE PIPE p WITH SINK ('sink'='x', 'sink.password'='******');\n" in text
    assert "-- CREATE CQ c\n-- BEGIN END;\n" in text
    assert "-- CREATE FUNCTION f AS 'org.F';\n" in text
    assert "-- CREATE STATELESS TRIGGER t BEFORE INSERT ON root.a AS 'T';\n" in text


def test_one_that_is_cut_short_is_refused_after_what_could_be_read() -> None:
    lines = list(document([series("root.a.b"), series("root.a.c")]))[:-1]
    found = []
    with pytest.raises(BadInventory, match="ends early"):
        found.extend(statements(lines))
    assert any("root.a.b" in text for text in found)


def test_memory_does_not_grow_with_the_number_of_series() -> None:
    def peak(number: int) -> int:
        tracemalloc.start()
        objects = (series(f"root.d.device{n}.s", tags={"unit": "bar"}) for n in range(number))
        count = sum(1 for _ in statements(document(objects)))
        assert count > number
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few, many = peak(100), peak(5_000)
    assert many < few + 200_000
    assert list(itertools.islice(statements(document([])), 1))
