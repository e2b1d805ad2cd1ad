"""What Check says of an IoTDB that was asked; pure."""

from __future__ import annotations

from tasks.iotdb.base import COUNTS, FOR_HEALTH, FOR_LISTS, Health, Summary
from tasks.iotdb.difference import phrase
from tasks.sources.base import Finding

_ADMIN_ONLY = "Only the admin user"
_LISTS = {
    "MANAGE_USER": "LIST USER",
    "MANAGE_ROLE": "LIST ROLE",
    "USE_UDF": "SHOW FUNCTIONS",
    "USE_TRIGGER": "SHOW TRIGGERS",
    "USE_CQ": "SHOW CQS",
    "USE_PIPE": "SHOW PIPES",
}


def no_account(problem: str) -> Finding:
    """Return what there is to say where nobody can ask: no account is given, or its password is lost (``problem``)."""
    if problem:
        return Finding("failed", "IoTDB user", problem)
    return Finding(
        "warning",
        "IoTDB user",
        "None is given: a backup does not ask IoTDB whether it is well, and counts are unknown.",
        "Choose Edit and give one.",
    )


def of_health(health: Health, user: str) -> Finding:
    """Return the finding on a service's health, with the cure that fits."""
    if health.well:
        return Finding("ok", "Health", f"IoTDB {health.version}: {health.words}")
    if not health.answered:
        cure = "Start IoTDB, or correct RPC address and RPC port of the DataNodes."
    elif health.refused:
        cure = "Choose Edit and type user and password again."
    elif lacking := [right for right in FOR_HEALTH if right in health.words]:
        cure = f"In IoTDB: GRANT {', '.join(lacking)} ON root.** TO USER {user}."
    else:
        cure = "Look into the log of that node. Backups go on, with a warning."
    return Finding("failed", "Health", health.words, cure)


def of_inventory(summary: Summary, user: str) -> list[Finding]:
    """Return the findings on an inventory: what was counted, and what the account is not shown."""
    counts = ", ".join(phrase(summary.counts[kind], kind) for kind in COUNTS if kind in summary.counts)
    findings = [Finding("ok", "Inventory", f"{counts}.")] if counts else []
    lacking = [right for right in FOR_LISTS if right in summary.errors.get(_LISTS[right], "")]
    if lacking:
        listed = ", ".join(_LISTS[right] for right in lacking)
        cure = f"In IoTDB: GRANT {', '.join(lacking)} ON root.** TO USER {user}."
        findings.append(Finding("warning", "Not shown", f"{user} is refused: {listed}.", cure))
    if any(_ADMIN_ONLY in why for why in summary.errors.values()):
        findings.append(Finding("warning", "Not shown", "Templates: this IoTDB shows them to root only."))
    return findings
