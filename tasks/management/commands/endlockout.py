"""Let somebody try to log in again, from the command line: for the last administrator."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from tasks.audit import CONSOLE
from tasks.lockout import standing
from tasks.lockout.attempt import network


class Command(BaseCommand):
    """``endlockout NAME``, or ``endlockout --address ADDRESS`` for everybody there."""

    help = "Ends the lockouts of a person or of an address. A lockout also ends by itself, after LOCKOUT_MINUTES."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add who or what is locked out."""
        parser.add_argument("name", nargs="?", help="the username of the person")
        parser.add_argument("--address", help="an address whose lockouts end")

    def handle(self, *args: Any, **options: Any) -> None:
        """Carry out the command."""
        name, address = options["name"], options["address"]
        if bool(name) == bool(address):
            raise CommandError("Give either the username of a person or --address with an address.")
        lockouts = standing.in_force()
        if name:
            user = User.objects.filter(username=name).first()
            if user is None:
                raise CommandError(f"There is no user called {name}.")
            lockouts = lockouts.filter(user=user)
        else:
            counted = network(address)
            if counted is None:
                raise CommandError(f"--address: {address!r} is no IP address. Give one such as 10.20.4.18.")
            lockouts = lockouts.filter(address=counted)
        ended = standing.end(lockouts, CONSOLE, timezone.now())
        for lockout in ended:
            self.stdout.write(f"Ended: the lockout of {standing.words(lockout)}.")
        if not ended:
            self.stdout.write(f"{name or address} is not locked out.")
