"""``manage.py runworkers``: the workers of the console, supervised, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from backupconsole.processes import AlreadyRunning
from backupconsole.supervisor import Supervisor
from backupconsole.workergroup import serve


class Command(BaseCommand):
    """Runs the supervisor; with ``--group`` the cluster that it starts."""

    help = "Runs the workers that carry out backups, and keeps them running. Ends in order on Ctrl-C or SIGTERM."
    # The checks load all pages, which the workers never need; the web server makes them.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what the supervisor passes to its child."""
        parser.add_argument("--group", type=int, default=0, help=argparse.SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        """Supervise until told to end; exit status 1 where other workers run already."""
        if options["group"]:
            sys.exit(serve(options["group"]))
        try:
            Supervisor().run()
        except AlreadyRunning as error:
            holder = error.holder
            raise CommandError(
                f"The workers of {settings.DATA_DIR} run already, since {holder.get('since', 'an unknown time')}, "
                f"under process {holder.get('pid', 'unknown')}. End that one first, or set a different DATA_DIR."
            ) from error
