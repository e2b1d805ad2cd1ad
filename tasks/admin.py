"""Django admin: runs, files, logs and audit to read. Nothing can be changed here, of the queue neither.

Whoever may add a schedule of django-q may call any function (reference/anchors.md, D.2), so its pages are read-only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django_q.models import Failure, OrmQ, Schedule, Success

from tasks.auditing.search import seen_by
from tasks.models import AuditEvent, BackupFile, LogLine, Run
from tasks.scope import narrowed

# Generic for mypy only: Django's own classes take no type at run time.
if TYPE_CHECKING:
    _Paginator = Paginator
    _ModelAdmin = admin.ModelAdmin
else:
    _Paginator = Paginator
    _ModelAdmin = admin.ModelAdmin

COUNT_LIMIT = 10_001


class CappedPaginator(_Paginator):
    """Counts to ten thousand and no further: counting a million rows costs more than showing a page of them."""

    @cached_property
    def count(self) -> int:
        """Return the number of rows, at most ``COUNT_LIMIT``."""
        if not isinstance(self.object_list, QuerySet):
            return len(self.object_list)
        return self.object_list.order_by()[:COUNT_LIMIT].count()


class ReadOnly(_ModelAdmin):
    """Records that can be read and neither made, changed nor deleted.

    ``cluster_path`` leads from a record to its cluster: people who are limited to some see the records of those.
    """

    cluster_path = ""
    actions = None
    show_full_result_count = False
    paginator = CappedPaginator
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the records that the person may see."""
        records = super().get_queryset(request)
        return narrowed(records, request.user, self.cluster_path) if self.cluster_path else records

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody may."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody may."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody may."""
        return False


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnly):
    """Who did what."""

    list_display = ("at", "actor", "address", "verb", "risk", "target_kind", "target", "result")
    list_filter = ("result", "risk", "at")
    search_fields = ("actor", "verb", "target", "address", "note")
    date_hierarchy = "at"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the events that the person may see."""
        return super().get_queryset(request).filter(seen_by(request.user))


@admin.register(Run)
class RunAdmin(ReadOnly):
    """What was run."""

    cluster_path = "cluster"
    list_display = ("id", "task", "trigger", "state", "queued_at", "started_at", "ended_at", "size", "reason")
    list_filter = ("state", "trigger")
    list_select_related = ("task",)
    search_fields = ("task__name",)
    # The lease is a key to a run, and the parameters are for programs.
    exclude = ("lease_token", "lease_until", "offered_at")


@admin.register(BackupFile)
class BackupFileAdmin(ReadOnly):
    """What was published."""

    cluster_path = "run__cluster"
    list_display = ("name", "run", "service", "size", "members", "version", "verified_at", "removed_at")
    # The model's own order goes by that of runs, for which all files would have to be sorted.
    ordering = ("-id",)
    list_select_related = ("run",)
    search_fields = ("name", "path", "sha256")


@admin.register(LogLine)
class LogLineAdmin(ReadOnly):
    """What runs said."""

    cluster_path = "run__cluster"
    list_display = ("at", "run", "level", "text")
    ordering = ("-id",)
    list_filter = ("level",)
    list_select_related = ("run",)


class QueueRecord(ReadOnly):
    """A row of django-q."""

    ordering = ("-id",)


class QueueResult(ReadOnly):
    """A job of django-q that ended."""

    list_display = ("name", "func", "started", "stopped")
    fields = ("id", "name", "func", "started", "stopped", "attempt_count")
    ordering = ("-started",)


class QueueItem(QueueRecord):
    """A job that waits; its payload is a pickle and is not shown."""

    list_display = ("id", "key", "lock")
    fields = ("id", "key", "lock")


class QueueSchedule(QueueRecord):
    """The tick."""

    list_display = ("name", "func", "schedule_type", "minutes", "next_run")


for model, page in ((Schedule, QueueSchedule), (Success, QueueResult), (Failure, QueueResult), (OrmQ, QueueItem)):
    if admin.site.is_registered(model):
        admin.site.unregister(model)
    admin.site.register(model, page)


# People and roles are looked after under System > People, by rules that Django's own pages do not know.
admin.site.unregister((User, Group))
