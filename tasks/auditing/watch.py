"""What the tick does for the audit: seal what is left, hold the chain against this host's checkpoint, verify it daily.

A verification is done in slices of a few seconds, so that the tick stays short however long the audit is. What does
not hold raises ``audit-broken`` until a verification finds the chain whole or an administrator has accepted it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from tasks import alarms
from tasks.auditing import checkpoint
from tasks.auditing.sealing import seal_all
from tasks.auditing.verification import Finding, Walk, event_at, links
from tasks.chain import GENESIS
from tasks.models import AuditChain

log = logging.getLogger(__name__)
EVERY = timedelta(days=1)
SLICE_SECONDS = 2.0
ALARM, SUBJECT = "audit-broken", "audit"
VERIFIED = (
    "pass_began_at", "pass_position", "pass_digest", "pass_findings", "verified_at", "verified_event", "findings",
)  # fmt: skip


def look_after(now: datetime, clock: Callable[[], float] = time.monotonic) -> str:
    """Do the tick's part and return it in a word: how many events were sealed, and whether the chain holds."""
    sealed = seal_all()
    _hold_against_checkpoint()
    state = AuditChain.load()
    if _is_due(state, now):
        _verify_slice(state, now, clock)
    whole = tell(now)
    return f"{sealed}{'' if whole else ' broken'}"


def tell(now: datetime) -> bool:
    """Raise or clear the alarm by what is on record, and return whether the chain holds."""
    state = AuditChain.current()
    objections = (f"{text} So says the checkpoint of {host}." for host, text in state.checkpoints.items())
    troubles = [*objections, *(finding["text"] for finding in state.findings)]
    if not troubles:
        alarms.clear(ALARM, SUBJECT, now=now)
        return True
    rest = len(troubles) - 1
    cause = troubles[0] + (f" There is more: {rest:,} {'finding' if rest == 1 else 'findings'}." if rest else "")
    # Not renewed every minute: nothing new is known.
    if not alarms.uncleared().filter(code=ALARM, subject=SUBJECT, cause=cause).exists():
        log.error("the chain of the audit is broken: %s", cause)
        alarms.raise_alarm(
            ALARM,
            SUBJECT,
            cause=cause,
            cure="Find out who could write to the database. manage.py verifyaudit tells every finding; "
            "when they are explained, such as by a database that was restored, verifyaudit --accept goes on from here.",
            place="Audit",
            link=reverse("audit"),
            now=now,
        )
    return False


def conclude(state: AuditChain, walk: Walk, now: datetime) -> None:
    """Put on record what a verification that came to its end has found; the caller saves ``VERIFIED``."""
    state.verified_at, state.verified_event = now, event_at(walk.position)
    state.findings = [finding.told() for finding in walk.findings]
    state.pass_began_at, state.pass_position, state.pass_digest = None, 0, GENESIS
    state.pass_findings = []
    log.info("audit verified to %s:%s, findings: %s", state.verified_event, walk.digest, len(walk.findings))


def _is_due(state: AuditChain, now: datetime) -> bool:
    if state.pass_began_at is not None or state.verified_at is None:
        return True
    # A clock that was set back must not put it off for years.
    return not state.verified_at <= now < state.verified_at + EVERY


def _verify_slice(state: AuditChain, now: datetime, clock: Callable[[], float]) -> None:
    """Go on with the verification for a few seconds. Nothing is locked meanwhile: sealing goes on."""
    deadline = clock() + SLICE_SECONDS
    walk = Walk.begin(
        position=state.pass_position,
        digest=state.pass_digest,
        event=event_at(state.pass_position),
        findings=[Finding(**told) for told in state.pass_findings],
    )
    state.pass_began_at = state.pass_began_at or now
    for link in links(walk.position, state.position):
        walk.take(link)
        if clock() > deadline and walk.position < state.position:
            state.pass_position, state.pass_digest = walk.position, walk.digest
            state.pass_findings = [finding.told() for finding in walk.findings]
            break
    else:
        walk.end(state.position, state.digest)
        conclude(state, walk, now)
    state.save(update_fields=VERIFIED)


def _hold_against_checkpoint() -> None:
    """Compare this host's checkpoint with the chain, and move it on where the event is there as it was."""
    before = checkpoint.kept()
    objection = before.objection() if before else ""
    object_to(objection)
    now = checkpoint.present()
    if not objection and now is not None and now != before:
        checkpoint.keep(now)


def object_to(objection: str) -> None:
    """Put on record what this host's checkpoint has against the chain; nothing where that is empty."""
    if AuditChain.current().checkpoints.get(settings.HOST_NAME, "") == objection:
        return
    with transaction.atomic():
        state = AuditChain.locked()
        others = {host: text for host, text in state.checkpoints.items() if host != settings.HOST_NAME}
        state.checkpoints = others | ({settings.HOST_NAME: objection} if objection else {})
        state.save(update_fields=("checkpoints",))
