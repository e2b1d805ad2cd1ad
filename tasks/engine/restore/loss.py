"""What a restoration takes away, said before it is confirmed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from storage.errors import ConsoleError
from tasks.engine.restore.wellness import Asked
from tasks.engine.snapshot import spool_path
from tasks.iotdb.base import COUNTS, Summary
from tasks.iotdb.client import take_inventory
from tasks.moments import stamp
from tasks.units import format_distance

ASK_SECONDS = 120.0
NAMES = 20


def live_summary(asked: Asked, run_id: int, check: Callable[[], None]) -> Summary:
    """Return the present inventory of a service in short. Raises ConsoleError where nobody can be asked."""
    if asked.account is None:
        raise ConsoleError(f"{asked.why[:1].upper()}{asked.why[1:]}.")
    path: Path = spool_path(run_id, f"now-{asked.service}.json")
    with suppress(FileNotFoundError):
        path.unlink()
    try:
        return take_inventory(asked.account, asked.endpoints, path, seconds=ASK_SECONDS, series_limit=0, check=check)
    finally:
        path.unlink(missing_ok=True)


def loss_of(
    cluster: str,
    taken_at: datetime,
    now: datetime,
    services: Sequence[tuple[str, Summary | None, Summary | str]],
) -> dict[str, Any]:
    """Return what is lost, as it is kept with the run and shown.

    ``services`` has for each service its inventory in the set (None where it has none) and its present one, or a
    sentence on why that is not known. Keys: ``taken_at`` and ``asked_at`` (ISO), ``seconds`` between them,
    ``databases`` that the set does not hold, ``counts`` by kind as ``[label, present, in the set]``, ``known`` and
    ``why`` it is not, and ``sentences`` that say all of it.
    """
    since = f"Every change to the metadata of {cluster} after {stamp(taken_at)}"
    sentences = [f"{since} ({format_distance(now - taken_at)})."]
    databases: list[str] = []
    counts: dict[str, list[Any]] = {}
    whys: list[str] = []
    for name, before, present in services:
        if isinstance(present, str) or before is None:
            why = present if isinstance(present, str) else "The set has no inventory."
            whys.append(f"{name}: {why}" if len(services) > 1 else why)
            continue
        newer = sorted(set(present.names.get("databases", [])) - set(before.names.get("databases", [])))
        databases += newer
        sentences += _of_databases(newer)
        _add_counts(counts, before, present)
        more = present.counts.get("series", 0) - before.counts.get("series", 0)
        if more > 0:
            sentences.append(f"{more:,} time series more than the set holds.")
    if whys:
        sentences.append(f"What else is lost is not known. {' '.join(whys)}")
    return {
        "taken_at": taken_at.isoformat(),
        "asked_at": now.isoformat(),
        "seconds": round((now - taken_at).total_seconds()),
        "databases": databases,
        "counts": counts,
        "known": not whys,
        "why": " ".join(whys),
        "sentences": sentences,
    }


def _of_databases(newer: Sequence[str]) -> list[str]:
    if not newer:
        return []
    names = ", ".join(newer[:NAMES]) + (f" and {len(newer) - NAMES:,} more" if len(newer) > NAMES else "")
    one = len(newer) == 1
    return [
        f"{'The database' if one else f'{len(newer):,} databases'} that the set does not hold: {names}. "
        f"{'Its' if one else 'Their'} data stays on disk and is listed afterwards."
    ]


def _add_counts(counts: dict[str, list[Any]], before: Summary, present: Summary) -> None:
    for kind, label in COUNTS.items():
        if kind in before.counts and kind in present.counts:
            known = counts.setdefault(kind, [label, 0, 0])
            known[1] += present.counts[kind]
            known[2] += before.counts[kind]


def grave(expected: Summary, found: Summary) -> str:
    """Return why what came back cannot be what was restored, in one sentence; empty where it can.

    Nothing at all of what the set holds plenty of is a restoration that failed, whatever a health check says; any
    other difference is a warning, as a fuzzy copy may differ in what changed while it was made.
    """
    for kind in ("databases", "series"):
        if expected.counts.get(kind, 0) > 0 and found.counts.get(kind) == 0:
            return f"IoTDB shows no {COUNTS[kind].lower()} at all, the set holds {expected.counts[kind]:,}."
    return ""
