"""Make an empty console what a save holds."""

from __future__ import annotations

import argparse
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from backupconsole.console import CannotStart, prepare_database, take_lock
from backupconsole.saving.databases import CannotSave
from backupconsole.saving.savefile import load
from backupconsole.saving.settling import settle


class Command(BaseCommand):
    """``restoreconsole FILE``: for an empty ``DATA_DIR`` (or an empty database); nothing is ever written over."""

    help = "Reads a save of saveconsole into an empty console."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the save; the other one is for the second half, which needs the keys of the save."""
        parser.add_argument("file", type=Path, nargs="?", help="a file that saveconsole wrote")
        parser.add_argument("--settle", default="", help=argparse.SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        """Carry out the command."""
        if options["settle"]:
            return self._settle(datetime.fromisoformat(options["settle"]))
        if options["file"] is None:
            raise CommandError("Name the file that saveconsole wrote.")
        try:
            with take_lock():
                facts = load(options["file"].absolute(), timezone.localtime())
        except (CannotSave, CannotStart) as error:
            raise CommandError(f"Nothing was restored. {error}") from error
        for name in facts["keys_elsewhere"]:
            self.stdout.write(f"The saved console had {name} from its environment. Give the same here.")
        self.stdout.flush()
        # A process of its own: this one read the keys before those of the save were there.
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "restoreconsole", "--settle"]
        if subprocess.run([*command, facts["saved_at"]]).returncode:
            raise CommandError("The database and the keys are in place, but what follows failed. The reason is above.")
        return None

    def _settle(self, saved_at: datetime) -> None:
        prepare_database()
        settled = settle(saved_at, timezone.now())
        self.stdout.write(f"The console is what it was on {timezone.localtime(saved_at):%Y-%m-%d %H:%M:%S}.")
        if settled.ended:
            self.stdout.write(f"Runs that were under way then, and were ended now: {settled.ended}.")
        if settled.lost:
            lost = ", ".join(settled.lost)
            self.stdout.write(f"No key opens the passwords of: {lost}. Bring back the keys, or type them again.")
        else:
            self.stdout.write("All stored passwords open with the keys.")
