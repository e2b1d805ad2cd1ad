"""What the tests of Restoration Management share: restoration tasks in every state, as rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from tasks.engine.record import copy_to_task
from tasks.models import Cluster, Restoration, Run, SafetyCopy
from tasks.states import ACTIVE, Kind, RunState, Trigger

PAGE = "/restorations/"
TITLES: Mapping[str, str] = {
    "fetch": "Fetch the set",
    "verify": "Verify every hash",
    "match": "Match version, cluster, nodes and ports",
    "confirm": "Confirm",
    "stop": "Stop IoTDB",
    "copy": "Safety copy",
    "swap": "Unpack to staging, check, swap",
    "start": "Start IoTDB",
}
FILE = {
    "service": "IoTDB",
    "directory": "daily_20261120020000",
    "name": "2.0.1-beta_IoTDB_20261123060000.tar.gz",
    "size": 612_000_000,
    "sha256": "5e" * 32,
}


def make_restoration(cluster: Cluster, name: str = "restore-west", **fields: Any) -> Restoration:
    """Make a restoration task of one found set."""
    values: dict[str, Any] = {
        "path_type": "LocalDir",
        "files": [FILE],
        "taken_at": datetime(2026, 11, 23, 5, tzinfo=UTC),
        "version": "2.0.1-beta",
        "source_task": "daily",
        "created_by": "anna",
    }
    return Restoration.objects.create(name=name, cluster=cluster, **(values | fields))


def steps_at(key: str, state: str = "now", of: int = 0, done: int = 0, text: str = "") -> list[dict[str, Any]]:
    """Return stored steps with the one called ``key`` in ``state`` and all before it done."""
    began = timezone.now() - timedelta(minutes=4)
    found, before = [], True
    for number, (name, title) in enumerate(TITLES.items()):
        start = (began + timedelta(seconds=10 * number)).isoformat()
        end = (began + timedelta(seconds=10 * number + 9)).isoformat()
        step = {"key": name, "title": title, "state": "done" if before else "todo", "text": "", "done": 0, "of": 0}
        step |= {"began": start if before else "", "ended": end if before else ""}
        if name == key:
            before = False
            step |= {"state": state, "began": start, "ended": "" if state == "now" else end}
            step |= {"of": of, "done": done, "text": text}
        found.append(step)
    return found


LOSS: Mapping[str, Any] = {
    "databases": ["root.plant.line7"],
    "counts": {"series": ["Time series", 18_101, 18_044], "users": ["Users", 6, 6]},
    "known": True,
    "sentences": [
        "Every change to the metadata of plant after 2026-11-23 06:00 +01:00 (1 h 40 min).",
        "The database that the set does not hold: root.plant.line7. Its data stays on disk and is listed afterwards.",
        "57 time series more than the set holds.",
    ],
}


def make_run(restoration: Restoration, state: str = RunState.SUCCESSFUL, **fields: Any) -> Run:
    """Make a run of a restoration task; the task shows it as its last one."""
    began = timezone.now() - timedelta(minutes=5)
    values: dict[str, Any] = {"kind": Kind.RESTORE, "trigger": Trigger.PERSON, "started_by_name": "anna"}
    values["queued_at"] = began
    if state != RunState.WAITING:
        values["started_at"] = began
    if state == RunState.RUNNING:
        values |= {"lease_token": "0" * 32, "lease_until": timezone.now() + timedelta(minutes=1), "worker": "host/1"}
    if state not in ACTIVE:
        values["ended_at"] = began + timedelta(minutes=3)
    run = Run.objects.create(restoration=restoration, cluster=restoration.cluster, state=state, **(values | fields))
    copy_to_task(run)
    restoration.refresh_from_db()
    return run


def make_copy(run: Run, node: str = "node1", **fields: Any) -> SafetyCopy:
    """Make a safety copy of a run."""
    assert run.restoration is not None
    made = timezone.now() - timedelta(minutes=3)
    values: dict[str, Any] = {"original": "/opt/iotdb/data", "path": "/opt/iotdb/data.before", "size": 1_900_000_000}
    values |= {"made_at": made, "planned_at": made, "keep_until": made + timedelta(days=14)}
    return SafetyCopy.objects.create(
        restoration=run.restoration, run=run, cluster=run.cluster, node_name=node, **(values | fields)
    )
