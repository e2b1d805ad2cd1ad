"""What is handed to Prometheus and Grafana, held against Prometheus's own tool and against the metrics that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from backupconsole.monitoring.collector import ConsoleCollector
from backupconsole.monitoring.exposition import text_of
from tasks.alarms import ALARMS
from tests.conftest import MakeRun, MakeTask
from tests.lacks import leave_out
from tests.monitoring.world import NOW, fill

ROOT = Path(settings.BASE_DIR)
DOCS = ROOT / "docs" / "monitoring"
RULES = DOCS / "backup-console.rules.yml"
CASES = sorted(Path(__file__).parent.glob("*.test.yml"))
_METRIC = re.compile(r"\bbackupconsole_\w+")
# What Grafana puts in place of its variables.
_VARIABLE = re.compile(r"\$\{?(?!__)\w+\}?")


@pytest.fixture(scope="session")
def promtool() -> str:
    """Prometheus's tool; where it cannot be had the tests that need it are left out, with CI=true they fail."""
    found = shutil.which("promtool")
    if found is None:
        leave_out("promtool is not installed (Debian: apt-get install prometheus)")
    return found


def run(*command: str, text: str | None = None) -> str:
    """Run a command, which has to succeed, and return all that it said."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


@pytest.fixture
def text(make_task: MakeTask, make_run: MakeRun) -> str:
    """The metrics of a console that has one of everything."""
    fill(make_task, make_run)
    return text_of(ConsoleCollector(lambda: NOW)).decode()


# --- By promtool -----------------------------------------------------------------------------------------------------
def test_the_metrics_keep_to_the_conventions(promtool: str, text: str) -> None:
    assert run(promtool, "check", "metrics", text=text) == ""


def test_bad_metrics_are_found(promtool: str) -> None:
    """The check can fail."""
    done = subprocess.run(
        [promtool, "check", "metrics"], input="# TYPE x_total gauge\nx_total 1\n", capture_output=True, text=True
    )
    assert done.returncode != 0 and "x_total" in done.stdout + done.stderr


def test_the_rules_are_sound(promtool: str) -> None:
    number = len(yaml.safe_load(RULES.read_text())["groups"][0]["rules"])
    assert f"SUCCESS: {number} rules found" in run(promtool, "check", "rules", str(RULES))


def test_the_rules_raise_what_they_should_and_nothing_else(promtool: str) -> None:
    assert "SUCCESS" in run(promtool, "test", "rules", *map(str, CASES))


def test_the_example_of_a_configuration_is_sound(promtool: str, tmp_path: Path) -> None:
    for file in (DOCS / "prometheus.yml", RULES):
        shutil.copy(file, tmp_path)
    (tmp_path / "metrics-token").write_text("0123456789abcdef\n")
    assert "SUCCESS" in run(promtool, "check", "config", str(tmp_path / "prometheus.yml"))


def test_the_queries_of_the_dashboard_are_sound(promtool: str, tmp_path: Path) -> None:
    rules = [{"record": f"q:{number}", "expr": plain(query)} for number, query in enumerate(queries())]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in run(promtool, "check", "rules", str(file))


# --- Without it ------------------------------------------------------------------------------------------------------
def walk(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a document."""
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(inner)


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DOCS / "grafana-dashboard.json").read_text())
    return found


def queries() -> list[str]:
    return [each["expr"] for each in walk(dashboard()) if isinstance(each.get("expr"), str)]


def plain(query: str) -> str:
    return _VARIABLE.sub(".*", query)


def test_rules_and_dashboard_name_only_metrics_that_exist(text: str) -> None:
    written = set(re.findall(r"^(backupconsole_\w+)", text, re.M))
    rules = [rule["expr"] for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]]
    asked = [*rules, *queries(), *(each["query"] for each in walk(dashboard()) if isinstance(each.get("query"), str))]
    named = {name for query in asked for name in _METRIC.findall(query)}
    assert named and named - written == set()


def test_labels_in_rules_and_dashboard_exist(text: str) -> None:
    known = set(re.findall(r'[{,](\w+)="', text)) | {"job", "instance"}
    rules = [rule["expr"] for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]]
    used = set()
    for query in (*rules, *queries()):
        used |= set(re.findall(r'[{,]\s*(\w+)\s*=~?"', query))
        for listed in re.findall(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)", query):
            used |= {part.strip() for part in listed.split(",") if part.strip()}
    assert used - known == set()


def test_alarms_that_rules_name_exist() -> None:
    found = re.findall(r'\btype(?:=|!=|=~|!~)"([a-z|-]+)"', RULES.read_text())
    named = {kind for kinds in found for kind in kinds.split("|")}
    assert named and named - set(ALARMS) == set()


def test_every_rule_is_tried_both_ways() -> None:
    rules = {rule["alert"] for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]}
    tests = [test for file in CASES for test in yaml.safe_load(file.read_text())["tests"]]
    tried = [case for test in tests for case in test["alert_rule_test"]]
    assert rules == {case["alertname"] for case in tried if case.get("exp_alerts")}
    assert rules == {case["alertname"] for case in tried if not case.get("exp_alerts")}


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: dict[tuple[int, int], str] = {}
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, (panel["title"], taken.get((x, y)))
                taken[x, y] = panel["title"]
