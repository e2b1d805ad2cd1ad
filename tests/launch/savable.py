"""Fills a console with what a save has to bring back: a person, a task with a password, runs in the middle of work.

Run as ``python -m tests.launch.savable`` in a console's environment.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import django


def main() -> None:
    """Fill the database that the environment names."""
    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.utils import timezone

    from tasks.engine.restore.standing import TOUCHED
    from tasks.models import BackupTask, Cluster, Run
    from tasks.states import Kind, Mode, RunState, Trigger
    from tests.web.restoration_kit import make_restoration, steps_at

    call_command("migrate", verbosity=0)
    User.objects.create_user("anna", password="correct-horse-battery-9")
    plant = Cluster.objects.create(name="plant")
    task = BackupTask.objects.create(name="nightly", cluster=plant, mode=Mode.MANUAL, path_type="SFTP", copies=7)
    task.set_secrets({"password": "wide-open-sesame"})
    task.save()
    attic = Cluster.objects.create(name="attic")
    restoration = make_restoration(attic, "attic-again")
    now = timezone.now()
    at_work: dict[str, Any] = {"state": RunState.RUNNING, "lease_token": "0" * 32, "trigger": Trigger.PERSON}
    at_work |= {"lease_until": now + timedelta(minutes=1), "queued_at": now, "started_at": now, "worker": "host/1"}
    Run.objects.create(task=task, cluster=plant, **at_work)
    touched = {TOUCHED: "2026-11-23 06:00 +01:00"}
    steps = steps_at("swap")
    Run.objects.create(
        restoration=restoration, cluster=attic, kind=Kind.RESTORE, parameters=touched, steps=steps, **at_work
    )


if __name__ == "__main__":
    main()
