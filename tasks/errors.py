"""Errors of sources, runs and verbs; they belong to the tree of ``storage.errors``."""

from __future__ import annotations

from storage.errors import ConsoleError


class SourceError(ConsoleError):
    """What should be backed up cannot be read as a whole."""

    code = "source"


class HomeMissing(SourceError):
    """The directory given as the home of IoTDB is not there."""

    code = "home-missing"


class Unreadable(SourceError):
    """A file or directory of the source may not be read by the console."""

    code = "unreadable"


class NothingToBackUp(SourceError):
    """The source holds no metadata."""

    code = "nothing-to-back-up"


class KeepsChanging(SourceError):
    """A group of files changed at every attempt to copy it."""

    code = "keeps-changing"
    retryable = True


class NothingRecorded(ConsoleError):
    """What is needed to come to a set is not on record, or no longer."""

    code = "nothing-recorded"


class RunEnded(ConsoleError):
    """A run has to end now although nothing is wrong with source or destination."""


class RunStopped(RunEnded):
    """Somebody pressed Stop, or suspended the task."""

    code = "stopped"


class LeaseLost(RunEnded):
    """The run no longer belongs to this worker; whatever it does now must not count."""

    code = "worker-lost"


class TimeLimit(RunEnded):
    """The run took longer than a run may take."""

    code = "time-limit"


class WorkerShutdown(RunEnded):
    """The worker was told to end in the middle of a run."""

    code = "worker-shutdown"


class Refused(ConsoleError):
    """A verb cannot be done in the present state; the message says why."""

    code = "refused"


class EditConflict(ConsoleError):
    """Somebody else saved the same object since this person opened it."""

    code = "edit-conflict"
