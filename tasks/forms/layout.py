"""How crispy-forms lays out the form of a task; the markup of each part stands in ``templates/tasks/form_*.html``."""

from __future__ import annotations

from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import HTML, Field, Layout, LayoutObject
from crispy_forms.utils import TEMPLATE_PACK
from django import forms
from django.template.loader import render_to_string

from storage.base import DestinationForm
from tasks import sources
from tasks.forms.editor import TaskEditor
from tasks.forms.proof import PROOF_FIELDS


class Section(LayoutObject):
    """A part of the form under a heading."""

    def __init__(self, title: str, key: str, *fields: Any) -> None:
        self.title = title
        self.key = key
        self.fields = list(fields)

    def render(self, form: forms.BaseForm, context: Any, template_pack: Any = TEMPLATE_PACK, **kwargs: Any) -> str:
        """Return the section with its fields."""
        inner = self.get_rendered_fields(form, context, template_pack, **kwargs)
        return render_to_string("tasks/form_section.html", {"section": self, "inner": inner})


class Fold(LayoutObject):
    """Fields that few people need, folded away under a heading."""

    def __init__(self, title: str, is_open: bool, *fields: Any) -> None:
        self.title = title
        self.is_open = is_open
        self.fields = list(fields)

    def render(self, form: forms.BaseForm, context: Any, template_pack: Any = TEMPLATE_PACK, **kwargs: Any) -> str:
        """Return the heading with its fields below."""
        inner = self.get_rendered_fields(form, context, template_pack, **kwargs)
        return render_to_string("tasks/form_fold.html", {"fold": self, "inner": inner})


def task_helper(editor: TaskEditor) -> FormHelper:
    """Return the layout of the whole form, in the order of the seed."""
    sections = [_schedule(), _configuration(), _destination(editor), _proof(editor.form)]
    if editor.task is None:
        sections.insert(0, _task())
    elif not editor.task.periodic:
        sections.pop(0)
    return _helper(*sections)


def restoration_helper() -> FormHelper:
    """Return the layout of the name and the object of a restoration task; Path Type stands with the source."""
    return _helper(Field("name", wrapper_class="w3"), Field("cluster", wrapper_class="w3"))


def destination_helper(form: DestinationForm) -> FormHelper:
    """Return the layout of a path type's fields, which says itself how wide each one is."""
    widths = getattr(form, "widths", {"copies": "w4"})
    fields = {name: Field(name, wrapper_class=widths.get(name, "")) for name in form.fields}
    parts: list[Any] = []
    folds = {names[0]: (title, names) for title, names in form.folded.items()}
    folded = {name for names in form.folded.values() for name in names}
    for name, field in fields.items():
        if name in folds:
            title, names = folds[name]
            is_open = any(form[one].errors or form[one].value() not in _untouched(form, one) for one in names)
            parts.append(Fold(title, is_open, *(fields[one] for one in names)))
        elif name not in folded:
            parts.append(field)
    return _helper(*parts)


def _untouched(form: DestinationForm, name: str) -> tuple[Any, ...]:
    """Return the values of a field that nobody has decided on."""
    initial = form.fields[name].initial
    return (None, "", initial, str(initial))


def _task() -> Section:
    return Section(
        "Task",
        "task",
        Field("name", wrapper_class="w3"),
        Field("cluster", template="tasks/form_cluster.html"),
        Field("mode", template="tasks/form_cards.html"),
    )


def _schedule() -> Section:
    return Section(
        "Schedule",
        "schedule",
        Field("started", wrapper_class="w3"),
        Field("period", template="tasks/form_period.html"),
        Field("policy", template="tasks/form_cards.html"),
    )


def _configuration() -> Section:
    return Section("Configuration", "configuration", HTML('{% include "tasks/form_configuration.html" %}'))


def _destination(editor: TaskEditor) -> Section:
    fields = [HTML('<div id="destination-place" aria-live="polite">{% include "tasks/_destination.html" %}</div>')]
    if editor.task is None:
        fields.insert(0, Field("path_type", template="tasks/form_path_type.html"))
    source = sources.get(editor.task.data_source) if editor.task else sources.all()[0]
    return Section(f"Destination of {source.label}", "destination-section", *fields)


def _proof(form: forms.BaseForm) -> Section:
    """Return the last section, open where something in it is not as most tasks have it."""
    usual = {name: _text(form.fields[name].initial) for name in PROOF_FIELDS}
    is_open = any(form[name].errors or _text(form[name].value()) != usual[name] for name in PROOF_FIELDS)
    fields = (Field(name, wrapper_class="w3") for name in PROOF_FIELDS)
    return Section("Proof", "proof", Fold("When sets are proven again", is_open, *fields))


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _helper(*parts: Any) -> FormHelper:
    helper = FormHelper()
    helper.form_tag = False
    helper.disable_csrf = True
    helper.render_hidden_fields = True
    # Errors as paragraphs, which the stylesheet gives an icon.
    helper.error_text_inline = False
    helper.layout = Layout(*parts)
    return helper
