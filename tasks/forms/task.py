"""The fields of a backup task in the order of the seed (admin_guide_000350), without those of the path type."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from storage.registry import available_path_types
from tasks import sources
from tasks.forms.fields import Cards, Ticks
from tasks.forms.proof import ProofForm
from tasks.forms.schedule import ScheduleForm
from tasks.models import BackupTask, Cluster, Service
from tasks.naming import NAME_LIMIT, name_problem
from tasks.states import Mode

ALL, SOME = "all", "some"
GROUPS = ("Metadata and other data", "Service data")


class ServicesForm(ProofForm, ScheduleForm):
    """Adds *Assign Service*: all services of the cluster, or some."""

    assign = forms.ChoiceField(
        label="Assign Service",
        choices=((ALL, "All services"), (SOME, "Only these services")),
        initial=ALL,
        required=False,
        widget=Cards(hints={ALL: "Also those that the cluster gets later", SOME: "Choose them below"}),
    )
    services = forms.ModelMultipleChoiceField(
        label="Services", queryset=Service.objects.none(), required=False, widget=Ticks
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.backup_object = self.chosen_cluster()
        field = self.fields["services"]
        assert isinstance(field, forms.ModelMultipleChoiceField)
        field.queryset = self.backup_object.services.order_by("name") if self.backup_object else Service.objects.none()
        foreign = "Choose services of the cluster that is backed up."
        field.error_messages.update(invalid_choice=foreign, invalid_pk_value=foreign)

    def chosen_cluster(self) -> Cluster | None:
        """Return the cluster whose services are listed."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        """Ask for at least one service where not all are meant."""
        cleaned = super().clean()
        if cleaned.get("assign") == SOME and not cleaned.get("services") and "services" not in self.errors:
            self.add_error("services", "Choose at least one service, or choose All services.")
        return cleaned

    def all_services(self) -> bool:
        """Tell whether the task backs up every service of its cluster. Call after ``is_valid``."""
        return self.cleaned_data.get("assign") != SOME


class CreateForm(ServicesForm):
    """Everything that is decided once, when a task is created; ``clusters`` are those to choose from."""

    name = forms.CharField(
        label="Name",
        help_text="Letters, digits, dot, underscore and hyphen. It becomes part of the directory name and cannot be "
        "changed later.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}),
        error_messages={"required": "Give the task a name."},
    )
    cluster = forms.ModelChoiceField(
        label="Backup Object",
        queryset=Cluster.objects.none(),
        empty_label=None,
        error_messages={
            "required": "Choose the cluster that is backed up.",
            "invalid_choice": "The cluster is not registered any more. Choose another one.",
        },
    )
    mode = forms.ChoiceField(
        label="Mode",
        choices=Mode.choices,
        initial=Mode.PERIODIC,
        widget=Cards(
            hints={
                Mode.PERIODIC.value: "Executed by the system periodically",
                Mode.MANUAL.value: "Executed manually",
            }
        ),
        error_messages={"required": "Choose Periodic or Manual.", "invalid_choice": "Choose Periodic or Manual."},
    )
    sources = forms.MultipleChoiceField(
        label="Configuration", widget=Ticks, error_messages={"required": "Select what is backed up, for example IoTDB."}
    )
    path_type = forms.ChoiceField(
        label="Path Type",
        help_text="The fields below follow this choice.",
        error_messages={
            "required": "Choose where the backup files go.",
            "invalid_choice": "%(value)s is not on offer. Choose one of the list.",
        },
    )

    field_order = (
        "name", "cluster", "mode", "started", "period", "period_unit", "policy", "sources", "assign", "services",
        "path_type",
    )  # fmt: skip

    def __init__(self, *args: Any, clusters: QuerySet[Cluster], **kwargs: Any) -> None:
        self.clusters = clusters
        super().__init__(*args, **kwargs)
        name, known, chosen = self.fields["name"], sources.all(), self.fields["cluster"]
        assert isinstance(chosen, forms.ModelChoiceField)
        chosen.queryset = clusters
        name.widget.attrs["maxlength"] = NAME_LIMIT
        _choices(self.fields["sources"], [(source.key, source.label) for source in known])
        _choices(self.fields["path_type"], [(kind.name, kind.name) for kind in available_path_types()])
        self.initial.setdefault("sources", [known[0].key] if known else [])
        if self.backup_object:
            if not self.is_bound:
                self.initial["cluster"] = self.backup_object.pk
            self.fields["cluster"].help_text = inventory_words(self.backup_object)

    def chosen_cluster(self) -> Cluster | None:
        """Return the cluster that was chosen, else the first one that can be backed up, or the first one of all."""
        wanted = self.data.get("cluster") if self.is_bound else self.initial.get("cluster")
        if str(wanted or "").isdecimal():
            return self.clusters.filter(pk=str(wanted)).first()
        return self.clusters.filter(services__nodes__isnull=False).first() or self.clusters.first()

    def clean_name(self) -> str:
        """Hold the name against the rule of names and against the names of other tasks."""
        name: str = self.cleaned_data["name"]
        problem = name_problem(name)
        if problem:
            raise ValidationError(problem)
        if BackupTask.objects.filter(name=name).exists():
            raise ValidationError(f"Another task is already called {name}. Choose a different name.")
        return name

    def clean_sources(self) -> list[str]:
        """A task has one data source; its files are one backup file set."""
        chosen: list[str] = self.cleaned_data["sources"]
        if len(chosen) > 1:
            raise ValidationError("A task backs up one data source. Create one task for each.")
        return chosen

    def source_groups(self) -> list[tuple[str, list[str]]]:
        """Return the groups of *Configuration* and the keys of the sources in each."""
        known = sources.all()
        return [(group, [source.key for source in known if source.group == group]) for group in GROUPS]


class ConfigureForm(ServicesForm):
    """What may be changed of a task (admin_guide_000230): its schedule, its services, and its destination's fields."""

    version = forms.IntegerField(
        label="Task",
        widget=forms.HiddenInput,
        min_value=1,
        error_messages=dict.fromkeys(
            ("required", "invalid", "min_value"), "Open the task from the list again: this page is not whole."
        ),
    )

    def __init__(self, *args: Any, task: BackupTask, **kwargs: Any) -> None:
        self.task = task
        super().__init__(*args, **kwargs)

    def chosen_cluster(self) -> Cluster:
        """Return the cluster of the task."""
        return self.task.cluster

    def is_manual(self) -> bool:
        """The mode of a task does not change."""
        return not self.task.periodic


def inventory_words(cluster: Cluster) -> str:
    """Return how large a cluster is, and what it still lacks before it can be backed up."""
    services = list(cluster.services.prefetch_related("nodes"))
    nodes = sum(len(service.nodes.all()) for service in services)
    words = f"{_count(len(services), 'service')}, {_count(nodes, 'node')}."
    lacking = [service.name for service in services if not service.nodes.all()]
    if lacking:
        return f"{words} Add a node to {', '.join(lacking)} under Clusters before the first run."
    return words


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _choices(field: forms.Field, choices: list[tuple[str, str]]) -> None:
    assert isinstance(field, forms.ChoiceField)
    field.choices = choices
