"""How much harm an audited operation can do, by its verb (FusionInsight, admin_guide_000085: four levels)."""

from __future__ import annotations

from django.db import models


class Risk(models.TextChoices):
    """The risk level of an operation."""

    CRITICAL = "critical", "Critical"
    MAJOR = "major", "Major"
    MINOR = "minor", "Minor"
    NOTICE = "notice", "Notice"


# The verbs whose level their first word does not tell.
_VERBS = {
    # What a cluster holds is replaced, or can no longer be brought back.
    "start restoration": Risk.CRITICAL,
    "confirm restoration": Risk.CRITICAL,
    "roll back": Risk.CRITICAL,
    "remove safety copies": Risk.CRITICAL,
    # Who may do everything, and whether the audit can be relied on.
    "create administrator": Risk.CRITICAL,
    "set administrator's password": Risk.CRITICAL,
    "accept audit findings": Risk.CRITICAL,
    "find foreign events": Risk.CRITICAL,
    "lock out": Risk.MAJOR,
    "create user": Risk.MAJOR,
    "change own password": Risk.MINOR,
    "change own profile": Risk.NOTICE,
    "set notification level": Risk.NOTICE,
    "stop run": Risk.MAJOR,
    "suspend task": Risk.MAJOR,
    "clear alarm": Risk.MINOR,
    "back up now": Risk.MINOR,
    "salvage set": Risk.MAJOR,
    "export audit": Risk.MINOR,
}
_FIRST_WORDS = {
    "delete": Risk.MAJOR,
    "remove": Risk.MAJOR,
    "change": Risk.MAJOR,
    "configure": Risk.MAJOR,
    "give": Risk.MAJOR,
    "limit": Risk.MAJOR,
    "disable": Risk.MAJOR,
    "enable": Risk.MAJOR,
    "set": Risk.MAJOR,
    "forget": Risk.MAJOR,
    "restore": Risk.CRITICAL,
    "create": Risk.MINOR,
    "save": Risk.MINOR,
    "resume": Risk.MINOR,
    "log": Risk.NOTICE,
    "verify": Risk.NOTICE,
    "check": Risk.NOTICE,
    "find": Risk.NOTICE,
    "rehearse": Risk.NOTICE,
    "open": Risk.NOTICE,
    "test": Risk.NOTICE,
}


def risk_of(verb: str) -> Risk:
    """Return the risk level of a verb; one that no table knows is *Minor*."""
    return _VERBS.get(verb) or _FIRST_WORDS.get(verb.partition(" ")[0], Risk.MINOR)
