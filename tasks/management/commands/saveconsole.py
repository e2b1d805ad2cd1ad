"""Save the console itself: its database and its keys in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from backupconsole.env import env_str
from backupconsole.saving.databases import CannotSave
from backupconsole.saving.savefile import save
from tasks.units import format_size


class Command(BaseCommand):
    """``saveconsole DIRECTORY``: may be run at any time, beside a running console; docs/recovery.md has the timer."""

    help = "Writes the console's database and keys into one file of DIRECTORY. restoreconsole reads it back."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the directory, and how many saves stay in it."""
        parser.add_argument("directory", type=Path, help="where the save goes; best on another host's disk")
        parser.add_argument("--keep", type=int, default=0, help="how many of the newest saves stay there (all)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Carry out the command."""
        if options["keep"] < 0:
            raise CommandError("--keep is how many saves stay: 0 keeps all.")
        try:
            path = save(options["directory"].absolute(), timezone.localtime(), options["keep"])
        except CannotSave as error:
            raise CommandError(f"Not saved. {error}") from error
        self.stdout.write(f"{path} ({format_size(path.stat().st_size)})")
        for name in ("SECRET_KEY", "SECRETS_KEYS"):
            if env_str(name):
                self.stdout.write(f"{name} is given by the environment and not in the save. Keep it somewhere else.")
