"""The form of the management nodes: two forms on one page, the second one counts only where there is a standby."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crispy_forms.helper import FormHelper
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import QueryDict

from storage.errors import StoreError
from storage.localdir import LocalDirStore
from storage.registry import get_path_type
from storage.sftp import SFTPForm
from tasks.forms.editor import Problem, focus_first, problems_of
from tasks.forms.layout import destination_helper
from tasks.models import ManagementNodes
from tasks.models.cluster import absolute_path
from tasks.services.system import NodesDraft

SECRETS = get_path_type("SFTP").secret_fields


class NodesForm(forms.Form):
    """The active management node."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    data_storage_path = forms.CharField(
        label="Data storage path",
        max_length=1024,
        required=False,
        validators=[absolute_path],
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocomplete": "off"}),
        error_messages={"max_length": "The path is longer than 1,024 characters."},
    )
    has_standby = forms.BooleanField(
        label="There is a standby management node",
        required=False,
        help_text="After each successful run the files are copied there, checked, and kept by the same rule.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["data_storage_path"].help_text = (
            f"LocalDir keeps backup files in LocalBackup below it. Empty: {settings.DATA_STORAGE_PATH}. "
            "Sets at an earlier path stay there and are no longer counted."
        )
        self.helper = FormHelper()
        self.helper.form_tag = False
        self.helper.disable_csrf = True
        self.helper.error_text_inline = False

    def clean_data_storage_path(self) -> str:
        """Make the directory now, so that a path that cannot be used is known before the night's runs."""
        path: str = self.cleaned_data["data_storage_path"]
        if path and path != self.initial.get("data_storage_path"):
            try:
                LocalDirStore(Path(path) / "LocalBackup").free_space()
            except StoreError as error:
                raise ValidationError(str(error)) from error
        return path


class StandbyForm(SFTPForm):
    """How the standby node is reached: SFTP, without what concerns a task only."""

    copies = None  # type: ignore[assignment]
    read_back = None  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["ip_mode"].help_text = ""
        self.fields["server_ip"].help_text = "The standby management node."
        path = self.fields["shared_path"]
        path.label = "Backup directory on the standby node"
        path.help_text = "It takes the place of LocalBackup there, and has to exist."


class NodesEditor:
    """Both forms of the page, bound to what was posted or filled with what is stored."""

    def __init__(self, nodes: ManagementNodes, data: QueryDict | None = None) -> None:
        self.nodes = nodes
        stored = {"data_storage_path": nodes.data_storage_path, "has_standby": bool(nodes.standby)}
        self.form = NodesForm(data, initial={**stored, "version": nodes.version})
        self.standby = StandbyForm(data, initial=nodes.standby, stored=bool(nodes.sealed_secrets))
        self.standby_helper = destination_helper(self.standby)

    def is_valid(self) -> bool:
        """Check the first form, and the second one where there is a standby."""
        first = self.form.is_valid()
        return (self.standby.is_valid() and first) if self._has_standby() else first

    def _has_standby(self) -> bool:
        return bool(self.form.data.get("has_standby"))

    def problems(self) -> list[Problem]:
        """Return what is wrong, in the order of the page."""
        standby = problems_of(self.standby) if self._has_standby() else []
        focus_first(self.form, self.standby)
        return [*problems_of(self.form), *standby]

    def reachable(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Return parameters and typed secrets of the standby node, as far as they hold; for Verify."""
        cleaned = self.standby.cleaned_data
        parameters = {name: value for name, value in cleaned.items() if name not in SECRETS}
        typed = {name: cleaned[name] for name in SECRETS if cleaned.get(name)}
        return {"host_key": "", **parameters}, typed

    def draft(self) -> NodesDraft:
        """Return what was decided. Call after ``is_valid`` returned True."""
        path = self.form.cleaned_data["data_storage_path"]
        if not self._has_standby():
            return NodesDraft(path)
        return NodesDraft(path, *self.reachable())
