"""The badge below *Last success* in the list: how far it is proven that a task's sets can be restored, since when.

Values in, values out: it comes from the task's own columns, so that a row of the list costs no query.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tasks.models import BackupTask
from tasks.units import format_distance

# A proof that is due takes its time in the line; only after that it is called too old.
GRACE = timedelta(hours=1)


@dataclass(frozen=True)
class Badge:
    """``word`` and since when; ``full`` says the same in a sentence, ``why`` what is wrong where something is."""

    word: str
    at: datetime | None
    icon: str
    css: str
    full: str
    why: str = ""

    @property
    def says(self) -> str:
        """The sentence, and what is wrong where something is."""
        return f"{self.full}. {self.why}" if self.why else self.full


@dataclass(frozen=True)
class _Proof:
    word: str
    at: datetime
    icon: str
    says: str
    limit: int | None

    def stale(self, now: datetime) -> bool:
        """Tell whether it is older than the task wants it."""
        return self.limit is not None and now - self.at > timedelta(days=self.limit) + GRACE


def badge(task: BackupTask, now: datetime) -> Badge:
    """Return the strongest proof that is not too old, or else the strongest one, as a warning.

    A problem that the last proof found is a warning whatever was proven before.
    """
    proofs = _proofs(task)
    if not proofs:
        why = task.proof_problem
        css = "proof proof-warn" if why else "proof"
        return Badge("Not read back", None, "shieldx", css, "Not proven: the archive was not read back", why)
    shown = next((proof for proof in proofs if not proof.stale(now)), proofs[0])
    age = _age(now - shown.at)
    if task.proof_problem or shown.stale(now):
        why = task.proof_problem or f"The limit is {_days(shown.limit)}."
        return Badge(shown.word, shown.at, "shieldx", "proof proof-warn", f"{shown.says} {age}", why)
    return Badge(shown.word, shown.at, shown.icon, "proof proof-ok", f"{shown.says} {age}")


def _proofs(task: BackupTask) -> list[_Proof]:
    """Return what was proven, the strongest first."""
    rehearsed, checked, verified = task.last_rehearsed_at, task.last_checked_at, task.last_verified_at
    says = "Restorable, proven by rehearsal"
    found = [_Proof("Rehearsed", rehearsed, "rehearsed", says, task.rehearse_after_days)] if rehearsed else []
    if checked:
        found.append(_Proof("Checked", checked, "shield", "Every byte checked", task.check_after_days))
    if verified:
        found.append(_Proof("Verified", verified, "shield", "Read back and compared", task.check_after_days))
    return found


def _age(age: timedelta) -> str:
    if age >= timedelta(days=1):
        return f"{_days(age.days)} ago"
    return f"{format_distance(age)} ago" if age > timedelta(0) else "just now"


def _days(number: int | None) -> str:
    return "1 day" if number == 1 else f"{number} days"
