"""The way back: stop what runs, put the directories back, start, and see that IoTDB is as well as it can be known.

Used by a restoration that failed after it began to change its target, and by a rollback, which does the same for a
restoration whose worker was lost or that could not find back. It looks at what is on the disk, so that it may be done
any number of times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from django.conf import settings
from django.utils import timezone

from tasks.engine.restore import control, copies
from tasks.engine.restore.control import Node
from tasks.engine.restore.unpacking import failure
from tasks.engine.restore.wellness import Asked, wait_for_people, wait_well
from tasks.engine.steps import Steps
from tasks.hosts import Host
from tasks.models import Run, SafetyCopy
from tasks.naming import stamp as digits

STEPS = {
    "back-stop": "Stop what runs",
    "back": "Put back what was there before",
    "back-start": "Start the ConfigNodes, then the DataNodes",
    "back-health": "Health: every node Running and series counted",
}


class Undo:
    """One way back for the run ``source``, the restoration that changed the target.

    ``check`` raises ``LeaseLost`` where somebody else has taken over, and nothing else: what is half done here is
    worse than what takes long.
    """

    def __init__(
        self,
        source: Run,
        nodes: Sequence[Node],
        asked: Sequence[Asked],
        steps: Steps,
        check: Callable[[], None],
        log: Callable[[str, str], None],
    ) -> None:
        self.source = source
        self.nodes = nodes
        self.asked = asked
        self.steps = steps
        self.check = check
        self.log = log
        self.hosts: Mapping[int, Host] = {node.target.pk: node.host for node in nodes}

    def go(self) -> str:
        """Do all of it and return how IoTDB is; raise what made it impossible."""
        steps, check = self.steps, self.check
        if self._rows():
            steps.begin("back-stop")
            steps.done(control.stop(self.nodes, check, self._tell, settings.RESTORE_CONFIRM_SECONDS))
            steps.begin("back")
            steps.done(self._put_back())
        else:
            # It did not get beyond the stop: what runs still may go on.
            steps.skip("back-stop")
            steps.skip("back", "No directory had been moved away.")
        steps.begin("back-start")
        control.start(self.nodes, check, self._tell)
        wait_for_people(self.nodes, check, self._tell)
        steps.begin("back-health")
        well = wait_well(self.nodes, self.asked, check, self._tell)
        steps.done(well.words)
        for sentence in copies.clear_staging(self._rows(), self.hosts):
            self.log("WARN", sentence)
        return well.words

    def _rows(self) -> list[SafetyCopy]:
        return list(SafetyCopy.objects.filter(run=self.source).order_by("-pk"))

    def _put_back(self) -> str:
        """Rename back in reverse order; return how many directories that were."""
        moved, time = 0, digits(timezone.now(), timezone.get_default_timezone())
        for row in self._rows():
            self.check()
            try:
                if copies.put_back(row, copies.host_of(row, self.hosts), time):
                    moved += 1
                    self.log("INFO", f"{row.original} on node {row.node_name} is what it was before.")
            except OSError as error:
                raise failure(row.node_name, error) from error
        if not moved:
            return "Nothing had been moved away."
        return f"{moved} {'directory is' if moved == 1 else 'directories are'} what they were before."

    def _tell(self, text: str) -> None:
        self.steps.tell(text)
