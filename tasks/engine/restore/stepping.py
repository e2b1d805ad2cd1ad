"""An execution whose steps are shown: stored at each change, and by the keeper while one goes on."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from tasks.engine.execution import Execution
from tasks.engine.lease import Lease
from tasks.engine.restore.control import Node
from tasks.engine.restore.target import Target
from tasks.engine.steps import Steps
from tasks.errors import LeaseLost
from tasks.hosts import Host, connect
from tasks.models import Run
from tasks.states import RunState


class Stepping(Execution):
    """What restoration and rollback share."""

    def __init__(self, lease: Lease, titles: Mapping[str, str]) -> None:
        super().__init__(lease)
        self.steps = Steps(titles, self.store_steps)
        self.read = 0

    def store_steps(self) -> None:
        """Write the steps down; nothing where the run is not ours any more, which the keeper finds out."""
        self._held().update(step=self.steps.words[:60], steps=self.steps.as_json())

    def progress(self) -> dict[str, Any]:
        """Return what the page shows while the run goes on; called from the keeper's thread."""
        return {"step": self.steps.words[:60], "steps": self.steps.as_json(), "bytes_read": self.read}

    def remember(self, **parameters: Any) -> None:
        """Keep parameters with the run; raise ``LeaseLost`` where it is not ours any more."""
        self.run.parameters = {**self.run.parameters, **parameters}
        if not self._held().update(parameters=self.run.parameters):
            raise LeaseLost("The run no longer belonged to this worker.")

    def _held(self) -> Any:
        return Run.objects.filter(pk=self.run.pk, state=RunState.RUNNING, lease_token=self.lease.token)

    def tell(self, text: str) -> None:
        """Say how far the present step is."""
        self.steps.tell(text)

    def done(self, text: str) -> None:
        """End the present step well, and write that into the log."""
        words = self.steps.words
        self.steps.done(text)
        self.info(f"{words}: {text}")

    def count(self, size: int) -> None:
        """Note that so many bytes were read."""
        self.read += size


def reach(target: Target, stack: ExitStack) -> Host:
    """Return the machine of a node, let go of at the end of ``stack``. Raises errors of ``storage.errors``."""
    return stack.enter_context(connect(target.spec.host, target.name))


def stored_nodes(nodes: list[Node]) -> list[dict[str, Any]]:
    """Return what a rollback needs to know of nodes that it may not be able to look at any more."""
    return [
        {"node": node.target.pk, "ports": {role: list(ports) for role, ports in node.ports.items()}} for node in nodes
    ]
