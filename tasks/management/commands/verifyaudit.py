"""Verify that nobody changed, removed or put in an audit event."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from tasks.auditing import checkpoint, protection
from tasks.auditing.archive import verify_lines
from tasks.auditing.checkpoint import Checkpoint
from tasks.auditing.verification import MOST, Walk
from tasks.auditing.whole import EVERYTHING, accept, verify
from tasks.units import format_duration


class Command(BaseCommand):
    """Ends with status 0 when every event is as it was written, and with 1 naming the first one that is not."""

    help = (
        "Verifies the chain of the audit from the first event to the last, or an archive of exportaudit. Prints a "
        "checkpoint; one that was kept elsewhere tells with --expect whether the end was cut off or written anew."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what to hold the chain against, and what to do with findings."""
        parser.add_argument(
            "--expect", action="append", default=[], metavar="ID:HASH", help="a checkpoint that was printed before"
        )
        parser.add_argument("--archive", metavar="FILE", help="JSON lines to verify instead; - is standard input")
        parser.add_argument(
            "--accept", action="store_true", help="put what does not hold on record as accepted, and go on from here"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Carry out the command."""
        expected = [self._read(text) for text in options["expect"]]
        if options["archive"] and options["accept"]:
            raise CommandError("--accept: an archive stays as it is. Leave one of the two options out.")
        if options["archive"]:
            self._verify_archive(options["archive"], expected)
            return
        if options["accept"]:
            walk = verify(timezone.now(), EVERYTHING)
            self._tell(walk)
            accept(walk)
        self._verify(expected)

    def _verify(self, expected: list[Checkpoint]) -> None:
        began = time.monotonic()
        walk = verify(timezone.now(), MOST)
        kept = checkpoint.kept()
        marks = [(one, "") for one in expected] + ([(kept, " So says the checkpoint of this host.")] if kept else [])
        objections = [f"{objection}{by}" for mark, by in marks if (objection := mark.objection())]
        for text in objections:
            self.stderr.write(text)
        if not protection.is_installed():
            self.stderr.write("The database does not guard the audit: its triggers are missing. Run manage.py migrate.")
        self._fail("The audit is broken.", self._tell(walk) + objections)
        self.stdout.write(f"{walk.count:,} events verified in {format_duration(time.monotonic() - began)}: all whole.")
        if end := checkpoint.present():
            self.stdout.write(f"Checkpoint: {end}")

    def _verify_archive(self, name: str, expected: list[Checkpoint]) -> None:
        try:
            with nullcontext(sys.stdin.buffer) if name == "-" else open(name, "rb") as file:
                walk, gaps = verify_lines(file, {one.event: one.digest for one in expected})
        except OSError as error:
            raise CommandError(f"{name} cannot be read: {error.strerror}.") from error
        self._fail("The archive is broken.", self._tell(walk))
        left_out = f" It is a selection: events are left out at {gaps:,} places." if gaps else ""
        self.stdout.write(f"{walk.count:,} events verified: all whole.{left_out}")
        if walk.event is not None:
            self.stdout.write(f"Checkpoint: {walk.event}:{walk.digest}")

    def _tell(self, walk: Walk) -> list[str]:
        for finding in walk.findings:
            self.stderr.write(finding.text)
        return [finding.text for finding in walk.findings]

    @staticmethod
    def _fail(what: str, troubles: list[str]) -> None:
        if troubles:
            raise CommandError(f"{what} {troubles[0]}")

    @staticmethod
    def _read(text: str) -> Checkpoint:
        found = Checkpoint.read(text)
        if found is None:
            raise CommandError(f"--expect: {text!r} is no checkpoint. Give ID:HASH as verifyaudit printed it.")
        return found
