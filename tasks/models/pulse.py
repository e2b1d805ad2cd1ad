"""Signs of life of the parts that nobody watches."""

from __future__ import annotations

from datetime import datetime

from django.db import models

from tasks.keptsql import KeptQuery


class Pulse(models.Model):
    """When a part of the console last showed that it works: ``tick``, ``supervisor``."""

    name = models.CharField(max_length=40, unique=True)
    at = models.DateTimeField()
    detail = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return f"{self.name} {self.at:%H:%M:%S}"

    @classmethod
    def beat(cls, name: str, now: datetime, detail: str = "") -> None:
        """Record that ``name`` was alive at ``now``."""
        cls.objects.update_or_create(name=name, defaults={"at": now, "detail": detail})

    @classmethod
    def last(cls, name: str) -> datetime | None:
        """Return when ``name`` was last alive, or None if it never was."""
        return cls.objects.filter(name=name).values_list("at", flat=True).first()

    @classmethod
    def of_workers(cls) -> dict[str, datetime]:
        """Return when the tick and the supervisor were last alive, as far as they ever were; one query."""
        return dict(_OF_WORKERS.rows())


_OF_WORKERS = KeptQuery(lambda: Pulse.objects.filter(name__in=("tick", "supervisor")).values_list("name", "at"))
