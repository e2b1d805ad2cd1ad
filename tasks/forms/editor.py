"""The form of a backup task as one thing: the task's own fields and those of its path type.

The two stay apart because a path type brings its fields with it (``storage``), and only the fields of the chosen one
are ever in the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.forms.utils import ErrorDict
from django.http import QueryDict
from django.utils import timezone

from storage.base import DestinationForm, PathType
from storage.registry import available_path_types, get_path_type
from tasks.errors import Refused
from tasks.forms.schedule import ScheduleForm
from tasks.forms.task import ALL, SOME, ConfigureForm, CreateForm, ServicesForm
from tasks.models import BackupTask, Cluster
from tasks.schedule import Schedule
from tasks.services import TaskDraft
from tasks.states import Mode, PeriodUnit

# Which path type's fields the browser showed; without script the select may be ahead of them.
SHOWN = "shown_type"
TYPE_AGAIN = "Type the {} again; it is not kept while the form has errors."


@dataclass(frozen=True)
class Problem:
    """One line of the summary of errors: where to go, and what is wrong there."""

    anchor: str
    label: str
    message: str


class TaskEditor:
    """A task's form and its destination's form, filled, checked and turned into a draft together."""

    def __init__(
        self,
        form: ServicesForm,
        path_type: PathType,
        destination: DestinationForm,
        task: BackupTask | None = None,
        *,
        unseen: bool = False,
    ) -> None:
        self.form = form
        self.path_type = path_type
        self.destination = destination
        self.task = task
        self.unseen = unseen
        cluster = form.backup_object
        if cluster and "ip_mode" in destination.fields:
            destination.fields["ip_mode"].help_text = f"Set from the network of {cluster.name}."

    def is_valid(self) -> bool:
        """Check both forms; where anything is wrong, ask for typed passwords again, for the page does not hold them."""
        task_ok, destination_ok = self.form.is_valid(), self.destination.is_valid()
        if self.unseen:
            self.form.add_error("path_type", f"Fill in the fields of {self.path_type.name} below.")
            return False
        if not (task_ok and destination_ok):
            ask_for_secrets(self.path_type, self.destination)
        return task_ok and destination_ok

    def refuse(self, refusal: Refused) -> None:
        """Show why a service refused the draft at the field it names, or above all fields."""
        here = self.destination if refusal.field in self.destination.fields else self.form
        here.add_error(refusal.field if refusal.field in here.fields else None, str(refusal))
        ask_for_secrets(self.path_type, self.destination)

    def problems(self) -> list[Problem]:
        """Return what is wrong, in the order of the page; the first field of these gets the focus."""
        parts = [self.form] if self.unseen else [self.form, self.destination]
        focus_first(*parts)
        return [problem for part in parts for problem in problems_of(part)]

    def draft(self) -> TaskDraft:
        """Return what was decided. Call after ``is_valid`` returned True."""
        cleaned = self.form.cleaned_data
        manual = self.form.is_manual()
        return TaskDraft(
            name=self.task.name if self.task else cleaned["name"],
            cluster=self.task.cluster if self.task else cleaned["cluster"],
            mode=Mode.MANUAL if manual else Mode.PERIODIC,
            path_type=self.path_type.name,
            copies=self.destination.cleaned_data["copies"],
            destination=self.parameters(),
            started=None if manual else cleaned["started"],
            period=1 if manual else cleaned["period"],
            period_unit=PeriodUnit.DAYS if manual else cleaned["period_unit"],
            data_source=self.task.data_source if self.task else cleaned["sources"][0],
            all_services=self.form.all_services(),
            services=() if self.form.all_services() else tuple(cleaned["services"]),
            secrets=self.secrets(),
            **self.form.proof_limits(),
        )

    def parameters(self) -> dict[str, Any]:
        """Return the destination's values but for the number of copies and the secrets."""
        apart = {"copies", *self.path_type.secret_fields}
        return {name: value for name, value in self.destination.cleaned_data.items() if name not in apart}

    def secrets(self) -> dict[str, str]:
        """Return the secrets that were typed; one that is absent is to stay as it is stored."""
        cleaned = self.destination.cleaned_data
        return {name: cleaned[name] for name in self.path_type.secret_fields if cleaned.get(name)}

    def next_runs(self, now: datetime, count: int = 3) -> list[datetime]:
        """Return the next runs of the schedule in the form; none for a manual or an unfinished one."""
        return upcoming(self._schedule(), now, count)

    def _schedule(self) -> Schedule | None:
        if not self.form.is_bound:
            return initial_schedule(self.form)
        self.form.is_valid()
        return self.form.schedule()


def ask_for_secrets(path_type: PathType, destination: DestinationForm) -> None:
    """Say at each secret that was typed that it has to be typed again: the page does not hold it."""
    for name in path_type.secret_fields:
        if destination.data.get(name) and name not in destination.errors:
            label = str(destination.fields[name].label).lower()
            destination.add_error(name, TYPE_AGAIN.format(label))


def upcoming(schedule: Schedule | None, now: datetime, count: int = 3) -> list[datetime]:
    """Return the next ``count`` runs; no schedule has none."""
    return schedule.upcoming(now, count) if schedule else []


def initial_schedule(form: ScheduleForm) -> Schedule | None:
    """Return the schedule that an untouched form shows."""
    if form.is_manual():
        return None
    period, unit = (form.get_initial_for_field(form.fields[name], name) for name in ("period", "period_unit"))
    return Schedule(form.initial["started"], int(period), str(unit), timezone.get_default_timezone())


def open_create(clusters: QuerySet[Cluster], initial: Mapping[str, Any]) -> TaskEditor:
    """Return the form for a new task of one of ``clusters``; ``initial`` may hold values of both its halves."""
    values = dict(initial)
    path_type = chosen_path_type(values.get("path_type"))
    form = CreateForm(clusters=clusters, initial=values)
    if form.backup_object:
        form.initial.setdefault("cluster", form.backup_object.pk)
    form.initial["path_type"] = path_type.name
    return TaskEditor(form, path_type, fresh_destination(path_type, form, values))


def open_configure(task: BackupTask) -> TaskEditor:
    """Return the form of a task as it is stored."""
    path_type = get_path_type(task.path_type)
    form = ConfigureForm(task=task, initial=stored_values(task))
    return TaskEditor(form, path_type, _stored_destination(task, path_type), task)


def posted(data: QueryDict, clusters: QuerySet[Cluster], task: BackupTask | None = None) -> TaskEditor:
    """Return the form as it was sent, to be checked with ``is_valid``."""
    form = _bound(data, clusters, task)
    path_type = get_path_type(task.path_type) if task else chosen_path_type(data.get("path_type"))
    if data.get(SHOWN, path_type.name) != path_type.name:
        kept = {"copies": data["copies"]} if data.get("copies") else {}
        return TaskEditor(form, path_type, fresh_destination(path_type, form, kept), unseen=True)
    if task:
        return TaskEditor(form, path_type, _stored_destination(task, path_type, data), task)
    network = form.backup_object.ip_mode if form.backup_object else "ipv4"
    return TaskEditor(form, path_type, path_type.form_class(data, network=network))


def shown_again(data: QueryDict, clusters: QuerySet[Cluster], task: BackupTask | None = None) -> TaskEditor:
    """Return the form as it was sent without judging it: somebody asked for other fields, not to save."""
    editor = posted(data, clusters, task)
    editor.unseen = False
    for form in (editor.form, editor.destination):
        unjudged(form)
    return editor


def unjudged(form: forms.BaseForm) -> None:
    """Make a bound form show what was typed, without errors."""
    form.full_clean()
    # What was right still counts, for the next runs; an empty record of errors stands for "checked".
    vars(form).update(_errors=ErrorDict())


def chosen_path_type(name: Any) -> PathType:
    """Return the path type of that name where it is on offer, else the first that is."""
    offered = available_path_types()
    return next((path_type for path_type in offered if path_type.name == name), offered[0])


def fresh_destination(path_type: PathType, form: ServicesForm, initial: Mapping[str, Any]) -> DestinationForm:
    """Return the empty fields of a path type with its defaults; of ``initial`` the secrets are left out."""
    known = path_type.form_class.base_fields
    kept = {name: initial[name] for name in known if name in initial and name not in path_type.secret_fields}
    kept.setdefault("read_back", path_type.read_back_default)
    return path_type.form_class(initial=kept, network=form.backup_object.ip_mode if form.backup_object else "ipv4")


def stored_values(task: BackupTask) -> dict[str, Any]:
    """Return a task's values by the names of the form's fields."""
    values: dict[str, Any] = {
        "mode": task.mode,
        "period": task.period,
        "period_unit": task.period_unit,
        "assign": ALL if task.all_services else SOME,
        "services": [service.pk for service in task.services.all()],
        "version": task.version,
        "path_type": task.path_type,
        "copies": task.copies,
        "check_after_days": task.check_after_days,
        "rehearse_after_days": task.rehearse_after_days,
        **task.destination,
    }
    if task.started:
        values["started"] = task.started
    return values


def copied_values(task: BackupTask) -> dict[str, Any]:
    """Return the values for a task like ``task`` with a name that is free; passwords are not copied."""
    values = stored_values(task) | {"cluster": task.cluster_id, "sources": [task.data_source]}
    return values | {"name": _free_name(task.name)}


def _free_name(name: str) -> str:
    taken = set(BackupTask.objects.filter(name__startswith=name[:50]).values_list("name", flat=True))
    tries = (f"{name[:57]}-copy{'' if number == 1 else f'-{number}'}" for number in range(1, len(taken) + 2))
    return next(candidate for candidate in tries if candidate not in taken)


def _bound(data: QueryDict, clusters: QuerySet[Cluster], task: BackupTask | None) -> ServicesForm:
    if task is not None:
        return ConfigureForm(data, task=task, initial=stored_values(task))
    return CreateForm(data, clusters=clusters)


def _stored_destination(task: BackupTask, path_type: PathType, data: QueryDict | None = None) -> DestinationForm:
    return path_type.form_class(
        data,
        initial={"read_back": path_type.read_back_default, **task.destination, "copies": task.copies},
        network=task.cluster.ip_mode,
        stored=bool(task.sealed_secrets),
    )


def focus_first(*parts: forms.BaseForm) -> None:
    """Let the page open with the focus in the first field that has to change, with script or without."""
    wrong = (field for part in parts for field in part if field.errors and not field.is_hidden)
    first = next(wrong, None)
    if first is not None:
        first.field.widget.attrs["autofocus"] = True


def problems_of(form: forms.BaseForm) -> list[Problem]:
    """Return what is wrong with a form that was checked, in the order of its fields."""
    problems = [Problem("main", "The form", str(message)) for message in form.non_field_errors()]
    for field in form:
        many = isinstance(field.field.widget, forms.RadioSelect | forms.CheckboxSelectMultiple)
        anchor = f"{field.auto_id}_0" if many else field.auto_id
        problems += [Problem(str(anchor), str(field.label), str(message)) for message in field.errors]
    return problems
