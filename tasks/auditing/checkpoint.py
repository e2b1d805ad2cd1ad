"""The checkpoint: where the chain ended when this host last looked, kept in a file outside of the database.

Whoever has the database alone can neither cut the end of the chain off nor compute it anew without being found out.
``<id>:<digest>`` is also what ``verifyaudit`` prints and expects, to be kept wherever an auditor likes.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from tasks.auditing.verification import digest_of, event_at
from tasks.models import AuditChain

_FORM = re.compile(r"(\d{1,18}):([0-9a-f]{64})")


@dataclass(frozen=True)
class Checkpoint:
    """The digest that an event had."""

    event: int
    digest: str

    def __str__(self) -> str:
        return f"{self.event}:{self.digest}"

    @classmethod
    def read(cls, text: str) -> Checkpoint | None:
        """Return what ``<id>:<digest>`` says, None for anything else."""
        found = _FORM.fullmatch(text.strip())
        return cls(int(found[1]), found[2]) if found else None

    def objection(self) -> str:
        """Return what the checkpoint has against the chain, or nothing where the event is there as it was."""
        digest = digest_of(self.event)
        if digest is None:
            return f"Event {self.event:,} and what followed it is missing: the end of the audit was cut off."
        if digest != self.digest:
            return f"Event {self.event:,} is not the one that it was: the audit was written anew."
        return ""


def present() -> Checkpoint | None:
    """Return where the chain ends now; None while it is empty, or where its end is not there any more."""
    head = AuditChain.current()
    event = event_at(head.position)
    return Checkpoint(event, head.digest) if event is not None else None


def kept() -> Checkpoint | None:
    """Return the checkpoint of this host; None where it has none yet, or an unreadable one."""
    try:
        return Checkpoint.read(_path().read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def keep(checkpoint: Checkpoint) -> None:
    """Write the checkpoint of this host; a crash leaves the old one or the new one."""
    path = _path()
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(f"{checkpoint}\n", encoding="ascii")
    draft.chmod(0o600)
    draft.replace(path)


def _path() -> Path:
    path: Path = settings.DATA_DIR / "audit-checkpoint"
    return path
