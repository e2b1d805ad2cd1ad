"""Verification: the chain walked from its beginning, in a stream, and what does not hold in it.

Each event is held against the stored digest of the one before it, so a finding tells of one place and what follows it
is verified all the same. Somebody who may write to the database could compute all digests anew; that is told by a
digest that was kept elsewhere (``expected``, ``tasks.auditing.checkpoint``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tasks import chain
from tasks.auditing.sealing import FOUND_FOREIGN
from tasks.models import AuditEvent

BATCH = 1000
ACCEPT = "accept audit findings"
# So many findings are told; a table that was tampered with as a whole has one for every event.
MOST = 20


@dataclass(frozen=True)
class Finding:
    """Something that does not hold: what it is, at which position of the chain, and of which event if that is there.

    ``proof`` tells the present state of the place, so that what is accepted is accepted as it is and no further.
    """

    what: str
    position: int
    event: int | None
    text: str
    proof: str

    def told(self) -> dict[str, Any]:
        """Return the finding for a column of the database."""
        return asdict(self)


@dataclass
class Walk:
    """Takes events in the order of the chain and collects what does not hold."""

    position: int = 0
    digest: str = chain.GENESIS
    event: int | None = None
    count: int = 0
    findings: list[Finding] = field(default_factory=list)
    accepted: frozenset[str] = frozenset()
    strangers: frozenset[int] = frozenset()
    most: int = MOST

    @classmethod
    def begin(cls, **state: Any) -> Walk:
        """Return a walk that knows what was accepted, and which sealed events the console knows as not its own."""
        return cls(**state, accepted=accepted(), strangers=strangers())

    def take(self, link: Mapping[str, Any]) -> None:
        """Verify one event, given with everything that ``chain.SEALED`` names and its digest."""
        position, event = link["position"], link["id"]
        if position > self.position + 1:
            self.miss(position - 1)
        else:
            computed = chain.digest(self.digest, link)
            if computed != link["digest"]:
                self.find("changed", position, event, f"Event {event:,} is not as it was written.", computed)
        if link["foreign"] or position in self.strangers:
            text = f"Event {event:,} was not written by this console."
            self.find("foreign", position, event, text, link["digest"])
        self.position, self.digest, self.event = position, link["digest"], event
        self.count += 1

    def end(self, position: int, digest: str) -> None:
        """Hold the end against where the chain ends on record."""
        if self.position < position:
            self.miss(position)
        elif self.position == position and self.digest != digest:
            text = f"The chain does not end as it did: event {self.event or 0:,} is another one."
            self.find("rewritten", position, self.event, text, self.digest)

    def miss(self, last: int) -> None:
        """Find that all positions up to ``last`` are missing."""
        first = self.position + 1
        many = f"{last - first + 1:,} events are" if last > first else "An event is"
        text = f"{many} missing after {f'event {self.event:,}' if self.event else 'the beginning'}."
        self.find("missing", first, None, text, f"{first}-{last}")

    def find(self, what: str, position: int, event: int | None, text: str, proof: str) -> None:
        """Keep a finding, unless there are enough, or an administrator has accepted just this."""
        if proof not in self.accepted and len(self.findings) < self.most:
            self.findings.append(Finding(what, position, event, text, proof))


def links(after: int = 0, until: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield the sealed events behind the position ``after``, up to ``until``; a thousand at a time."""
    found = AuditEvent.objects.order_by("position").values(*chain.SEALED, "digest")
    if until is not None:
        found = found.filter(position__lte=until)
    while True:
        batch = list(found.filter(position__gt=after)[:BATCH])
        yield from batch
        if len(batch) < BATCH:
            return
        after = batch[-1]["position"]


def accepted() -> frozenset[str]:
    """Return the proofs of all findings that an administrator has accepted; the record of it is in the chain itself."""
    return frozenset(_recorded(ACCEPT, "proofs"))


def strangers() -> frozenset[int]:
    """Return the positions at which sealing found events that it had not sealed."""
    return frozenset(_recorded(FOUND_FOREIGN, "positions"))


def _recorded(verb: str, name: str) -> Iterator[Any]:
    records = AuditEvent.objects.filter(verb=verb, position__isnull=False, foreign=False)
    for after in records.values_list("after", flat=True):
        yield from after.get(name, [])


def digest_of(event: int) -> str | None:
    """Return the digest of the event with the id ``event``, or None where there is none that is sealed."""
    return AuditEvent.objects.filter(pk=event, position__isnull=False).values_list("digest", flat=True).first()


def event_at(position: int) -> int | None:
    """Return the id of the event at a position of the chain, or None where there is none."""
    return AuditEvent.objects.filter(position=position).values_list("pk", flat=True).first()
