"""Sealing: committed events become links of the chain, in one short transaction of its own.

``audit.record`` is called inside the transactions of verbs, which may be long. A chain that was written there would
make all of them wait for each other. So an event is written without a link and sealed right after its commit; what a
process that died left unsealed is sealed with the next event, or by the tick. Only whoever holds the row of
``AuditChain`` seals, and positions are unique, so there is neither a gap nor a fork.
"""

from __future__ import annotations

import logging

from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from tasks import chain
from tasks.models import AuditChain, AuditEvent
from tasks.risks import risk_of

log = logging.getLogger(__name__)
BATCH = 500
FOUND_FOREIGN = "find foreign events"


def seal_all() -> int:
    """Seal every committed event that is not sealed yet and return how many that were."""
    count = 0
    while sealed := _seal_batch():
        count += sealed
    return count


def seal_after_commit() -> None:
    """Have what this transaction records sealed when it is committed; at once where there is none.

    A seal that fails is made up for by the next one and fails nothing else.
    """
    transaction.on_commit(_seal_quietly)


def unsealed() -> QuerySet[AuditEvent]:
    """Return the committed events that are not part of the chain yet, in the order in which they will be."""
    return AuditEvent.objects.filter(position__isnull=True).order_by("pk")


def _seal_quietly() -> None:
    try:
        seal_all()
    except DatabaseError:
        log.warning("audit events could not be sealed now; the tick does it", exc_info=True)


def _seal_batch() -> int:
    if not unsealed().exists():
        return 0
    with transaction.atomic():
        head = AuditChain.locked()
        _step_over_foreign(head)
        events = list(unsealed().values(*chain.CONTENT, "stamp")[:BATCH])
        for event in events:
            head.position += 1
            link = {**event, "position": head.position, "foreign": not chain.is_genuine(event)}
            head.digest = chain.digest(head.digest, link)
            # Not the manager's own query set, which refuses to change anything; the trigger lets just this through.
            QuerySet(AuditEvent).filter(pk=event["id"], position__isnull=True).update(
                position=head.position, digest=head.digest, foreign=link["foreign"]
            )
        head.save(update_fields=("position", "digest"))
    return len(events)


def _step_over_foreign(head: AuditChain) -> None:
    """Where somebody put events behind the end as if they were sealed, put that on record and go on behind them."""
    behind = list(AuditEvent.objects.filter(position__gt=head.position).order_by("position")[:BATCH])
    if not behind:
        return
    AuditEvent.objects.create(
        actor="console",
        verb=FOUND_FOREIGN,
        risk=risk_of(FOUND_FOREIGN),
        target_kind="audit",
        target="Audit",
        after={"positions": [event.position for event in behind]},
    )
    head.position, head.digest = behind[-1].position or head.position, behind[-1].digest
