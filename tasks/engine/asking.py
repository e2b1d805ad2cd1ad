"""What a run asks the IoTDB that it backs up: whether it is well, and its inventory.

Asking is a supplement. Whatever becomes of it, the files are copied: a sick service, a lost password and a server that
is silent are warnings, never the end of a run.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.utils import timezone

from tasks.engine.archive import ArchiveWriter
from tasks.engine.lease import Lease
from tasks.engine.snapshot import Snapshot, spool_path
from tasks.iotdb import compare
from tasks.iotdb.base import Account, Health, Summary
from tasks.iotdb.client import NotAsked, ask_health, take_inventory
from tasks.iotdb.difference import alarming, difference, difference_words, phrase
from tasks.iotdb.document import INVENTORY_NAME
from tasks.models import Run
from tasks.sources.base import ServiceSpec, Survey
from tasks.states import GOOD, Kind, RunState

HEALTH_SECONDS = 60.0
INVENTORY_SECONDS = 600.0
SERIES_LIMIT = 1_000_000
COUNTS_SECONDS = 120.0
_SHOWN = ("databases", "tables", "series", "devices", "users", "roles")
Say = Callable[[str], None]


@dataclass
class Asked:
    """What is known of one service: its health before and after the copy, and its inventory."""

    survey: Survey
    before: Health | None = None
    after: Health | None = None
    summary: Summary | None = None

    @property
    def healthy(self) -> bool | None:
        """Whether it was well all the time; None where nobody was asked."""
        known = [health.well for health in (self.before, self.after) if health is not None]
        return all(known) if known else None


class Asking:
    """Everything that one run asks. ``check`` is called while an answer is waited for, and may raise."""

    def __init__(self, lease: Lease, snapshot: Snapshot, check: Callable[[], None], info: Say, warn: Say) -> None:
        self._lease = lease
        self._snapshot = snapshot
        self._check = check
        self._info = info
        self._warn = warn
        self._asked: dict[str, Asked] = {}

    def begin(self, service: ServiceSpec, survey: Survey) -> Survey:
        """Ask whether a service is well, say it in the log, and return the survey with what the server says of itself.

        The server's word on its version wins over its property files. Whoever answers runs: the copy is a hot one.
        """
        asked = self._asked[service.name] = Asked(survey)
        if service.account is None:
            self._nobody_to_ask(service)
            return survey
        health = self._health(service, service.account)
        if not health.answered and not survey.running:
            self._info(f"IoTDB of {service.name} is stopped: a cold copy. Counts are unknown.")
            return survey
        asked.before = health
        version = health.version or survey.version
        self._tell(health, f"{self._snapshot.cluster} {service.name} {version}".strip())
        asked.survey = replace(
            survey,
            version=version,
            cluster_id=health.cluster_id or survey.cluster_id,
            running=survey.running or health.answered,
        )
        return asked.survey

    def _nobody_to_ask(self, service: ServiceSpec) -> None:
        if service.account_problem:
            self._warn(f"IoTDB of {service.name} cannot be asked: {service.account_problem}")
        else:
            self._info(f"Counts are unknown: no IoTDB account is given for {service.name}.")

    def _health(self, service: ServiceSpec, account: Account) -> Health:
        return ask_health(account, service.endpoints, seconds=HEALTH_SECONDS, check=self._check)

    def _tell(self, health: Health, who: str) -> None:
        if health.well:
            self._info(f"{who}: {health.words}")
        else:
            self._warn(f"{who} is not well: {health.words} It is backed up all the same.")

    def inventory(self, service: ServiceSpec) -> None:
        """Take the inventory of a service that answered, into the spool; what fails is a line in the log."""
        asked = self._asked[service.name]
        if service.account is None or asked.before is None or not (asked.before.version or asked.before.nodes):
            return
        path = self._path(service)
        snapshot = self._snapshot
        facts = {
            "cluster": snapshot.cluster,
            "service": service.name,
            "task": snapshot.task_name,
            "run": snapshot.run_id,
            "taken_at": timezone.now().isoformat(timespec="seconds"),
        }
        try:
            asked.summary = take_inventory(
                service.account,
                service.endpoints,
                path,
                facts=facts,
                seconds=INVENTORY_SECONDS,
                series_limit=SERIES_LIMIT,
                check=self._check,
            )
        except (NotAsked, OSError) as failure:
            why = failure if isinstance(failure, NotAsked) else os.strerror(failure.errno or 0)
            self._warn(f"The inventory of {service.name} could not be taken: {why} Its files are copied.")
            return
        self._tell_inventory(service, asked.summary)

    def _tell_inventory(self, service: ServiceSpec, summary: Summary) -> None:
        counts = [phrase(summary.counts[kind], kind) for kind in _SHOWN if kind in summary.counts]
        self._info(f"Inventory of {service.name}: {', '.join(counts) or 'nothing could be counted'}.")
        if summary.errors:
            refused = "; ".join(f"{statement}: {why}" for statement, why in list(summary.errors.items())[:5])
            more = f" and {len(summary.errors) - 5} more" if len(summary.errors) > 5 else ""
            self._info(f"Not in the inventory of {service.name}: {refused}{more}.")

    def _path(self, service: ServiceSpec, what: str = INVENTORY_NAME) -> Path:
        return spool_path(self._snapshot.run_id, f"{service.name}-{what}")

    def add_to(self, writer: ArchiveWriter, service: ServiceSpec) -> None:
        """Add the inventory of a service to its archive, where there is one, and remove it from the spool."""
        if self._asked[service.name].summary is None:
            return
        path = self._path(service)
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            writer.add_file(INVENTORY_NAME, handle)
        finally:
            os.close(handle)
            path.unlink(missing_ok=True)

    def end(self, service: ServiceSpec) -> dict[str, Any]:
        """Ask again after the copy; return the facts for the manifest.

        Counts that changed meanwhile are unsteady: the copy may hold any state between the two.
        """
        asked = self._asked[service.name]
        if service.account is not None and asked.before is not None and asked.before.answered:
            asked.after = self._health(service, service.account)
            if asked.before.well and not asked.after.well:
                self._tell(asked.after, f"After the copy {self._snapshot.cluster} {service.name}")
            if asked.summary is not None:
                asked.summary = self._with_unsteady(service, service.account, asked.summary)
        facts: dict[str, Any] = {}
        if asked.healthy is not None:
            facts["health"] = {
                name: {"well": health.well, "words": health.words}
                for name, health in (("before", asked.before), ("after", asked.after))
                if health is not None
            }
        if asked.summary is not None:
            facts["inventory"] = asked.summary.as_json()
        return facts

    def _with_unsteady(self, service: ServiceSpec, account: Account, summary: Summary) -> Summary:
        path = self._path(service, "counts.json")
        try:
            now = take_inventory(
                account, service.endpoints, path, seconds=COUNTS_SECONDS, series_limit=0, check=self._check
            )
        except (NotAsked, OSError) as failure:
            self._warn(f"{service.name} could not be counted again after the copy: {failure}")
            return summary
        finally:
            with suppress(FileNotFoundError):
                path.unlink()
        return replace(summary, unsteady=compare.unsteady(summary, now))

    def conclude(self) -> None:
        """Store inventories, changes and health with the run, and warn of what vanished since the run before."""
        inventory = {name: asked.summary for name, asked in self._asked.items() if asked.summary is not None}
        changes = {}
        for name, summary in inventory.items():
            if (before := self._before(name)) is not None:
                changes[name] = self._changes(name, before, summary)
        known = [asked.healthy for asked in self._asked.values() if asked.healthy is not None]
        held = Run.objects.filter(pk=self._lease.run_id, lease_token=self._lease.token, state=RunState.RUNNING)
        held.update(
            inventory={name: summary.as_json() for name, summary in inventory.items()},
            changes=changes,
            healthy=all(known) if known else None,
        )

    def _before(self, name: str) -> tuple[int, Summary] | None:
        """Return the newest earlier good run of the task that knows this service, and what it knew."""
        earlier = Run.objects.filter(
            task_id=self._snapshot.task_id,
            kind=Kind.BACKUP,
            state__in=GOOD,
            pk__lt=self._lease.run_id,
            inventory__has_key=name,
        )
        found = earlier.order_by("-pk").values_list("pk", "inventory").first()
        return (found[0], Summary.of(found[1][name])) if found else None

    def _changes(self, name: str, before: tuple[int, Summary], summary: Summary) -> dict[str, Any]:
        number, earlier = before
        changes = difference(earlier, summary)
        self._info(f"{name} since run {number}: {difference_words(changes)}.")
        for sentence in alarming(changes, earlier, summary):
            self._warn(f"{name} since run {number}: {sentence}")
        return changes
