"""What a path type says of its fields, in the words of the page where it is the source of a restoration.

There *Destination* is *Source*, and the path is *Source Path*; a message has to name the field that the reader sees.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache

from storage.base import PathType
from storage.checks import Check
from storage.errors import ConsoleError
from storage.registry import get_path_type

SOURCE_PATH_LABEL = "Source Path"


def source_label(kind: PathType, name: str, label: str) -> str:
    """Return what the field ``name`` of a path type is called on the page of a source."""
    return SOURCE_PATH_LABEL if name == kind.path_field else label.replace("Destination ", "Source ")


@cache
def _renamed(path_type: str) -> tuple[tuple[str, str], ...]:
    """Return the labels that differ, the longest first: one may begin another."""
    kind = get_path_type(path_type)
    fields = ((name, str(field.label)) for name, field in kind.form_class.base_fields.items())
    pairs = {label: source_label(kind, name, label) for name, label in fields}
    return tuple(sorted(((old, new) for old, new in pairs.items() if old != new), key=lambda pair: -len(pair[0])))


def of_source(text: str, path_type: str) -> str:
    """Return a text of a path type with the fields' names of a source."""
    for old, new in _renamed(path_type):
        text = text.replace(old, new)
    return text


def error_of_source(error: ConsoleError, path_type: str) -> ConsoleError:
    """Return the same error in the words of a source."""
    same = copy.copy(error)
    same.message, same.cure = of_source(error.message, path_type), of_source(error.cure, path_type)
    return same


def check_of_source(check: Check, path_type: str) -> Check:
    """Return a line of Verify in the words of a source."""
    return replace(check, detail=of_source(check.detail, path_type), cure=of_source(check.cure, path_type))
