"""Show the whole way: a real sample, two tasks, the running console, and one backup that is proven."""

from __future__ import annotations

import shutil
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from backupconsole import demo, people
from backupconsole.console import CannotStart, Console, Ended, ends_on_signal, listen, prepare, take_lock
from backupconsole.demo import DemoFailed
from backupconsole.env import env_str
from backupconsole.proof import NotProven, Proof, prove
from tasks.models import BackupTask, Run
from tasks.passwords import random_password
from tasks.units import format_size

ADMIN = "admin"
MEMBERS_SHOWN = 400


class Command(BaseCommand):
    """What ``make demo`` runs; 0 after the proof (``--once``) or Ctrl-C, 1 and why where the backup is not proven."""

    help = "Runs the console with a real sample and shows a proven backup. Run again it carries on with what is there."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the flag."""
        parser.add_argument("--once", action="store_true", help="end after the proof instead of on Ctrl-C")

    def handle(self, *args: Any, **options: Any) -> None:
        """Carry out the command."""
        try:
            with ends_on_signal(), take_lock():
                self._run(once=options["once"])
        except Ended:
            self._say("")
            self._say("The console has ended. Nothing of it is left running.")
            if options["once"]:
                raise CommandError("Interrupted before the backup was proven.") from None
        except (CannotStart, DemoFailed, NotProven) as error:
            raise CommandError(str(error)) from error

    def _run(self, *, once: bool) -> None:
        listener = listen()
        self._say("Preparing the database and the pages.")
        prepare()
        self._look_for_room()
        password = self._administrator()
        task = demo.make_tasks(demo.register_sample())
        connections.close_all()
        with Console(listener) as console:
            console.wait_ready()
            run = self._back_up(task, console)
            self._report(run, console, password)
            connections.close_all()
            if not once:
                console.run_forever()
        self._say("Proven. The console has ended, and nothing of it is left running.")

    def _look_for_room(self) -> None:
        """Say before anything is tried when the disk is too full for a run to start."""
        settings.DATA_STORAGE_PATH.mkdir(parents=True, exist_ok=True, mode=0o700)
        free, floor = shutil.disk_usage(settings.DATA_STORAGE_PATH).free, settings.FREE_SPACE_FLOOR
        if free < floor:
            raise CannotStart(
                f"The disk of {settings.DATA_STORAGE_PATH} has {format_size(free)} free, and {format_size(floor)} have "
                f"to stay free. Choose a disk with room (DATA_DIR=/path), or lower the limit (FREE_SPACE_FLOOR_MB=50)."
            )

    def _administrator(self) -> str:
        """Make the first administrator; return how to log in, in words."""
        given = env_str("ADMIN_PASSWORD")
        if given:
            people.make_administrator(ADMIN, given)
            return f"{ADMIN}, with the password in ADMIN_PASSWORD"
        if people.has_administrator():
            return f"{ADMIN}, with the password shown at the first start (a new one: make admin)"
        password = random_password()
        people.make_administrator(ADMIN, password)
        return f"{ADMIN}, with the password {password}   (shown this once)"

    def _back_up(self, task: BackupTask, console: Console) -> Run:
        run = demo.back_up(task, self._say)
        self._say(f"Run {run.pk} of {task.name} is queued, as Back Up Now does it.")
        for _ in demo.follow(run):
            console.watch()
        for line in run.log.all():
            self._say(f"  {line.level:5} {line.text}")
        if not run.good:
            raise DemoFailed(f"The backup ended as {run.get_state_display()}: {run.reason}")
        return run

    def _report(self, run: Run, console: Console, login: str) -> None:
        """Prove every archive of the run, and say where it is, what is in it, and where to look on."""
        files = list(run.files.all())
        if not files:
            raise NotProven(f"Run {run.pk} published no file.")
        for file in files:
            proof = prove(file)
            self._say("")
            self._list(proof)
            self._say("")
            self._say(f"Archive:  {proof.path}")
            self._say(f"          {format_size(file.size)}, {len(proof.names)} members, SHA-256 {file.sha256}")
            for check in proof.checks:
                self._say(f"Proven:   {check}")
        self._say("")
        self._say(f"Open      {console.address}")
        self._say(f"Log in as {login}")

    def _list(self, proof: Proof) -> None:
        self._say(f"Members of {proof.path.name}:")
        for name in proof.names[:MEMBERS_SHOWN]:
            self._say(f"  {name}")
        if len(proof.names) > MEMBERS_SHOWN:
            self._say(f"  and {len(proof.names) - MEMBERS_SHOWN} more: tar -tzf {proof.path}")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
