"""What an uncleared alarm says on the homepage, and the cure that is one click away, for each type of alarm.

The alarm is the truth about cause and severity; here stands only in which words it is told and where one acts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from storage.errors import (
    AuthenticationFailed,
    BadPath,
    HostKeyChanged,
    HostKeyUnknown,
    NoSpace,
    PathMissing,
    PermissionDenied,
    StoreFault,
    Unreachable,
)
from storage.registry import get_path_type
from tasks.errors import SourceError
from tasks.home.items import MOST_ACTIONS, Action, Cures, Item
from tasks.models import Alarm, BackupTask
from tasks.models.alarm import SEVERITIES
from tasks.templatetags.alarms import alarm_links
from tasks.vault import KeyLost

# Errors of a run whose cure is one field of the task, and the button that leads there.
_FIELDS: Mapping[str, tuple[str, str]] = {
    AuthenticationFailed.code: ("Set new password", "password"),
    KeyLost.code: ("Type password again", "password"),
    NoSpace.code: ("Lower copies", "copies"),
    HostKeyUnknown.code: ("Confirm host key", "host_key"),
    HostKeyChanged.code: ("Confirm host key", "host_key"),
}
_PATH = (PathMissing.code, PermissionDenied.code, BadPath.code)
_SERVER = (Unreachable.code, StoreFault.code)
_SOURCE = {SourceError.code, *(cls.code for cls in SourceError.__subclasses__())}
# How the text of an error begins that is one of a node, and not of the destination (``tasks.hosts.words``).
_OF_NODE = "Node "


@dataclass(frozen=True)
class Subject:
    """An alarm with the task that it is about, or that has to change for it to go; None where there is none."""

    alarm: Alarm
    cures: Cures
    task: BackupTask | None = None

    @property
    def number(self) -> int:
        """The number in the alarm's subject, 0 where it has none."""
        last = self.alarm.subject.rpartition(" ")[2]
        return int(last) if last.isdigit() else 0

    def about(self, kind: str) -> bool:
        """Whether the alarm is about a thing of this kind."""
        return self.alarm.subject.startswith(f"{kind} ")


Act = Callable[[Subject], list[Action]]


@dataclass(frozen=True)
class Telling:
    """How a type of alarm is told: ``title`` with ``{place}`` or ``{cluster}`` in it, its mark, what can be done."""

    title: str
    icon: str
    css: str
    act: Act


def rank_of(alarm: Alarm) -> int:
    """Return the place of an alarm on the page: that of its severity."""
    return 10 * SEVERITIES.index(alarm.severity) if alarm.severity in SEVERITIES else 10 * len(SEVERITIES)


def item_of(subject: Subject) -> Item:
    """Return the alarm as one thing that needs attention; an unknown type is told by its name and leads by its link."""
    alarm = subject.alarm
    place = alarm.place or (alarm.cluster.name if alarm.cluster else "")
    telling = TELLINGS.get(alarm.code, _OTHER if place else _ALONE)
    actions = telling.act(subject) or _lead(subject)
    return Item(
        rank=rank_of(alarm),
        key=f"alarm-{alarm.pk}",
        title=telling.title.format(place=place, name=alarm.name, cluster=alarm.cluster or place),
        cause=alarm.cause,
        icon=telling.icon,
        css=telling.css,
        actions=tuple(actions[:MOST_ACTIONS]),
        cure=alarm.cure,
        command="manage.py runworkers" if alarm.code == "workers-silent" else "",
        place=place,
        cluster_id=alarm.cluster_id,
        since=alarm.raised_at,
    )


def _lead(subject: Subject) -> list[Action]:
    """Go where the alarm itself leads."""
    return [Action(link.word, link.href) for link in alarm_links(subject.alarm, subject.cures.may)]


def _failed(subject: Subject) -> list[Action]:
    return list(after_failure(subject.task, subject.cures)) if subject.task else []


def after_failure(task: BackupTask, cures: Cures) -> tuple[Action, ...]:
    """Return what can be done after the last run of ``task`` failed."""
    return (*_of_error(task, cures), *cures.back_up(task), *cures.log(task))


def _of_error(task: BackupTask, cures: Cures) -> list[Action]:
    """Return the way to the field that has to change after the last run of ``task``, where there is one."""
    code = task.last_run.error_code if task.last_run else ""
    if task.last_reason.startswith(_OF_NODE) or code in _SOURCE:
        return cures.cluster("Check nodes", task.cluster_id)
    if code in _FIELDS:
        label, name = _FIELDS[code]
        return cures.configure(label, task, name) if name == "copies" or _has_field(task, name) else []
    if code in _PATH:
        name = get_path_type(task.path_type).path_field
        return cures.configure("Change path", task, name) if _has_field(task, name) else cures.verify(task)
    return cures.verify(task) if code in _SERVER else []


def _has_field(task: BackupTask, name: str) -> bool:
    """Tell whether the form of the task's destination has the field; a path type that is gone has none."""
    try:
        return name in get_path_type(task.path_type).form_class.base_fields
    except KeyError:
        return False


def _overdue(subject: Subject) -> list[Action]:
    task, cures = subject.task, subject.cures
    return [*cures.back_up(task), *cures.history(task)] if task else []


def _damaged(subject: Subject) -> list[Action]:
    task, cures = subject.task, subject.cures
    check = cures.check_run(subject.number) if subject.about("run") else []
    return [*cures.back_up(task), *check, *cures.history(task)] if task else []


def _rehearsal(subject: Subject) -> list[Action]:
    task, cures = subject.task, subject.cures
    return [*cures.rehearse(task), *cures.history(task)] if task else []


def _proof(subject: Subject) -> list[Action]:
    task, cures = subject.task, subject.cures
    if task is None:
        return []
    rehearse = cures.rehearse(task) if task.rehearse_after_days is not None else []
    return [*cures.check(task, oldest=True), *rehearse, *cures.history(task)]


def _no_remote(subject: Subject) -> list[Action]:
    return subject.cures.create(subject.alarm.cluster_id) if subject.alarm.cluster_id else []


def _host_key(subject: Subject) -> list[Action]:
    task, cures = subject.task, subject.cures
    if subject.about("node"):
        return cures.node("Confirm host key", subject.number, "host_key")
    if task is None or not _has_field(task, "host_key"):
        return []
    return [*cures.configure("Confirm host key", task, "host_key"), *cures.verify(task)]


def _space(subject: Subject) -> list[Action]:
    """Lower the copies of the one task that stores there; several are shown by the alarm's own link."""
    task, cures = subject.task, subject.cures
    copies = cures.configure("Lower copies", task, "copies") if task else []
    return [*copies, *_lead(subject)]


def _none(subject: Subject) -> list[Action]:
    return []


_OTHER = Telling("{place}: {name}", "warn", "ico-warn", _none)
_ALONE = Telling("{name}", "warn", "ico-warn", _none)
TELLINGS: dict[str, Telling] = {
    "backup-failed": Telling("{place} failed", "fail", "ico-fail", _failed),
    "task-overdue": Telling("{place} is overdue", "fail", "ico-fail", _overdue),
    "restoration-unknown": Telling("Nobody knows what {cluster} holds", "unknown", "ico-fail", _none),
    "workers-silent": Telling("No backup starts: the workers are silent", "fail", "ico-fail", _none),
    "key-lost": Telling("Stored passwords of {place} cannot be opened", "fail", "ico-fail", _none),
    "set-damaged": Telling("A set of {place} is damaged", "fail", "ico-fail", _damaged),
    "host-key-changed": Telling("The host key of {place} has changed", "warn", "ico-warn", _host_key),
    "no-remote-task": Telling("{place} has no periodic copy on another host", "warn", "ico-warn", _no_remote),
    "space-low": Telling("{place} is low on space", "warn", "ico-warn", _space),
    "rehearsal-failed": Telling("The rehearsal of {place} failed", "shieldx", "ico-warn", _rehearsal),
    "proof-overdue": Telling("The proof of {place} is overdue", "shieldx", "ico-warn", _proof),
    "clock-drift": Telling("The clock of {place} is wrong", "clock", "ico-warn", _none),
    "notification-failed": Telling("Notifications do not get through: {place}", "bell", "ico-warn", _none),
    "audit-broken": Telling("The audit is not as it was written", "audit", "ico-fail", _none),
}
