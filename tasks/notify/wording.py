"""The words of messages: what happened, to which task and cluster, what to do, and where. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tasks.models import Alarm, Notice, Run
from tasks.models.run import RESTORES
from tasks.moments import retold, stamp
from tasks.notify.levels import BAD
from tasks.states import GOOD, Kind, NoticeKind, RunState
from tasks.units import format_duration

APP = "Backup Console"
_KINDS = {
    Kind.BACKUP: "Backup",
    Kind.RESTORE: "Restoration",
    Kind.ROLLBACK: "Rollback of",
    Kind.CHECK: "Check of a set of",
    Kind.REHEARSAL: "Rehearsal of a set of",
}
_ENDS = {
    RunState.SUCCESSFUL: "succeeded",
    RunState.WARNINGS: "succeeded with warnings",
    RunState.FAILED: "failed",
    RunState.STOPPED: "was stopped",
    RunState.POSTPONED: "was postponed",
    RunState.ROLLED_BACK: "was rolled back",
    RunState.UNKNOWN: "ended in an unknown state",
}
# In the order of the subject: what needs somebody first.
COUNTED = {
    RunState.UNKNOWN: "unknown",
    RunState.FAILED: "failed",
    RunState.ROLLED_BACK: "rolled back",
    RunState.POSTPONED: "postponed",
    RunState.WARNINGS: "with warnings",
    RunState.STOPPED: "stopped",
    RunState.SUCCESSFUL: "successful",
}
_CURES = {
    (Kind.BACKUP, RunState.FAILED): "Put the cause right, then press Back Up Now.",
    (Kind.BACKUP, RunState.POSTPONED): "Press Back Up Now for a set before the next run.",
    (Kind.CHECK, RunState.FAILED): "Look in the history for what the check found.",
    (Kind.REHEARSAL, RunState.FAILED): "Look in the log of the rehearsal for the step that failed.",
    (Kind.RESTORE, RunState.FAILED): "Put the cause right, then start the restoration again.",
    (Kind.RESTORE, RunState.ROLLED_BACK): "The cluster is as it was before. Put the cause right, then start it again.",
}


@dataclass
class Entry:
    """One thing that a message tells: a heading, lines below it, and where in the console to look."""

    heading: str
    lines: list[str] = field(default_factory=list)
    cure: str = ""
    path: str = ""

    def text(self, base: str) -> str:
        """Return the entry as text, its moments in the active zone; ``base`` is the address of the console."""
        cure = [f"What to do: {self.cure}"] if self.cure else []
        return "\n".join(retold(line) for line in (self.heading, *self.lines, *cure, link(base, self.path)) if line)


def link(base: str, path: str) -> str:
    """Return the address of a page of the console, or where it is in it, where its address is not known."""
    if not path:
        return ""
    return f"{base}{path}" if base else f"In the console: {path}"


def entry_of_run(run: Run, before: str, path: str) -> Entry:
    """Return what is told of a run that ended."""
    again = " again" if run.state in GOOD and before in BAD else ""
    heading = f"{_KINDS[Kind(run.kind)]} {run.thing.name} {_ENDS[RunState(run.state)]}{again} (cluster {run.cluster})"
    took = f", took {format_duration(run.duration)}" if run.duration else ""
    cure = _CURES.get((Kind(run.kind), RunState(run.state)), "")
    return Entry(heading, [f"{stamp(run.began)}, started by {_who(run)}{took}", run.reason], cure, path)


def _who(run: Run) -> str:
    who = run.who
    return f"the {who.lower()}" if who in ("Schedule", "Console") else who or "somebody"


def entry_of_alarm(alarm: Alarm, kind: str) -> Entry:
    """Return what is told of an alarm that came or went."""
    of = f" of {alarm.place}" if alarm.place else ""
    cluster = f" (cluster {alarm.cluster})" if alarm.cluster else ""
    if kind == NoticeKind.CLEARED:
        return Entry(f"Alarm cleared: {alarm.name}{of}{cluster}", [f"Cleared by {alarm.cleared_by}."], "", alarm.link)
    heading = f"{alarm.get_severity_display()} alarm: {alarm.name}{of}{cluster}"
    return Entry(heading, [alarm.cause], alarm.cure, alarm.link)


def add_alarm(entry: Entry, alarm: Alarm, kind: str) -> None:
    """Say in the entry of a run that it raised or cleared an alarm: its cause is told there already."""
    raised = kind == NoticeKind.RAISED
    entry.lines.append(f"The alarm {alarm.name} was {'raised' if raised else 'cleared'}.")
    if raised and alarm.cure:
        entry.cure = alarm.cure


def counted(states: dict[str, int], raised: int = 0, cleared: int = 0) -> str:
    """Return ``2 failed, 41 successful, 1 alarm raised``; empty where there is nothing."""
    parts = [f"{states[state]:,} {word}" for state, word in COUNTED.items() if states.get(state)]
    for number, what in ((raised, "raised"), (cleared, "cleared")):
        if number:
            parts.append(f"{number:,} {'alarm' if number == 1 else 'alarms'} {what}")
    return ", ".join(parts)


def mood(states: dict[str, int], raised: int) -> str:
    """Return how serious a message is, in apprise's words."""
    if raised or any(states.get(state) for state in BAD):
        return "failure"
    if states.get(RunState.WARNINGS):
        return "warning"
    return "success" if any(states.get(state) for state in GOOD) else "info"


def page(entries: Iterable[Entry], more: int, base: str, *, head: str = "", foot: str) -> str:
    """Return a whole message. ``more`` things are not in it and said to be."""
    parts = [head, *(entry.text(base) for entry in entries)]
    if more:
        parts.append(f"And {more:,} more. {link(base, '/backups/')}")
    return "\n\n".join(part for part in (*parts, foot) if part)


def kind_of(kind: str) -> str:
    """Return the heading under which a digest counts runs of a kind."""
    names = {Kind.CHECK: "Checks of sets", Kind.REHEARSAL: "Rehearsals"}
    return "Restorations" if kind in RESTORES else names.get(Kind(kind), "Backups")


def merge_key(notice: Notice) -> tuple[object, ...]:
    """Return what a run and the alarms that its end raised or cleared have in common."""
    return (notice.task_id, notice.cluster_id, notice.at)
