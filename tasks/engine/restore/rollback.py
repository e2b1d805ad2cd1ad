"""A rollback: the way back of a restoration whose worker was lost, or that could not find back by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from storage.errors import ConsoleError, Unreachable
from tasks.engine.lease import Lease
from tasks.engine.outcome import Outcome
from tasks.engine.restore.control import Node
from tasks.engine.restore.standing import touched
from tasks.engine.restore.stepping import Stepping, reach
from tasks.engine.restore.target import Target, target_of
from tasks.engine.restore.undo import STEPS, Undo
from tasks.engine.restore.wellness import Asked, asked_of
from tasks.hosts import Host
from tasks.models import Node as NodeRow
from tasks.models import Run
from tasks.states import Kind, RunState

TRIES = 3
PAUSE = 5.0  # seconds before a machine that could not be reached is tried again


class RollBack(Stepping):
    """Carries out the way back of the last restoration that changed its target."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(lease, STEPS)

    def carry_out(self) -> Outcome:
        """Go back, and say how IoTDB is then."""
        self.claimed()
        source = self._source()
        if source is None:
            return Outcome(RunState.ROLLED_BACK, "Nothing of the cluster had been changed.")
        with self.keeper() as keeper, ExitStack() as stack:
            nodes, asked = nodes_of(source, stack, keeper.check_held)
            words = Undo(source, nodes, asked, self.steps, keeper.check_held, self.log).go()
        return Outcome(RunState.ROLLED_BACK, f"What was there before is back. {words}")

    def failed(self, outcome: Outcome) -> Outcome:
        """Return *Unknown*, whatever broke it off."""
        self.steps.fail(outcome.reason)
        return replace(outcome, state=RunState.UNKNOWN)

    def _source(self) -> Run | None:
        """Return the restoration run whose changes are undone."""
        runs = Run.objects.filter(restoration_id=self.run.restoration_id or 0, kind=Kind.RESTORE, pk__lt=self.run.pk)
        return next((run for run in runs.order_by("-pk")[:20] if touched(run)), None)


def nodes_of(source: Run, stack: ExitStack, check: Callable[[], None]) -> tuple[list[Node], list[Asked]]:
    """Return the nodes that a restoration stopped, reached anew, and whom to ask how they are.

    A machine that cannot be reached is tried again. Raises errors of ``storage.errors``.
    """
    nodes, services = [], {}
    for stored in source.parameters["nodes"]:
        row = NodeRow.objects.select_related("service").filter(pk=stored["node"]).first()
        if row is None:
            raise ConsoleError(
                "A node of the cluster was deleted, and the console does not know any more how to reach it.",
                cure="Put its directories back by hand: the safety copies are listed.",
            )
        target = target_of(row)
        ports = {role: tuple(numbers) for role, numbers in stored["ports"].items()}
        nodes.append(Node(_patiently(target, stack, check), target, ports))
        services[row.service_id] = row.service
    return nodes, [asked_of(service) for service in services.values()]


def _patiently(target: Target, stack: ExitStack, check: Callable[[], None]) -> Host:
    for number in range(1, TRIES + 1):
        try:
            return reach(target, stack)
        except Unreachable:
            if number == TRIES:
                raise
            check()
            time.sleep(PAUSE)
    raise AssertionError("not reached")
