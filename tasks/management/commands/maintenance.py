"""Turn the maintenance switch on or off from the command line, or tell how it stands."""

from __future__ import annotations

import getpass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from storage.errors import ConsoleError
from tasks import services
from tasks.audit import Actor
from tasks.forms.fields import MomentField
from tasks.maintenance import about
from tasks.models import Maintenance, Run
from tasks.moments import stamp
from tasks.states import RunState


class Command(BaseCommand):
    """``maintenance on --reason TEXT [--until WHEN | --hours N]``, ``maintenance off``, ``maintenance``."""

    help = "Lets no new run start (on), lets them start again (off), or says how it stands."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add action, reason and end."""
        parser.add_argument("action", nargs="?", choices=("on", "off", "status"), default="status")
        parser.add_argument("--reason", default="", help="why no run may start; everybody reads it")
        ends = parser.add_mutually_exclusive_group()
        ends.add_argument("--until", default="", help="when it ends by itself, 2026-11-24T06:00 in the console's zone")
        ends.add_argument("--hours", type=float, help="after how many hours it ends by itself")

    def handle(self, *args: Any, **options: Any) -> None:
        """Carry out the command."""
        now, who = timezone.now(), Actor(f"{getpass.getuser()} (command line)")
        try:
            if options["action"] == "on":
                services.set_maintenance(who, options["reason"], self._end(options, now), now)
            elif options["action"] == "off":
                services.end_maintenance(who, now)
        except ConsoleError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(_standing(Maintenance.current(), now))

    def _end(self, options: dict[str, Any], now: datetime) -> datetime | None:
        hours = options["hours"]
        try:
            if hours is not None:
                return now + timedelta(hours=hours)
            return MomentField(required=False).clean(options["until"])
        except ValidationError as error:
            raise CommandError(f"--until: {' '.join(error.messages)}") from error
        except (OverflowError, ValueError) as error:
            raise CommandError(f"--hours: {hours} hours from now is no date.") from error


def _standing(switch: Maintenance, now: datetime) -> str:
    if not switch.on(now):
        return "Maintenance is off: runs start."
    until = f"It ends by itself at {stamp(switch.until)}." if switch.until else "It ends when somebody ends it."
    running = Run.objects.filter(state=RunState.RUNNING).count()
    return f"Maintenance is on, {about(switch)}. {until} No new run starts; {running} running."
