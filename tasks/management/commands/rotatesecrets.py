"""Encrypt all stored passwords anew with the first of SECRETS_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from tasks.sealedrows import SEALED
from tasks.vault import KeyLost, needs_resealing


class Command(BaseCommand):
    """Put the new key in front of the old one in SECRETS_KEYS, run this, then take the old key away."""

    help = "Encrypts stored passwords anew with the first key of SECRETS_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        """Go through all rows with secrets; those that no key opens are named and left as they are."""
        renewed, lost = 0, []
        for rows in (one.rows for one in SEALED):
            for pk in rows.exclude(sealed_secrets="").values_list("pk", flat=True):
                with transaction.atomic():
                    row = rows.select_for_update().get(pk=pk)
                    try:
                        renewed += self._renew(row)
                    except KeyLost:
                        lost.append(f"{row._meta.verbose_name} {row}")
        self.stdout.write(f"{renewed} {'row was' if renewed == 1 else 'rows were'} encrypted anew.")
        if lost:
            raise CommandError(f"No key opens the passwords of: {', '.join(lost)}. Type them again there.")

    @staticmethod
    def _renew(row: Any) -> bool:
        if not needs_resealing(row.sealed_secrets):
            return False
        row.set_secrets(row.secrets())
        row.save(update_fields=("sealed_secrets",))
        return True
