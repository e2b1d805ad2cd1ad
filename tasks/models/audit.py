"""The audit: append-only records of who did what, chained to each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from django.db import models
from django.utils import timezone

from tasks import chain
from tasks.auditing import periods
from tasks.risks import Risk


class AppendOnly(models.QuerySet["AuditEvent"]):
    """A query set that can neither change nor delete rows."""

    def update(self, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise TypeError("Audit events are never changed.")

    def delete(self) -> NoReturn:
        """Refuse."""
        raise TypeError("Audit events are never deleted.")

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """Write many events once, each stamped as ``save`` does."""
        events = list(objs)
        for event in events:
            event.stamp = chain.stamp(event.__dict__)
        return super().bulk_create(events, *args, **kwargs)

    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Aggregate as Django does, but ask for the first and the last moment each on its own.

        One end is found by an index at once; for both together, as the dates above the list in Django's admin want
        them, the database would go through all events.
        """
        if args or not all(isinstance(wanted, (models.Min, models.Max)) for wanted in kwargs.values()):
            return super().aggregate(*args, **kwargs)
        found: dict[str, Any] = {}
        for name, wanted in kwargs.items():
            found |= super().aggregate(**{name: wanted})
        return found

    def datetimes(self, field_name: str, kind: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the years, months or days that have events, for the dates above the list in Django's admin.

        Django's own way looks at every event; this one asks for each period whether it has one.
        """
        zone = timezone.get_current_timezone()
        found = periods.between_ends(self, kind, zone)
        return super().datetimes(field_name, kind, *args, **kwargs) if found is None else found


class AuditEvent(models.Model):
    """Who did what, when, from where, to which thing, with the values before and after; secrets are masked.

    ``position`` and ``digest`` are empty until the event is sealed into the chain (``tasks.auditing.sealing``), moments
    after it was committed. ``foreign`` says that it was then found not to have been written by this console.
    """

    class Result(models.TextChoices):
        """How the attempt ended."""

        SUCCESSFUL = "successful", "Successful"
        REFUSED = "refused", "Refused"

    at = models.DateTimeField(default=timezone.now)
    actor_id = models.BigIntegerField(null=True)
    actor = models.CharField(max_length=150)
    address = models.CharField(max_length=64, blank=True)
    verb = models.CharField(max_length=40)
    risk = models.CharField(max_length=8, choices=Risk.choices, default=Risk.MINOR)
    target_kind = models.CharField(max_length=40)
    target_id = models.BigIntegerField(null=True)
    target = models.CharField(max_length=255)
    # The key of the cluster that it concerns, if any: a number only, for the event outlives the cluster. Zero where
    # nobody knows any more which cluster that was.
    cluster_id = models.BigIntegerField(null=True)
    result = models.CharField(max_length=10, choices=Result.choices, default=Result.SUCCESSFUL)
    before: models.JSONField[Any, dict[str, Any]] = models.JSONField(default=dict)
    after: models.JSONField[Any, dict[str, Any]] = models.JSONField(default=dict)
    note = models.TextField(blank=True)
    stamp = models.CharField(max_length=64, blank=True, editable=False)
    position = models.BigIntegerField(null=True, unique=True, editable=False)
    digest = models.CharField(max_length=64, blank=True, editable=False)
    foreign = models.BooleanField(default=False, editable=False)

    objects = AppendOnly.as_manager()

    class Meta:
        ordering = ("-id",)
        # The page orders by time and has one filter at the head of each index (``tasks.auditing.search``).
        indexes = [
            models.Index(fields=("at", "id"), name="audit_by_time"),
            models.Index(fields=("actor", "at", "id"), name="audit_by_actor"),
            models.Index(fields=("address", "at", "id"), name="audit_by_address"),
            models.Index(fields=("verb", "at", "id"), name="audit_by_verb"),
            models.Index(fields=("risk", "at", "id"), name="audit_by_risk"),
            models.Index(fields=("target_kind", "at", "id"), name="audit_by_kind"),
            models.Index(fields=("target_kind", "target_id", "at", "id"), name="audit_by_thing"),
            models.Index(fields=("target", "at", "id"), name="audit_by_target"),
            models.Index(fields=("cluster_id", "at", "id"), name="audit_by_cluster"),
            models.Index(fields=("result", "at", "id"), name="audit_by_result"),
            models.Index(fields=("id",), name="audit_not_sealed", condition=models.Q(position__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.verb} {self.target}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Write the event once, stamped with the console's key; a second time is refused."""
        if self.pk is not None:
            raise TypeError("Audit events are never changed.")
        self.stamp = chain.stamp(self.__dict__)
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise TypeError("Audit events are never deleted.")


class AuditChain(models.Model):
    """The one row that tells where the chain of the audit ends, and what its verification found.

    It stands apart from the events, so that events that were cut off the end are missed.
    """

    position = models.BigIntegerField(default=0)
    digest = models.CharField(max_length=64, default=chain.GENESIS)
    # The verification that is under way; it goes on where the tick before left it.
    pass_began_at = models.DateTimeField(null=True)
    pass_position = models.BigIntegerField(default=0)
    pass_digest = models.CharField(max_length=64, default=chain.GENESIS)
    pass_findings: models.JSONField[Any, list[dict[str, Any]]] = models.JSONField(default=list)
    # The last one that came to the end.
    verified_at = models.DateTimeField(null=True)
    verified_event = models.BigIntegerField(null=True)
    findings: models.JSONField[Any, list[dict[str, Any]]] = models.JSONField(default=list)
    # By host: what its checkpoint, which lies outside of the database, has against the chain.
    checkpoints: models.JSONField[Any, dict[str, str]] = models.JSONField(default=dict)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_row_of_audit_chain")]

    def __str__(self) -> str:
        return f"Audit chain to {self.position}"

    @classmethod
    def current(cls) -> AuditChain:
        """Return the row, or one with the defaults that is not stored; for looking."""
        return cls.objects.filter(pk=1).first() or cls(pk=1)

    @classmethod
    def load(cls) -> AuditChain:
        """Return the row, made where it is missing."""
        return cls.objects.get_or_create(pk=1)[0]

    @classmethod
    def locked(cls) -> AuditChain:
        """Return the row, made where it is missing, locked until the end of the transaction."""
        cls.load()
        return cls.objects.select_for_update().get(pk=1)
