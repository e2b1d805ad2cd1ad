"""The form of a restoration task as the original has it (admin_guide_000351): where the set lies, and what it is for.

The fields of a path type are those of its destination, read from the other end: *Source* instead of *Destination*, and
no copies to keep.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import QueryDict

from storage.base import DestinationForm, PathType
from storage.fields import path_field
from storage.localdir import data_storage_path
from storage.registry import available_path_types, get_path_type
from tasks.errors import Refused
from tasks.findsets import SourcePath, split_path
from tasks.forms.editor import (
    SHOWN,
    Problem,
    ask_for_secrets,
    chosen_path_type,
    focus_first,
    problems_of,
    unjudged,
)
from tasks.models import Cluster, Restoration
from tasks.naming import NAME_LIMIT, name_problem
from tasks.services.findsets import Search
from tasks.sourcewords import SOURCE_PATH_LABEL, source_label

SOURCE_PATH = "source_path"
PATH_HELP = "The directory to look in, that of one task, or the full path of one archive, which is then chosen."
_LOCAL_HELP = "Empty: all of {}. Otherwise the directory of one task there, or the full path of one archive."


class SourceForm(DestinationForm):
    """The fields of a path type as the source of a restoration; ``source`` is what the path names, once it is clean."""

    kind: ClassVar[PathType]
    copies = None  # type: ignore[assignment]
    read_back = None  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.source = SourcePath("")
        for name, field in self.fields.items():
            label = source_label(self.kind, name, str(field.label))
            field.error_messages = {
                code: str(text).replace(str(field.label), label) for code, text in field.error_messages.items()
            }
            field.label = label
        path = self.fields[self.path_name()]
        path.label, path.help_text = SOURCE_PATH_LABEL, PATH_HELP
        path.error_messages["required"] = f"{SOURCE_PATH_LABEL} is missing. Fill it in."

    @classmethod
    def path_name(cls) -> str:
        """Return the name of the field *Source Path*."""
        return cls.kind.path_field

    def clean(self) -> dict[str, Any]:
        """Split the path into root, directory and archive; the rules of the path type are put to the root."""
        typed = self.cleaned_data.get(self.path_name())
        if typed:
            self.source = split_path(self.kind.path_of(typed.strip()))
            self.cleaned_data[self.path_name()] = self.source.root
        return super().clean() or self.cleaned_data

    def parameters(self) -> dict[str, Any]:
        """Return the destination's values without the secrets. Call after ``is_valid`` returned True."""
        return {name: value for name, value in self.cleaned_data.items() if name not in self.kind.secret_fields}

    def secrets(self) -> dict[str, str]:
        """Return the secrets that were typed."""
        return {name: self.cleaned_data[name] for name in self.kind.secret_fields if self.cleaned_data.get(name)}


class LocalSourceForm(SourceForm):
    """LocalDir: the console's own directory, of which a path names a part."""

    source_path = path_field(SOURCE_PATH_LABEL, "")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[SOURCE_PATH].required = False
        self.fields[SOURCE_PATH].help_text = _LOCAL_HELP.format(f"{data_storage_path() / 'LocalBackup'}/")

    @classmethod
    def path_name(cls) -> str:
        """Return the name of the field *Source Path*."""
        return SOURCE_PATH

    def clean_source_path(self) -> str:
        """Only what lies in LocalBackup is found there."""
        typed: str = self.cleaned_data[SOURCE_PATH].strip()
        root = str(data_storage_path() / "LocalBackup")
        if typed and split_path(typed).root.rstrip("/") != root:
            raise ValidationError(f"LocalDir holds what lies in {root}/. Give a path there, or leave it empty.")
        return typed

    def parameters(self) -> dict[str, Any]:
        """LocalDir has no parameters."""
        return {}


@cache
def source_form_class(name: str) -> type[SourceForm]:
    """Return the form of the path type ``name`` as a source."""
    kind = get_path_type(name)
    elsewhere = kind.path_field in kind.form_class.base_fields
    bases = (SourceForm, kind.form_class) if elsewhere else (LocalSourceForm,)
    shut = {"kind": kind, "copies": None, "read_back": None}
    found: type[SourceForm] = type(f"{kind.name}SourceForm", bases, shut)
    return found


class RestorationForm(forms.Form):
    """What a restoration task is called, and whose metadata it restores: that of one of ``clusters``."""

    name = forms.CharField(
        label="Task Name",
        help_text="Letters, digits, dot, underscore and hyphen. It cannot be changed later.",
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off", "maxlength": NAME_LIMIT}
        ),
        error_messages={"required": "Give the restoration task a name."},
    )
    cluster = forms.ModelChoiceField(
        label="Recovery Object",
        queryset=Cluster.objects.none(),
        empty_label=None,
        help_text="The cluster whose metadata is restored.",
        error_messages={
            "required": "Choose the cluster whose metadata is restored.",
            "invalid_choice": "The cluster is not registered any more. Choose another one.",
        },
    )
    path_type = forms.ChoiceField(
        label="Path Type",
        help_text="Where the set lies. The fields below follow this choice.",
        error_messages={
            "required": "Choose where the set lies.",
            "invalid_choice": "%(value)s is not on offer. Choose one of the list.",
        },
    )

    def __init__(self, *args: Any, clusters: QuerySet[Cluster], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.clusters = clusters
        chosen, field = self.fields["cluster"], self.fields["path_type"]
        assert isinstance(chosen, forms.ModelChoiceField)
        assert isinstance(field, forms.ChoiceField)
        chosen.queryset = clusters
        field.choices = [(kind.name, kind.name) for kind in available_path_types()]

    def clean_name(self) -> str:
        """Hold the name against the rule of names and against the names of other restoration tasks."""
        name: str = self.cleaned_data["name"]
        problem = name_problem(name)
        if problem:
            raise ValidationError(problem)
        if Restoration.objects.filter(name=name).exists():
            raise ValidationError(f"Another restoration task is already called {name}. Choose a different name.")
        return name

    @property
    def network(self) -> str:
        """The IP mode of the cluster that was chosen, else of the first one."""
        wanted = self.data.get("cluster") if self.is_bound else self.initial.get("cluster")
        chosen = self.clusters.filter(pk=str(wanted)) if str(wanted or "").isdecimal() else self.clusters
        found = chosen.first()
        return found.ip_mode if found else "ipv4"


class SourceEditor:
    """Both forms of the page, filled, checked and turned into a search together."""

    def __init__(
        self, form: RestorationForm, path_type: PathType, destination: SourceForm, *, unseen: bool = False
    ) -> None:
        self.form = form
        self.path_type = path_type
        self.destination = destination
        self.unseen = unseen

    def is_valid(self) -> bool:
        """Check both forms; where anything is wrong, ask for typed passwords again, for the page does not hold them."""
        valid = [self.form.is_valid(), self.destination.is_valid()]
        if self.unseen:
            self.form.add_error("path_type", f"Fill in the fields of {self.path_type.name} below.")
            return False
        if not all(valid):
            ask_for_secrets(self.path_type, self.destination)
        return all(valid)

    def refuse(self, error: Refused) -> None:
        """Show why something was refused at the field it names, or above all fields."""
        name = self.destination.path_name() if error.field in ("set", SOURCE_PATH, "directory") else error.field
        here = self.destination if name in self.destination.fields else self.form
        here.add_error(name if name in here.fields else None, str(error))
        ask_for_secrets(self.path_type, self.destination)

    def problems(self) -> list[Problem]:
        """Return what is wrong, in the order of the page; the first field of these gets the focus."""
        parts: list[forms.BaseForm] = [self.form] if self.unseen else [self.form, self.destination]
        focus_first(*parts)
        return [problem for part in parts for problem in problems_of(part)]

    def search(self) -> Search:
        """Return what was decided. Call after ``is_valid`` returned True."""
        return Search(
            name=self.form.cleaned_data["name"],
            cluster=self.form.cleaned_data["cluster"],
            path_type=self.path_type.name,
            parameters=self.destination.parameters(),
            source=self.destination.source,
            secrets=self.destination.secrets(),
        )


def open_source(clusters: QuerySet[Cluster], initial: Mapping[str, Any]) -> SourceEditor:
    """Return the empty form with ``initial`` values; secrets are never among them."""
    path_type = chosen_path_type(initial.get("path_type"))
    form = RestorationForm(clusters=clusters, initial={**initial, "path_type": path_type.name})
    return SourceEditor(form, path_type, fresh_source(path_type, form.network))


def posted_source(data: QueryDict, clusters: QuerySet[Cluster]) -> SourceEditor:
    """Return the form as it was sent, to be checked with ``is_valid``."""
    form = RestorationForm(data, clusters=clusters)
    path_type = chosen_path_type(data.get("path_type"))
    if data.get(SHOWN, path_type.name) != path_type.name:
        return SourceEditor(form, path_type, fresh_source(path_type, form.network), unseen=True)
    return SourceEditor(form, path_type, source_form_class(path_type.name)(data, network=form.network))


def shown_source_again(data: QueryDict, clusters: QuerySet[Cluster]) -> SourceEditor:
    """Return the form as it was sent without judging it: somebody asked for other fields or for Verify."""
    editor = posted_source(data, clusters)
    editor.unseen = False
    for form in (editor.form, editor.destination):
        unjudged(form)
    return editor


def fresh_source(path_type: PathType, network: str) -> SourceForm:
    """Return the empty fields of a path type with its defaults."""
    return source_form_class(path_type.name)(network=network)
