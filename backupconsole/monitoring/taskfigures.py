"""The figures of each task. All families of a task share one set of labels, which is written once (``exposition``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.samples import Sample

from tasks.models import BackupTask
from tasks.states import Mode, PeriodUnit

_UNITS = {PeriodUnit.HOURS: 3600, PeriodUnit.DAYS: 86_400}
_DAY = 86_400
_NAME = "backupconsole_task_{}"


class Row(NamedTuple):
    """What is read of a task, in the order of ``_FIELDS``."""

    name: str
    cluster__name: str
    path_type: str
    mode: str
    suspended: bool
    period: int
    period_unit: str
    last_state: str
    last_success_at: datetime | None
    last_success_seconds: float | None
    last_success_bytes: int | None
    expected_at: datetime | None
    next_run_at: datetime | None
    sets_kept: int
    last_verified_at: datetime | None
    last_checked_at: datetime | None
    last_rehearsed_at: datetime | None
    check_after_days: int | None
    rehearse_after_days: int | None
    proof_problem: str


def _interval(row: Row) -> int | None:
    return row.period * _UNITS[PeriodUnit(row.period_unit)] if row.mode == Mode.PERIODIC else None


# Family, what it says, and how a task's value is had; None gives no series.
_PLAIN: tuple[tuple[str, str, Callable[[Row], Any]], ...] = (
    ("last_success_timestamp_seconds", "When the last success of a task ended.", lambda row: row.last_success_at),
    ("last_success_duration_seconds", "How long the last success took.", lambda row: row.last_success_seconds),
    ("last_success_size_bytes", "Bytes of the set of the last success.", lambda row: row.last_success_bytes),
    ("expected_interval_seconds", "How far apart the starts of a periodic task are.", _interval),
    ("expected_success_timestamp_seconds", "By which start a success is due.", lambda row: row.expected_at),
    ("next_run_timestamp_seconds", "When a task is started next.", lambda row: row.next_run_at),
    ("sets", "Backup file sets that are kept and count.", lambda row: row.sets_kept),
    ("proof_failed", "Whether the last proof of the sets failed (1).", lambda row: int(bool(row.proof_problem))),
)
# Proofs: the value of the label, when the last one was, and after how many days the next one is wanted.
_PROOFS = (
    ("verified", "last_verified_at", ""),
    ("checked", "last_checked_at", "check_after_days"),
    ("rehearsed", "last_rehearsed_at", "rehearse_after_days"),
)


def collect() -> Iterator[Metric]:
    """Yield the metrics of all tasks that were not deleted; one query."""
    found = BackupTask.objects.order_by("pk").values_list(*Row._fields)
    rows = [Row(*values) for values in found.iterator(chunk_size=2000)]
    labels = [{"task": row.name, "cluster": row.cluster__name} for row in rows]
    yield _family("info", "What a task is: always 1.", [_info(row) for row in rows], [1] * len(rows))
    states = [base | {"state": row.last_state or "none"} for row, base in zip(rows, labels, strict=True)]
    yield _family("last_run_state", "The state of the newest run of a task: 1 for that state.", states, [1] * len(rows))
    for name, about, value in _PLAIN:
        yield _family(name, about, labels, [value(row) for row in rows])
    last, wanted = _proofs(rows, labels)
    yield from (last, wanted)


def _info(row: Row) -> dict[str, str]:
    suspended = "true" if row.suspended else "false"
    about = {"path_type": row.path_type, "mode": row.mode, "suspended": suspended}
    return {"task": row.name, "cluster": row.cluster__name} | about


def _family(name: str, about: str, labels: list[dict[str, str]], values: list[Any]) -> Metric:
    full = _NAME.format(name)
    family = GaugeMetricFamily(full, about)
    family.samples = [
        Sample(full, each, value.timestamp() if isinstance(value, datetime) else value)
        for each, value in zip(labels, values, strict=True)
        if value is not None
    ]
    return family


def _proofs(rows: list[Row], labels: list[dict[str, str]]) -> tuple[Metric, Metric]:
    """Return when each kind of proof was last given, and how often it is wanted."""
    named: list[dict[str, str]] = []
    proven: list[datetime | None] = []
    wanted: list[int | None] = []
    for proof, last, interval in _PROOFS:
        for row, base in zip(rows, labels, strict=True):
            at, days = getattr(row, last), getattr(row, interval) if interval else None
            if at is not None or days is not None:
                named.append({**base, "proof": proof})
                proven.append(at)
                wanted.append(None if days is None else days * _DAY)
    return (
        _family("last_proof_timestamp_seconds", "When the sets of a task were last proven.", named, proven),
        _family("proof_interval_seconds", "After how long a proof is wanted again.", named, wanted),
    )
