"""Encrypt all stored passwords anew with the first of SECRETS_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from tasks.models import BackupTask
from tasks.vault import KeyLost, needs_resealing


class Command(BaseCommand):
    """Put the new key in front of the old one in SECRETS_KEYS, run this, then take the old key away."""

    help = "Encrypts stored passwords anew with the first key of SECRETS_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        """Go through all tasks, deleted ones too; those that no key opens are named and left as they are."""
        renewed, lost = 0, []
        for pk in BackupTask.all_tasks.exclude(sealed_secrets="").values_list("pk", flat=True):
            with transaction.atomic():
                task = BackupTask.all_tasks.select_for_update().get(pk=pk)
                try:
                    if needs_resealing(task.sealed_secrets):
                        task.set_secrets(task.secrets())
                        task.save(update_fields=("sealed_secrets",))
                        renewed += 1
                except KeyLost:
                    lost.append(task.name)
        self.stdout.write(f"{renewed} tasks were encrypted anew.")
        if lost:
            raise CommandError(f"No key opens the passwords of: {', '.join(lost)}. Type them again on these tasks.")
