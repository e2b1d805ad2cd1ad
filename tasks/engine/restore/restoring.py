"""A restoration: one set back into its cluster, step by step.

Until it is confirmed nothing on the target is changed. From the stop of IoTDB on, whatever goes wrong leads back to
what was there before (``undo``); a worker that is lost is followed by a rollback (``settling``).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from django.conf import settings
from django.utils import timezone

from storage.errors import ConsoleError
from tasks.engine.ending import unforeseen
from tasks.engine.keeper import Keeper
from tasks.engine.lease import Lease
from tasks.engine.outcome import Outcome
from tasks.engine.restore.archives import Archive, fetched
from tasks.engine.restore.changing import Changing
from tasks.engine.restore.fitting import Fitting, Plan
from tasks.engine.restore.loss import live_summary, loss_of
from tasks.engine.restore.rollback import nodes_of
from tasks.engine.restore.standing import touched
from tasks.engine.restore.stepping import Stepping
from tasks.engine.restore.undo import STEPS as WAY_BACK
from tasks.engine.restore.undo import Undo
from tasks.engine.restore.wellness import asked_of
from tasks.errors import LeaseLost, RunStopped
from tasks.iotdb.base import Summary
from tasks.models import Run
from tasks.moments import stamp
from tasks.states import RunState
from tasks.units import format_duration, format_size

STEPS = {
    "fetch": "Fetch the set",
    "verify": "Verify every hash",
    "match": "Match version, cluster, nodes and ports",
    "confirm": "Confirm",
    "stop": "Stop DataNodes, then ConfigNodes",
    "copy": "Safety copy",
    "swap": "Unpack to staging, check, swap",
    "start": "Start ConfigNodes, then DataNodes",
    "health": "Health: every node Running and series counted",
    "compare": "Compare counts with the inventory",
    "orphans": "List orphaned data regions",
}
_LOOK = 0.5
log = logging.getLogger(__name__)


class RestoreSet(Stepping):
    """The steps of one restoration."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(lease, STEPS)

    def carry_out(self) -> Outcome:
        """Go through the steps and return how it ended; raise what broke it off before anything was changed."""
        self.claimed()
        with self.keeper() as keeper, ExitStack() as stack:
            archives = self._fetch(keeper, stack)
            plan = self._match(archives, keeper, stack)
            self._confirm(keeper)
            return self._change(plan, keeper)

    def failed(self, outcome: Outcome) -> Outcome:
        """Return how it ended that was broken off before anything was changed; the target is as it was."""
        if touched(self.run):
            return outcome
        self.steps.fail(outcome.reason)
        self.steps.skip_rest()
        return replace(outcome, reason=f"{outcome.reason} Nothing was changed.")

    # --- Before anything is changed -----------------------------------------------------------------------------------
    def _fetch(self, keeper: Keeper, stack: ExitStack) -> list[Archive]:
        assert self.run.restoration is not None
        restoration = self.run.restoration
        sizes = sum(int(file.get("size") or 0) for file in restoration.files)
        Run.objects.filter(pk=self.run.pk).update(bytes_expected=2 * sizes)
        self.steps.begin("fetch")
        archives = fetched(restoration, self.run.pk, keeper.check, self.count, stack)
        self.read = sum(one.size for one in archives)
        names = ", ".join(one.name for one in archives)
        size = format_size(sum(one.size for one in archives))
        self.done(f"{names}, {size}, from {restoration.path_type}.")
        self.steps.begin("verify")
        for archive in archives:
            archive.verify(keeper.check, self.count)
        # What is written and read back is as much again, twice.
        expected = self.read + 2 * sum(one.proven.source_bytes for one in archives)
        Run.objects.filter(pk=self.run.pk).update(bytes_expected=expected)
        members = sum(one.proven.members for one in archives)
        self.done(f"{members:,} members against the manifest, all equal.")
        return archives

    def _match(self, archives: Sequence[Archive], keeper: Keeper, stack: ExitStack) -> Plan:
        self.steps.begin("match")
        fitting = Fitting(self.run.cluster, archives, keeper.check, stack)
        plan = fitting.plan()
        for note in plan.notes:
            self.info(note)
        if plan.problems:
            for problem in plan.problems:
                self.log("ERROR", problem)
            raise ConsoleError(
                f"The set does not fit {self.run.cluster}: {' '.join(plan.problems)}", cure="Then press Retry."
            )
        self.remember(loss=self._loss(plan, keeper))
        self.done(plan.words)
        return plan

    def _loss(self, plan: Plan, keeper: Keeper) -> dict[str, object]:
        """Find out what will be lost; nothing of it keeps a restoration from going on."""
        assert self.run.restoration is not None
        self.tell("Finding out what will be lost.")
        services: list[tuple[str, Summary | None, Summary | str]] = []
        for one in plan.services:
            present: Summary | str
            try:
                present = live_summary(asked_of(one.row), self.run.pk, keeper.check)
            except (RunStopped, LeaseLost):
                raise
            except ConsoleError as error:
                present = error.message
            services.append((one.row.name, one.summary, present))
        loss = loss_of(self.run.cluster.name, self.run.restoration.taken_at, timezone.now(), services)
        for sentence in loss["sentences"]:
            self.info(f"Lost: {sentence}")
        return loss

    def _confirm(self, keeper: Keeper) -> None:
        """Wait until somebody has typed the cluster's name; raise ``RunStopped`` where nobody did."""
        limit = settings.RESTORE_CONFIRM_SECONDS
        until = time.monotonic() + limit
        self.steps.begin("confirm", f"Type the name {self.run.cluster} within {format_duration(limit)}.")
        while True:
            keeper.check()
            when, who = Run.objects.values_list("confirmed_at", "confirmed_by").get(pk=self.run.pk)
            if when is not None:
                return self.done(f"{who} typed {self.run.cluster} at {stamp(when)}.")
            if time.monotonic() > until:
                raise RunStopped(f"Nobody confirmed it within {format_duration(limit)}.", cure="Press Retry.")
            time.sleep(_LOOK)

    # --- From the stop of IoTDB on ------------------------------------------------------------------------------------
    def _change(self, plan: Plan, keeper: Keeper) -> Outcome:
        changing = Changing(self, plan, keeper)
        try:
            return changing.go()
        except LeaseLost:
            raise
        except Exception as error:
            return self._go_back(error, keeper)

    def _go_back(self, error: Exception, keeper: Keeper) -> Outcome:
        """Bring back what was there before, and say so; *Unknown* where that fails too."""
        reason, code = self._words_of(error)
        self.steps.fail(reason)
        self.steps.skip_rest()
        self.log("ERROR", reason)
        self.steps.add(WAY_BACK)
        try:
            with ExitStack() as stack:
                # Connections may be what broke: each machine is reached anew.
                nodes, asked = nodes_of(self.run, stack, keeper.check_held)
                words = Undo(self.run, nodes, asked, self.steps, keeper.check_held, self.log).go()
        except LeaseLost:
            raise
        except Exception as second:
            why, _ = self._words_of(second)
            self.steps.fail(why)
            text = f"{reason} The way back failed as well, so nobody knows what IoTDB holds now. {why}"
            return Outcome(RunState.UNKNOWN, text, "rollback-failed")
        return Outcome(RunState.ROLLED_BACK, f"{reason} Rolled back: metadata as before. {words}", code)

    def _words_of(self, error: Exception) -> tuple[str, str]:
        """Return message and code; what nobody foresaw goes to the server's log as a whole."""
        if isinstance(error, ConsoleError):
            return str(error), error.code
        log.error("run %s failed unforeseen", self.run.pk, exc_info=error)
        return unforeseen(self.run.pk, error)
