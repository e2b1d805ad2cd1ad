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
    """Return ``text`` with every run of white space as one blank, and the parts of paths joined."""
    return re.sub(r'<span class="seg">([^<]*)</span>', r"\1", re.sub(r"\s+", " ", text))


def names(text: str) -> list[str]:
    """Return the names of the tasks on a page, in its order."""
    return re.findall(r'<a class="name" [^>]*>([^<]+)</a>', text)
