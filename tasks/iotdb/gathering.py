"""What an inventory has found so far: lines go out at once, counts and names stay for the summary."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tasks.iotdb.base import COUNTS, NAMES_LIMIT, Summary
from tasks.iotdb.link import Link, StatementRefused


class Gathering:
    """Counts, names, rights and refusals; ``send`` takes the lines."""

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self.version = ""
        self.counts: dict[str, int] = {}
        self.names: dict[str, list[str]] = {}
        self.series_of: dict[str, int] = {}
        self.rights: dict[str, str] = {}
        self.errors: dict[str, str] = {}

    def line(self, kind: str, /, **facts: Any) -> None:
        """Send one object; facts that are None are left out."""
        self._send({"type": kind, **{name: value for name, value in facts.items() if value is not None}})

    def ask(self, link: Link, statement: str) -> list[dict[str, Any]] | None:
        """Return the rows of a short list, or None where the statement is refused, which is recorded."""
        try:
            return list(link.rows(statement))
        except StatementRefused as refusal:
            self.errors[statement] = str(refusal)
            return None

    def stream(self, link: Link, statement: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a long list; a refusal, also one in the middle, is recorded and ends it."""
        try:
            yield from link.rows(statement)
        except StatementRefused as refusal:
            self.errors[statement] = str(refusal)

    def value(self, link: Link, statement: str) -> Any:
        """Return the first value, None where there is none or the statement is refused."""
        rows = self.ask(link, statement)
        return next(iter(rows[0].values()), None) if rows else None

    def number(self, link: Link, statement: str) -> int | None:
        """Return what the server counts, None where it refuses to."""
        value = self.value(link, statement)
        return None if value is None else int(value)

    def count(self, what: str, names: Iterable[str]) -> None:
        """Keep how many there are and, sorted, how they are called; more than ``NAMES_LIMIT`` names are not kept."""
        known = sorted(names)
        self.counts[what] = len(known)
        if len(known) <= NAMES_LIMIT:
            self.names[what] = known
        else:
            self.errors[f"names of {what}"] = f"{len(known):,} names are too many to be kept with a run"

    def right(self, holder: str, held: Iterable[Any]) -> None:
        """Keep a digest of what ``holder``, such as ``user anna``, may do."""
        lines = sorted(json.dumps(one, sort_keys=True, default=str) for one in held)
        self.rights[holder] = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def summary(self) -> Summary:
        """Return it all in short."""
        return Summary(
            version=self.version,
            counts={what: self.counts[what] for what in COUNTS if what in self.counts},
            names=self.names,
            series_of=dict(sorted(self.series_of.items())),
            rights=self.rights,
            errors=self.errors,
        )
