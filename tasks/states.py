"""The states of a run, in one table: value, label, look and allowed moves (design.md, decision 5)."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import models


class RunState(models.TextChoices):
    """What became of a run. *Suspended* is a property of the task and not in here."""

    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    SUCCESSFUL = "successful", "Successful"
    WARNINGS = "warnings", "Successful with warnings"
    FAILED = "failed", "Failed"
    STOPPED = "stopped", "Stopped"
    POSTPONED = "postponed", "Postponed"
    # Of restorations only: what was there before is back, or nobody knows what is there now.
    ROLLED_BACK = "rolledback", "Rolled back"
    UNKNOWN = "unknown", "Unknown"


@dataclass(frozen=True)
class Look:
    """How a state is shown: the class of its colour, its icon, and its shape in the strip of outcomes."""

    css: str
    icon: str
    shape: str


LOOKS: dict[str, Look] = {
    RunState.WAITING: Look("status-idle", "i-wait", "none"),
    RunState.RUNNING: Look("status-run", "i-run", "run"),
    RunState.SUCCESSFUL: Look("status-ok", "i-ok", "ok"),
    RunState.WARNINGS: Look("status-warn", "i-warn", "warn"),
    RunState.FAILED: Look("status-fail", "i-fail", "fail"),
    RunState.STOPPED: Look("status-idle", "i-stop", "stop"),
    RunState.POSTPONED: Look("status-post", "i-post", "post"),
    RunState.ROLLED_BACK: Look("status-warn", "i-rollback", "fail"),
    RunState.UNKNOWN: Look("status-fail", "i-unknown", "fail"),
}
NO_RUNS_YET = Look("status-idle", "i-circle", "none")

ACTIVE = (RunState.WAITING, RunState.RUNNING)
GOOD = (RunState.SUCCESSFUL, RunState.WARNINGS)

# A postponed occurrence is recorded as such from the start; nothing moves into that state.
MOVES: dict[str, frozenset[str]] = {
    RunState.WAITING: frozenset({RunState.RUNNING, RunState.STOPPED, RunState.FAILED}),
    RunState.RUNNING: frozenset(
        {
            RunState.SUCCESSFUL,
            RunState.WARNINGS,
            RunState.FAILED,
            RunState.STOPPED,
            RunState.ROLLED_BACK,
            RunState.UNKNOWN,
        }
    ),
}


class Kind(models.TextChoices):
    """What a run does. All kinds share queue, lease, log, and the line of their cluster."""

    BACKUP = "backup", "Backup"
    RESTORE = "restore", "Restoration"
    ROLLBACK = "rollback", "Rollback"
    CHECK = "check", "Check set"
    REHEARSAL = "rehearsal", "Rehearsal"


class Reach(models.TextChoices):
    """Where the files of a node are."""

    LOCAL = "local", "On this machine"
    SSH = "ssh", "On another host, over SSH"


class Control(models.TextChoices):
    """How the IoTDB of a node is stopped and started for a restoration."""

    HAND = "hand", "By hand"
    SCRIPTS = "scripts", "IoTDB's own scripts"
    SYSTEMD = "systemd", "systemd"
    COMMANDS = "commands", "Commands of your own"


class Severity(models.TextChoices):
    """How serious an alarm is (admin_guide_000070)."""

    CRITICAL = "critical", "Critical"
    MAJOR = "major", "Major"
    MINOR = "minor", "Minor"
    SUGGESTION = "suggestion", "Suggestion"


class Mode(models.TextChoices):
    """Who starts the task (seed, step 5)."""

    PERIODIC = "periodic", "Periodic"
    MANUAL = "manual", "Manual"


class PeriodUnit(models.TextChoices):
    """The unit of a period (seed, Table 1)."""

    HOURS = "hours", "Hours"
    DAYS = "days", "Days"


class Policy(models.TextChoices):
    """Backup Policy (seed, Table 1); for component metadata only the second is supported."""

    FIRST_FULL = "first-full", "Full backup at the first time and incremental backup subsequently"
    FULL = "full", "Full backup every time"
    FULL_EVERY_N = "full-every-n", "Full backup once every n times"


class IPMode(models.TextChoices):
    """The network type of a cluster, and the mode of a target address (seed, step 7)."""

    IPV4 = "ipv4", "IPv4"
    IPV6 = "ipv6", "IPv6"


class Trigger(models.TextChoices):
    """What made a run."""

    SCHEDULE = "schedule", "Schedule"
    PERSON = "person", "Person"
    CONSOLE = "console", "Console"


class Level(models.TextChoices):
    """What a person is told of a task (``tasks.notify.levels``)."""

    NEVER = "never", "Never"
    ON_CHANGE = "change", "On change"
    ON_FAILURE = "failure", "On failure"
    ALWAYS = "always", "Always"
    DIGEST = "digest", "Daily digest"


class ChannelKind(models.TextChoices):
    """How a channel is given."""

    MAIL = "mail", "Mail"
    WEBHOOK = "webhook", "Webhook"
    URL = "url", "Chat or other service"


class SmtpSecurity(models.TextChoices):
    """How the connection to a mail server is encrypted; the values are apprise's."""

    STARTTLS = "starttls", "STARTTLS"
    SSL = "ssl", "TLS from the start"
    INSECURE = "insecure", "None"


class NoticeKind(models.TextChoices):
    """What a notice tells of."""

    RUN = "run", "Run ended"
    RAISED = "raised", "Alarm raised"
    CLEARED = "cleared", "Alarm cleared"


class MessageState(models.TextChoices):
    """How far a message is."""

    WAITING = "waiting", "Waiting"
    SENDING = "sending", "Sending"
    SENT = "sent", "Sent"
    FAILED = "failed", "Failed"
