"""A process that prepares the database of its environment: ``python -m bench.fillrunner migrate | fill SIZE``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import django


def migrate() -> None:
    """Bring tables and collected files to the present state."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)
    call_command("collectstatic", verbosity=0, interactive=False)


def fill(told: str) -> None:
    """Empty the database and fill it with what ``told`` (JSON) says of its size."""
    from django.db import connection
    from django.utils import timezone

    from .filling import fill
    from .imagined import Size

    if connection.vendor == "sqlite":
        for suffix in ("", "-wal", "-shm"):
            Path(f"{connection.settings_dict['NAME']}{suffix}").unlink(missing_ok=True)
    else:
        with connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA public CASCADE")
            cursor.execute("CREATE SCHEMA public")
    migrate()
    fill(Size(**json.loads(told)), timezone.now().replace(microsecond=0))


if __name__ == "__main__":
    django.setup()
    fill(sys.argv[2]) if sys.argv[1] == "fill" else migrate()
    print(json.dumps({"done": sys.argv[1]}))
