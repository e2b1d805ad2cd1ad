"""What the tests of the list share."""

from __future__ import annotations

import re

from django.test import Client

LIST = "/backups/"


def page(client: Client, query: str = "") -> str:
    """Return the list as one line of text."""
    response = client.get(LIST + query)
    assert response.status_code == 200
    return squeezed(response.content.decode())


def squeezed(text: str) -> str:
    """Return a page without its help, every run of white space as one blank, the parts of paths and names joined."""
    told = re.sub(r"\s+", " ", without_help(text)).replace("<wbr>", "")
    return re.sub(r'<span class="seg">([^<]*)</span>', r"\1", told)


def without_help(page: str) -> str:
    """Return a page without its help, which tells of everything that may stand there."""
    return re.sub(r'<details class="help">.*?</details>', "", page, flags=re.DOTALL)


def names(text: str) -> list[str]:
    """Return the names of the tasks on a page, in its order."""
    return re.findall(r'<a class="name" [^>]*>([^<]+)</a>', text)
