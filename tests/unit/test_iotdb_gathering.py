"""What an inventory asks of a server that lost a region: such a statement takes seconds, so few are sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from tasks.iotdb.gathering import Gathering
from tasks.iotdb.link import Link, StatementRefused
from tasks.iotdb.tables import take_tables
from tasks.iotdb.trees import take_series

GONE = "306: The consensus group SchemaRegion[4] doesn't exist"
TABLES = [("fleet", "truck"), ("metering", "site0"), ("metering", "site1"), ("metering", "site2")]


class Server:
    """Answers from a list, refuses the rest, and remembers what it was asked."""

    def __init__(self, answers: dict[str, list[dict[str, Any]]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def rows(self, statement: str) -> Iterator[dict[str, Any]]:
        self.asked.append(statement)
        if statement not in self.answers:
            raise StatementRefused(GONE)
        yield from self.answers[statement]


def counting(server: Server) -> list[str]:
    return [statement for statement in server.asked if statement.startswith("COUNT")]


def test_a_database_of_tables_that_lost_a_region_is_asked_once() -> None:
    server = Server(
        {
            "SHOW DATABASES DETAILS": [{"database": name} for name in ("fleet", "metering")],
            "SELECT * FROM information_schema.tables": [{"database": d, "table_name": t} for d, t in TABLES],
            "SELECT * FROM information_schema.columns": [],
            'COUNT DEVICES FROM "fleet"."truck"': [{"count": 5}],
        }
    )
    lines: list[dict[str, Any]] = []
    gathering = Gathering(lines.append)
    assert take_tables(cast(Link, server), gathering) == ["fleet", "metering"]
    assert counting(server) == ['COUNT DEVICES FROM "fleet"."truck"', 'COUNT DEVICES FROM "metering"."site0"']
    assert gathering.errors['COUNT DEVICES FROM "metering"."site0"'] == GONE
    assert gathering.counts == {"tables": 4}
    tables = {line["name"]: line.get("devices") for line in lines if line["type"] == "table"}
    assert tables == {"truck": 5, "site0": None, "site1": None, "site2": None}


def test_devices_of_a_tree_whose_series_are_not_counted_are_not_asked_for() -> None:
    server = Server({})
    gathering = Gathering([].append)
    take_series(cast(Link, server), gathering, ["root.a"], {}, 0)
    assert counting(server) == ["COUNT TIMESERIES root.**"]
    assert gathering.counts == {}
    whole = Server({"COUNT TIMESERIES root.**": [{"count": 7}], "COUNT DEVICES root.**": [{"count": 2}]})
    take_series(cast(Link, whole), gathering, [], {}, 0)
    assert gathering.counts == {"series": 7, "devices": 2}
