"""Django admin: runs, files, logs and audit to read; people to look after. Nothing of the queue can be changed here.

Whoever may add a schedule of django-q may call any function (reference/anchors.md, D.2), so its pages are read-only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.forms import CheckboxSelectMultiple
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django_q.models import Failure, OrmQ, Schedule, Success

from tasks.audit import actor_of, record
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
    list_select_related = ("run",)
    search_fields = ("name", "path", "sha256")


@admin.register(LogLine)
class LogLineAdmin(ReadOnly):
    """What runs said."""

    cluster_path = "run__cluster"
    list_display = ("at", "run", "level", "text")
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


class Audited(_ModelAdmin):
    """Puts on record who made, changed and deleted what."""

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        """Save, and name the fields that changed; a password's value stands in none of them."""
        super().save_model(request, obj, form, change)
        verb = f"{'change' if change else 'create'} {obj._meta.verbose_name}"
        record(actor_of(request), verb, obj, after={"fields": sorted(form.changed_data)})

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        """Put on record and delete."""
        record(actor_of(request), f"delete {obj._meta.verbose_name}", obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Put each on record and delete."""
        for thing in queryset:
            record(actor_of(request), f"delete {thing._meta.verbose_name}", thing)
        super().delete_queryset(request, queryset)


class RoleAdmin(Audited, GroupAdmin):
    """Roles and their permissions."""


class PeopleAdmin(Audited, UserAdmin):
    """People and their roles."""

    list_display = ("username", "first_name", "last_name", "email", "is_active", "last_login")
    list_filter = ("is_active", "groups")
    # Rights come with roles, so single permissions and Django's staff flag are not offered.
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Roles", {"fields": ("is_active", "groups", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    filter_horizontal = ()

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer the few roles as boxes to tick."""
        if db_field.name == "groups":
            kwargs["widget"] = CheckboxSelectMultiple()
        field = super().formfield_for_manytomany(db_field, request, **kwargs)
        if field is not None and db_field.name == "groups":
            field.label, field.help_text = "Roles", "What the person may do; several add up."
        return field

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Put on record which roles the person has now: that is what an auditor asks for."""
        super().save_related(request, form, formsets, change)
        if "groups" in form.changed_data:
            roles = sorted(form.instance.groups.values_list("name", flat=True))
            record(actor_of(request), "give roles", form.instance, after={"roles": roles})

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Set somebody's password, and put on record that it was done."""
        response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == 302:
            record(actor_of(request), "set password", User.objects.get(pk=id))
        return response

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Keep what would give more rights than one's own out of reach of everybody but a superuser."""
        dates = ("last_login", "date_joined")
        return dates if request.user.is_superuser else ("is_superuser", *dates)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A superuser is changed by superusers only: an administrator must not take one over by a new password."""
        return super().has_change_permission(request, obj) and self._below(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As for changing."""
        return super().has_delete_permission(request, obj) and self._below(request, obj)

    @staticmethod
    def _below(request: HttpRequest, obj: Any) -> bool:
        return request.user.is_superuser or obj is None or not obj.is_superuser


admin.site.unregister((User, Group))
admin.site.register(User, PeopleAdmin)
admin.site.register(Group, RoleAdmin)
