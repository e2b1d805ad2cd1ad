"""The parts of pages that are repeated by row: Jinja2 templates in ``jinja/``, put into a page by ``{% jinja %}``.

Jinja2 compiles a template to Python. Fifty cells with a dozen choices each are some fifth of the work that they are as
templates of Django, and these rows were most of the time of a page. All else stays with Django's templates.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django.template import engines
from django.urls import get_script_prefix, reverse
from django.utils.safestring import SafeString
from jinja2 import Environment, StrictUndefined

_A_KEY = 987654321


def environment(**options: Any) -> Environment:
    """Return Jinja2 with the tags and filters of Django's templates; a name that is unknown is an error."""
    from tasks.templatetags import console

    made = Environment(trim_blocks=True, lstrip_blocks=True, **options | {"undefined": StrictUndefined})
    made.globals |= {
        name: getattr(console, name) for name in ("icon", "status", "strip", "outcome_strip", "strip_legend")
    }
    # ``oob``: whether the page is there already, and htmx is to put the part into its place.
    made.globals |= {"url": address, "oob": False}
    made.filters |= {
        name: getattr(console, name)
        for name in (
            "ago", "cause", "count", "day", "days_ago", "days_short", "distance", "duration", "first_sentence", "on",
            "path", "plain", "planned", "proven", "retold", "retold_plainly", "size", "when",
        )
    }  # fmt: skip
    return made


def address(name: str, key: int | None = None) -> str:
    """Return the address of the route ``name``; ``key`` is the number that it takes, where it takes one."""
    if key is None:
        return reverse(name)
    before, after = _around(get_script_prefix(), name)
    return f"{before}{key}{after}"


@lru_cache(maxsize=256)
def _around(prefix: str, name: str) -> tuple[str, str]:
    """Return what stands before and after the key; a page has hundreds of addresses of few routes."""
    before, _, after = reverse(name, args=[_A_KEY]).partition(str(_A_KEY))
    return before, after


def rendered(name: str, values: Mapping[Any, Any]) -> SafeString:
    """Return the template ``name`` of ``jinja/`` with ``values``.

    Raises ``jinja2.UndefinedError`` where it names what is not among them.
    """
    text: str = engines["jinja2"].env.get_template(name).render(values)  # type: ignore[attr-defined]
    return SafeString(text)
