"""Write the audit to a file, to keep it elsewhere and to verify it there."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from tasks.audit import CONSOLE
from tasks.auditing import archive
from tasks.auditing.export import FORMATS, record_export
from tasks.auditing.sealing import seal_all
from tasks.models import AuditEvent


def moment(text: str) -> datetime:
    """Return a moment that was given as a date or as a date and time; without a zone it is in the console's."""
    try:
        found = parse_datetime(text) or parse_date(text)
    except ValueError:
        found = None
    if found is None:
        raise ArgumentTypeError(f"{text!r} is neither a date nor a date and time. Write 2026-11-24 or 2026-11-24T10:30")
    if not isinstance(found, datetime):
        found = datetime(found.year, found.month, found.day)
    return found if timezone.is_aware(found) else timezone.make_aware(found, timezone.get_default_timezone())


class Command(BaseCommand):
    """The file is there as a whole or not at all. Nothing is removed from the audit."""

    help = (
        "Writes the audit, or a stretch of time of it, to a file or to standard output: JSON lines, which "
        "verifyaudit --archive verifies, or CSV. The export is itself on record."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what to write, and where to."""
        parser.add_argument("file", nargs="?", default="-", help="a file that is not there yet; - is standard output")
        parser.add_argument("--format", choices=sorted(FORMATS), default="jsonl", help="jsonl (default) or csv")
        parser.add_argument("--from", dest="since", type=moment, metavar="TIME", help="no event before this")
        parser.add_argument("--to", dest="until", type=moment, metavar="TIME", help="no event at this time or later")

    def handle(self, *args: Any, **options: Any) -> None:
        """Carry out the command."""
        since, until = options["since"], options["until"]
        if since and until and since >= until:
            raise CommandError("--to: it is not after --from. Give a later time.")
        found = AuditEvent.objects.all()
        found = found.filter(at__gte=since) if since else found
        found = found.filter(at__lt=until) if until else found
        seal_all()
        # What is exported ends before the record of it.
        last = AuditEvent.objects.values_list("pk", flat=True).first() or 0
        told = {name: value.isoformat() for name, value in (("from", since), ("to", until)) if value}
        record_export(CONSOLE, options["format"], told, note="from the command line")
        batches = archive.in_order_of_the_chain(found.filter(pk__lte=last))
        if options["format"] == "csv":
            chunks = archive.as_csv(batches, timezone.get_default_timezone())
        else:
            chunks = archive.as_json_lines(batches)
        if options["file"] == "-":
            for chunk in chunks:
                sys.stdout.buffer.write(chunk)
        else:
            self._write(Path(options["file"]), chunks)

    def _write(self, path: Path, chunks: Iterator[bytes]) -> None:
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            if path.exists():
                raise CommandError(f"{path} is there already. Give the name of a new file.")
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}.") from error
        finally:
            draft.unlink(missing_ok=True)
        self.stdout.write(f"Written to {path}.")
