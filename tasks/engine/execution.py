"""What runs of every kind share: a step, a log, warnings, and how whatever happens becomes an outcome."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from storage.errors import ConsoleError
from tasks.engine import record
from tasks.engine.ending import end, unforeseen
from tasks.engine.keeper import Keeper
from tasks.engine.lease import Lease
from tasks.engine.record import Outcome
from tasks.errors import LeaseLost, RunStopped
from tasks.models import Run
from tasks.states import RunState

log = logging.getLogger(__name__)


class Execution(ABC):
    """One run from claim to result; a subclass for each kind says what its steps are."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.run = Run.objects.select_related("task", "restoration", "subject", "cluster").get(pk=lease.run_id)
        self.step = ""
        self.warnings: list[str] = []

    @abstractmethod
    def carry_out(self) -> Outcome:
        """Go through the steps and return how the run ended; raise what broke it off."""

    def left_something(self) -> bool:
        """Tell whether a run that ended badly may have left something that ``clean_up`` removes."""
        return False

    def clean_up(self) -> None:  # noqa: B027 (most kinds leave nothing)
        """Remove what the run left; also asked for where its lease was lost."""

    def failed(self, outcome: Outcome) -> Outcome:
        """Return how a run is recorded that was broken off; by then nothing can be raised any more."""
        return outcome

    def execute(self) -> None:
        """Carry the run out and record how it ended; raises only what ends the process."""
        try:
            outcome = self.carry_out()
        except LeaseLost:
            # Whoever took the lease away has recorded the end; what this worker left is swept by its name.
            log.warning("run %s lost its lease", self.lease.run_id)
            self.clean_up()
            return
        except RunStopped as error:
            outcome = self.failed(Outcome(RunState.STOPPED, str(error), error.code))
        except ConsoleError as error:
            outcome = self.failed(Outcome(RunState.FAILED, str(error), error.code, error))
        except Exception as error:
            log.exception("run %s failed unforeseen", self.lease.run_id)
            outcome = self.failed(Outcome(RunState.FAILED, *unforeseen(self.lease.run_id, error)))
        end(self.lease, outcome, self.clean_up if self.left_something() else None)

    def keeper(self) -> Keeper:
        """Return what keeps the lease alive while the steps go on; to be used as a context."""
        deadline = self.run.began + timedelta(seconds=settings.RUN_TIME_LIMIT)
        return Keeper(self.lease, self.progress, deadline)

    def claimed(self) -> None:
        """Write the first line of the log."""
        self.info(f"Run {self.run.pk} claimed by worker {self.run.worker}. Started by: {self.run.who}.")

    def progress(self) -> dict[str, Any]:
        """Return what the page shows while the run goes on; called from the keeper's thread."""
        return {"step": self.step}

    def info(self, text: str) -> None:
        """Add a line to the run's log."""
        self.log("INFO", text)

    def warn(self, text: str) -> None:
        """Note something that makes the run end as *Successful with warnings*."""
        self.log("WARN", text)
        self.warnings.append(text)

    def log(self, level: str, text: str) -> None:
        """Add a line to the run's log; how long the database may be away is for the keeper to say, not for a line."""
        try:
            record.write_line(self.run.pk, level, text)
        except (DatabaseError, InterfaceError) as error:
            log.warning("run %s: not in its log, %s: %s", self.run.pk, type(error).__name__, text)
            connection.close()

    def outcome(self, words: str = "") -> Outcome:
        """Return how a run ended that did what it should; ``words`` are its result where nothing is to be warned of."""
        state = RunState.WARNINGS if self.warnings else RunState.SUCCESSFUL
        return Outcome(state, " ".join(self.warnings) or words)
