"""One row of View History in words: how its set is proven, what changed in IoTDB, and what can be done with it now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.db.models import Case, Prefetch, QuerySet, When

from tasks.iotdb.difference import difference_words
from tasks.models import Run
from tasks.models.run import HEAVY
from tasks.states import ACTIVE, Kind, RunState

NO_CHANGE = "No change"
UNDER_WAY = "proofs_under_way"
PROOFS_SHOWN = 5


@dataclass(frozen=True)
class Badge:
    """How a set is proven: ``word`` and since when; ``text`` is the reason where it is damaged."""

    word: str
    icon: str
    css: str = ""
    at: datetime | None = None
    text: str = ""


class Entry:
    """A backup run as View History shows it, fetched with what ``with_proofs`` adds: its inventory is not looked at."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @property
    def had_set(self) -> bool:
        """Whether the run gave a set, there or not."""
        return self.run.good

    @cached_property
    def under_way(self) -> dict[str, Run]:
        """The proofs of the set that wait or go on, by their kind."""
        return {proof.kind: proof for proof in getattr(self.run, UNDER_WAY, ())}

    @cached_property
    def badges(self) -> list[Badge]:
        """What is known of the set, the strongest proof first, and a later weaker one below it."""
        return [*self._going_on(), *proven(self.run)]

    def _going_on(self) -> Iterable[Badge]:
        for kind, word in ((Kind.CHECK, "Check"), (Kind.REHEARSAL, "Rehearsal")):
            proof = self.under_way.get(kind)
            if proof is not None and proof.state == RunState.RUNNING:
                yield Badge(f"{word} is running", "run", "proof-run")
            elif proof is not None:
                yield Badge(f"{word} is waiting", "wait")

    @property
    def change(self) -> str:
        """What changed since the run before: ``+1 database, −2 tables``."""
        if not self.run.good:
            return "None"
        if not self._counted:
            return "Unknown"
        if not self.run.changes:
            return "First counts"
        return told(self.run.changes, len(self.run.files.all()) > 1)

    @property
    def sick(self) -> bool:
        """Whether IoTDB was not well when the set was taken."""
        return self.run.good and self.run.healthy is False

    @property
    def cannot_restore(self) -> str:
        """Why the set cannot be restored; empty where it can be."""
        return self._gone or ("The set is damaged" if self.run.damaged_at else "")

    @property
    def cannot_check(self) -> str:
        """Why the set cannot be checked at the moment."""
        return self._gone or self._busy

    @property
    def cannot_rehearse(self) -> str:
        """Why the set cannot be rehearsed at the moment."""
        return self.cannot_restore or self._busy

    @property
    def cannot_salvage(self) -> str:
        """Why nothing can be salvaged from the set; a damaged one may still give what it begins with."""
        return self._gone or ("" if self._counted else "No inventory in the set")

    @property
    def _counted(self) -> bool:
        """Whether IoTDB was asked."""
        return bool(getattr(self.run, "was_counted", False))

    @property
    def _gone(self) -> str:
        return "The set was removed" if self.run.set_removed_at else ""

    @property
    def _busy(self) -> str:
        """What proves the set already; one proof of it is made at a time."""
        return next((badge.word for badge in self._going_on()), "")


def proven(run: Run) -> list[Badge]:
    """Return how the set of ``run`` is proven: damaged, rehearsed, checked, verified when written, or not."""
    if not run.good:
        return []
    if run.damaged_at:
        return [Badge("Damaged", "fail", "proof-fail", run.damaged_at, run.damage)]
    found = [Badge("Rehearsed", "rehearsed", "proof-ok", run.rehearsed_at)] if run.rehearsed_at else []
    if run.checked_at and (not run.rehearsed_at or run.checked_at > run.rehearsed_at):
        found.append(Badge("Checked", "shield", "proof-ok", run.checked_at))
    if not found:
        verified = Badge("Verified", "shield", "proof-ok", run.verified_at)
        found = [verified if run.read_back else Badge("Not read back", "shieldx")]
    return found


def told(changes: Mapping[str, object], several: bool) -> str:
    """Return the differences of each service in words; services without any are left out."""
    words = {service: difference_words(change) for service, change in sorted(changes.items())}  # type: ignore[arg-type]
    found = {service: text for service, text in words.items() if text and text != NO_CHANGE}
    if not several:
        return ", ".join(found.values()) or NO_CHANGE
    return "; ".join(f"{service}: {text}" for service, text in found.items()) or NO_CHANGE


def proofs_of(run: Run) -> list[Run]:
    """Return the last proofs of the set of ``run``, newest first, whatever became of them."""
    return list(run.proofs.order_by("-pk").defer(*HEAVY)[:PROOFS_SHOWN])


def with_proofs(runs: QuerySet[Run]) -> QuerySet[Run]:
    """Return ``runs`` with what their entries need; the number of queries does not depend on that of the runs."""
    going_on = Prefetch("proofs", queryset=Run.objects.filter(state__in=ACTIVE).defer(*HEAVY), to_attr=UNDER_WAY)
    counted = Case(When(inventory={}, then=False), default=True)
    return runs.prefetch_related("files", going_on).annotate(was_counted=counted)
