"""The part of a restoration that changes its target: stop, safety copy, swap, start, and what came of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils import timezone

from storage.errors import ConsoleError
from tasks.engine.keeper import Keeper
from tasks.engine.outcome import Outcome
from tasks.engine.restore import control, copies, orphans
from tasks.engine.restore.control import ControlFailed, Node
from tasks.engine.restore.fitting import Plan, ServicePlan
from tasks.engine.restore.loss import grave, live_summary
from tasks.engine.restore.places import Place, staging_name
from tasks.engine.restore.standing import RESTORED, TOUCHED
from tasks.engine.restore.stepping import stored_nodes
from tasks.engine.restore.target import DATA, exists
from tasks.engine.restore.unpacking import Staged, Unpacking, failure
from tasks.engine.restore.wellness import wait_for_people, wait_well
from tasks.errors import LeaseLost, RunEnded
from tasks.hosts import FileStat, Host
from tasks.iotdb.client import ask_regions
from tasks.iotdb.compare import compared, unequal
from tasks.models import SafetyCopy
from tasks.naming import stamp as digits
from tasks.units import format_size

if TYPE_CHECKING:
    from tasks.engine.restore.restoring import RestoreSet

COMPARE_TRIES = 4  # pipes, triggers and leaders of regions take a moment after a start
COMPARE_PAUSE = 4.0


class Changing:
    """Carries the plan of a confirmed restoration out; whoever calls it goes back where it raises."""

    def __init__(self, run: RestoreSet, plan: Plan, keeper: Keeper) -> None:
        self.execution = run
        self.steps = run.steps
        self.plan = plan
        self.check = keeper.check
        self.hosts = {node.target.pk: node.host for node in plan.nodes}
        self.rows: list[SafetyCopy] = []
        self.staged: dict[int, list[Staged]] = {}

    def go(self) -> Outcome:
        """Do all of it and return how it ended."""
        run = self.execution
        run.remember(**{TOUCHED: timezone.now().isoformat(), "nodes": stored_nodes(self.plan.nodes)})
        self.steps.begin("stop")
        run.done(control.stop(self.plan.nodes, self.check, run.tell, settings.RESTORE_CONFIRM_SECONDS))
        self.steps.begin("copy")
        run.done(self._set_aside())
        self.steps.begin("swap")
        run.done(self._unpack_and_swap())
        self.steps.begin("start")
        control.start(self.plan.nodes, self.check, run.tell)
        wait_for_people(self.plan.nodes, self.check, run.tell)
        run.done("All were told to start.")
        self.steps.begin("health")
        well = wait_well(self.plan.nodes, self.plan.asked, self.check, run.tell)
        if well.doubt:
            run.warn(well.doubt)
        run.done(well.words)
        self.steps.begin("compare")
        words = self._compare()
        run.remember(**{RESTORED: timezone.now().isoformat()})
        run.done(words)
        self._after()
        return run.outcome(words)

    # --- The directories ----------------------------------------------------------------------------------------------
    def _places(self) -> Iterator[tuple[int, Place, Node]]:
        """Yield all places with the number of their service and their node."""
        for number, service in enumerate(self.plan.services):
            for pair, node in zip(service.pairs, service.nodes, strict=True):
                for place in pair.places:
                    yield number, place, node

    def _set_aside(self) -> str:
        """Rename what is there; where nothing is, that is on record too."""
        suffix = digits(timezone.now(), timezone.get_default_timezone())
        run = self.execution
        for number, place, node in self._places():
            self.check()
            with on(node.target.name):
                before = _before(node.host, place.path)
                row = copies.set_aside(run.run, node.target, node.host, place, suffix)
            self.rows.append(row)
            self.staged.setdefault(number, []).append(
                Staged(place, node.host, staging_name(place.path, run.run.pk), before)
            )
            if row.path:
                run.info(f"{row.original} on node {row.node_name} is now {row.path}.")
        made = sum(bool(row.path) for row in self.rows)
        days = settings.SAFETY_COPY_DAYS
        return f"{made} directories renamed to …pre-restore-{suffix}. Kept for {days} days after a success."

    def _unpack_and_swap(self) -> str:
        run = self.execution
        files = 0
        for number, service in enumerate(self.plan.services):
            files += self._unpack(service, self.staged.get(number, []))
        for row in self.rows:
            self.check()
            host = self.hosts[row.node_id or 0]
            with on(row.node_name):
                copies.swap_in(row, host)
            run.info(f"{row.original} on node {row.node_name} is the restored one.")
        return f"{files:,} files written, read back and compared; {len(self.rows)} directories swapped."

    def _unpack(self, service: ServicePlan, staged: list[Staged]) -> int:
        run, archive = self.execution, service.archive
        proven = archive.proven
        done = 0

        def count(name: str) -> None:
            nonlocal done
            done += 1
            self.steps.tell(f"{service.row.name}: {name}", done, 2 * proven.members)

        names = ", ".join(sorted({one.place.node for one in staged}))
        unpacking = Unpacking(staged, self.check, count, run.count)
        with on(names):
            unpacking.write(archive.fetched.open, archive.listing, proven.sha256)
            run.info(f"{service.row.name}: unpacked beside what it replaces, {format_size(proven.source_bytes)}.")
            return unpacking.compare(archive.listing)

    # --- What came of it ----------------------------------------------------------------------------------------------
    def _compare(self) -> str:
        """Hold what IoTDB shows against the inventory of the set; warn of differences, raise where nothing is left."""
        return " ".join(self._compare_service(one) for one in self.plan.services)

    def _compare_service(self, service: ServicePlan) -> str:
        name, expected = service.row.name, service.summary
        if expected is None:
            return f"{name}: the set has no inventory, so that counts are not compared."
        differences: list[str] = []
        for number in range(1, COMPARE_TRIES + 1):
            self.check()
            try:
                found = live_summary(service.asked, self.execution.run.pk, self.check)
            except RunEnded:
                raise
            except ConsoleError as error:
                self.execution.warn(f"{name}: counts could not be compared. {error}")
                return f"{name}: counts could not be compared."
            differences = unequal(expected, found)
            if not differences:
                return f"{name}: all {compared(expected, found)} counts equal."
            if number < COMPARE_TRIES:
                time.sleep(COMPARE_PAUSE)
        if reason := grave(expected, found):
            raise ControlFailed(f"{name}: {reason}", cure="Look at the logs of IoTDB; rehearse the set.")
        for sentence in differences:
            self.execution.warn(f"{name}: {sentence}")
        return f"{name}: {len(differences)} differences."

    def _after(self) -> None:
        """List orphans and keep the copies; from here on nothing can make the restoration fail."""
        run = self.execution
        self.steps.begin("orphans")
        try:
            found = self._orphans()
            run.remember(orphans=found[: orphans.LISTED], orphans_count=len(found))
            run.done(_orphan_words(found))
            for line in found[: orphans.LISTED]:
                run.info(f"Orphaned data region: {line}")
        except LeaseLost:
            raise
        except (OSError, ConsoleError) as error:
            self.steps.fail("They could not be listed.")
            why = os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)
            run.warn(f"Orphaned data regions could not be listed: {why}")
        copies.keep(self.rows, self.hosts, timezone.now())

    def _orphans(self) -> list[str]:
        found = []
        for service in self.plan.services:
            told = self._regions_of(service)
            for pair, node in zip(service.pairs, service.nodes, strict=True):
                if DATA in node.target.roles:
                    on_disk = orphans.regions_on_disk(node.host, pair.found)
                    known = orphans.known_to_the_node(node.host, pair.found) if told is None else told
                    found += [f"{node.target.name}: {path}" for path in orphans.orphans(on_disk, known)]
        return found

    def _regions_of(self, service: ServicePlan) -> frozenset[int] | None:
        """Return the data regions that IoTDB names; None where only the directories of its nodes can tell."""
        asked = service.asked
        if asked.account is None:
            return None
        try:
            return ask_regions(asked.account, asked.endpoints)
        except ConsoleError as error:
            self.execution.info(f"{service.row.name}: IoTDB does not tell its regions, its directories do. {error}")
            return None


@contextmanager
def on(node: str) -> Iterator[None]:
    """Say on which node an error of its files happened."""
    try:
        yield
    except OSError as error:
        raise failure(node, error) from error


def _before(host: Host, path: str) -> FileStat | None:
    return host.stat(path) if exists(host, path) else None


def _orphan_words(found: list[str]) -> str:
    if not found:
        return "None: every data region on the disks is known."
    return f"{len(found):,} directories of data regions that the restored metadata does not know. Their files stay."
