"""What the list's search looks through: one text for each task, of its name, and of where its files go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from django import forms
from django.db.models import Q

from storage.registry import all_path_types


def search_text(name: str, destination: Mapping[str, Any]) -> str:
    """Return name, addresses and paths, a line each and with no difference of case; secrets and accounts are not in."""
    return "\n".join(_same_case(text) for text in (name, *_places(destination)))


def found_by(text: str) -> Q:
    """Return the condition for tasks with ``text`` in their name, or in an address or path of their destination."""
    return Q(search_text__contains=_same_case(text))


def _places(destination: Mapping[str, Any]) -> Iterator[str]:
    for name in place_fields():
        if isinstance(value := destination.get(name), str) and value:
            yield value


@cache
def place_fields() -> tuple[str, ...]:
    """Return the names of the destinations' fields that say where: addresses and paths of every path type."""
    names = {
        name
        for path_type in all_path_types()
        for name, field in path_type.form_class.base_fields.items()
        if isinstance(field, forms.CharField) and name not in ("username", *path_type.secret_fields)
    }
    return tuple(sorted(names))


def _same_case(text: str) -> str:
    return text.casefold()
