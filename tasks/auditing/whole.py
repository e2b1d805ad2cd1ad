"""The whole chain verified at once, as the command does it, and what does not hold accepted."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from tasks.audit import CONSOLE, Target, record
from tasks.auditing import checkpoint
from tasks.auditing.sealing import seal_all
from tasks.auditing.verification import ACCEPT, Walk, links
from tasks.auditing.watch import VERIFIED, conclude, object_to, tell
from tasks.models import AuditChain

EVERYTHING = 10**9


def verify(now: datetime, most: int) -> Walk:
    """Verify from the first event to the last, put the result on record and raise or clear the alarm."""
    seal_all()
    state = AuditChain.load()
    walk = Walk.begin(most=most)
    for link in links(until=state.position):
        walk.take(link)
    walk.end(state.position, state.digest)
    conclude(state, walk, now)
    state.save(update_fields=VERIFIED)
    kept = checkpoint.kept()
    object_to(kept.objection() if kept else "")
    tell(now)
    return walk


def accept(walk: Walk) -> None:
    """Go on from the chain as it is: put every finding of ``walk`` on record as accepted, also this host's checkpoint.

    What is changed afterwards, be it at the same place, is found again.
    """
    objections = [text for text in AuditChain.load().checkpoints.values() if text]
    with transaction.atomic():
        head = AuditChain.locked()
        if walk.position == head.position:
            # What follows holds on to the end as it is, not as it was.
            head.digest = walk.digest
            head.save(update_fields=("digest",))
        record(
            CONSOLE,
            ACCEPT,
            Target("audit", "Audit"),
            after={
                "proofs": [finding.proof for finding in walk.findings],
                "findings": [finding.text for finding in walk.findings] + objections,
            },
            note="from the command line",
        )
    seal_all()
    if end := checkpoint.present():
        checkpoint.keep(end)
