"""What two people made of one task at the same time, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils import timezone

from tasks.forms.editor import TaskEditor
from tasks.forms.proof import PROOF_FIELDS
from tasks.models import AuditEvent, BackupTask
from tasks.services import TaskDraft
from tasks.states import PeriodUnit


@dataclass(frozen=True)
class Row:
    """One field with both of its values, in words."""

    label: str
    yours: str
    saved: str

    @property
    def differs(self) -> bool:
        """Whether the two people decided differently."""
        return self.yours != self.saved


@dataclass(frozen=True)
class Conflict:
    """Both states of a task, who saved the other one, and what to send to go on with one's own."""

    rows: tuple[Row, ...]
    last: AuditEvent | None
    hidden: tuple[tuple[str, str], ...]
    passwords: bool


def conflict_of(editor: TaskEditor, current: BackupTask, data: QueryDict) -> Conflict:
    """Return the conflict between the valid ``editor`` and ``current``, the task as it is stored now."""
    draft = editor.draft()
    rows = [*_schedule_rows(draft, current), _services_row(draft, current), *_destination_rows(editor, draft, current)]
    rows += _proof_rows(editor, draft, current)
    last = AuditEvent.objects.filter(
        target_kind=str(current._meta.verbose_name), target_id=current.pk, result=AuditEvent.Result.SUCCESSFUL
    ).first()
    return Conflict(tuple(rows), last, _resend(editor, current, data), bool(editor.secrets()))


def _schedule_rows(draft: TaskDraft, current: BackupTask) -> list[Row]:
    if not current.periodic:
        return []
    return [
        Row("Started", _moment(draft.started), _moment(current.started)),
        Row("Period", _period(draft.period, draft.period_unit), _period(current.period, current.period_unit)),
    ]


def _services_row(draft: TaskDraft, current: BackupTask) -> Row:
    saved = sorted(service.name for service in current.services.all())
    yours = sorted(service.name for service in draft.services)
    return Row(
        "Assign Service",
        "All services" if draft.all_services else ", ".join(yours),
        "All services" if current.all_services else ", ".join(saved),
    )


def _destination_rows(editor: TaskEditor, draft: TaskDraft, current: BackupTask) -> list[Row]:
    rows = []
    saved = {**current.destination, "copies": current.copies}
    yours = {**draft.destination, "copies": draft.copies}
    for name, field in editor.destination.fields.items():
        label = str(field.label)
        if name in editor.path_type.secret_fields:
            rows.append(Row(label, "A new one" if name in editor.secrets() else "Unchanged", "Unchanged"))
        else:
            rows.append(Row(label, _words(field, yours.get(name)), _words(field, saved.get(name))))
    return rows


def _proof_rows(editor: TaskEditor, draft: TaskDraft, current: BackupTask) -> list[Row]:
    fields = editor.form.fields
    return [
        Row(str(fields[name].label), _days(getattr(draft, name)), _days(getattr(current, name)))
        for name in PROOF_FIELDS
    ]


def _days(number: int | None) -> str:
    return "Never" if number is None else "1 day" if number == 1 else f"{number} days"


def _words(field: forms.Field, value: Any) -> str:
    """Return a value as the page shows it."""
    if isinstance(field, forms.BooleanField):
        return "Yes" if value else "No"
    labels = dict(field.widget.choices) if isinstance(field, forms.ChoiceField) else {}
    return str(labels.get(value, value if value not in (None, "") else "Empty"))


def _moment(value: datetime | None) -> str:
    return f"{timezone.localtime(value):%a %Y-%m-%d %H:%M}" if value else "Empty"


def _period(number: int, unit: str) -> str:
    word = str(PeriodUnit(unit).label).lower()
    return f"{number} {word[:-1] if number == 1 else word}"


def _resend(editor: TaskEditor, current: BackupTask, data: QueryDict) -> tuple[tuple[str, str], ...]:
    """Return what was sent, at the version that is stored now and without secrets."""
    left_out = {"version", "csrfmiddlewaretoken", *editor.path_type.secret_fields}
    pairs = [(name, value) for name in data for value in data.getlist(name) if name not in left_out]
    return (*pairs, ("version", str(current.version)))
