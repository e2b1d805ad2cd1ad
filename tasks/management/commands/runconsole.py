"""Run the whole console: web server and workers, until Ctrl-C."""

from __future__ import annotations

import logging
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from backupconsole import people
from backupconsole.console import CannotStart, Console, Ended, ends_on_signal, listen, prepare, take_lock

log = logging.getLogger(__name__)


class Command(BaseCommand):
    """What ``make run`` runs; ends with 0 on Ctrl-C or SIGTERM, with 1 and the reason where it cannot go on."""

    help = "Runs the web server and the workers until Ctrl-C. PORT says where, DATA_DIR where everything lies."

    def handle(self, *args: Any, **options: Any) -> None:
        """Carry out the command."""
        try:
            with ends_on_signal(), take_lock():
                self._run()
        except Ended:
            self._say("The console has ended.")
        except CannotStart as error:
            if settings.LOG_FORMAT == "json":
                log.critical("%s", error)
                sys.exit(1)
            raise CommandError(str(error)) from error

    def _run(self) -> None:
        listener = listen()
        prepare()
        nobody = not people.has_administrator()
        connections.close_all()
        with Console(listener) as console:
            console.wait_ready()
            self._say(f"Backup Console: {console.address}   (data in {settings.DATA_DIR}; Ctrl-C ends it)")
            if nobody:
                self._say("There is no administrator yet. Make one in another terminal: make admin")
            console.run_forever()

    def _say(self, text: str) -> None:
        """Tell whoever started the console; among lines for programs it is one of them."""
        if settings.LOG_FORMAT == "json":
            log.info("%s", text)
            return
        self.stdout.write(text)
        self.stdout.flush()
