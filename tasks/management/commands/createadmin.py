"""Make an administrator, or give one a new password."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from backupconsole import people
from backupconsole.console import prepare_database
from backupconsole.env import env_str
from tasks.passwords import random_password


class Command(BaseCommand):
    """``createadmin NAME``: the password is random and shown once, or taken from ``ADMIN_PASSWORD``."""

    help = "Makes an administrator with a random password, shown once. For one that exists: sets a new password."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the name."""
        parser.add_argument("name", nargs="?", default="admin", help="the name to log in with (admin)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Carry out the command."""
        name = options["name"]
        try:
            UnicodeUsernameValidator()(name)
        except ValidationError as error:
            raise CommandError(f"{name!r} cannot be the name of a person: {' '.join(error.messages)}") from error
        prepare_database()
        given = env_str("ADMIN_PASSWORD")
        password = given or random_password()
        fresh = people.make_administrator(name, password)
        self.stdout.write(f"{name} is {'now' if fresh else 'still'} an administrator.")
        if given:
            self.stdout.write("The password is the one in ADMIN_PASSWORD.")
            if weak := people.weakness(given, name):
                self.stderr.write(f"This password is weak: {weak} Change it on the page.")
        else:
            self.stdout.write(f"Password (shown this once): {password}")
