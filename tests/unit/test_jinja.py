"""The parts of pages that are Jinja2 templates: what they put into a page is safe, and nothing is left out silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest
from django.conf import settings
from django.template import engines
from django.urls import NoReverseMatch, reverse, set_script_prefix

from tasks.jinja import address, rendered

FOLDER = Path(settings.BASE_DIR) / "jinja"


def made(text: str, **values: Any) -> str:
    """Return what a template with this text makes of ``values``."""
    return str(engines["jinja2"].from_string(text).template.render(values))  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.html")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_every_one_can_be_read(path: Path) -> None:
    assert engines["jinja2"].get_template(str(path.relative_to(FOLDER)))


def test_what_comes_from_outside_is_escaped() -> None:
    nasty = "<script>alert('x')</script>"
    assert "<script>" not in made("<b>{{ name }}</b>", name=nasty)
    assert "<script>" not in made('<b title="{{ name|retold_plainly }}">{{ name|retold }}</b>', name=nasty)
    assert made("{{ icon('ok') }}").startswith("<svg")


def test_an_unknown_name_is_an_error_and_no_gap() -> None:
    with pytest.raises(jinja2.UndefinedError, match="'page'"):
        rendered("tasks/runs.html", {"row": None, "shell": {"may": {}}})


@pytest.mark.parametrize(("name", "key"), [("task-history", 7), ("task-history", 98_765_432_100), ("run-log", 1)])
def test_an_address_is_that_of_its_route(name: str, key: int) -> None:
    assert address(name, key) == reverse(name, args=[key])


def test_an_address_without_a_key() -> None:
    assert address("tasks") == reverse("tasks")
    with pytest.raises(NoReverseMatch):
        address("nowhere", 1)


def test_addresses_follow_the_place_where_the_console_is_mounted() -> None:
    before = address("run-log", 5)
    set_script_prefix("/console/")
    try:
        assert address("run-log", 5) == f"/console{before}"
    finally:
        set_script_prefix("/")
    assert address("run-log", 5) == before
