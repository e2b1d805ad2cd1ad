"""What the tests of the inventory's pages share."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from tests.conftest import Login
from tests.web.list_kit import without_help


@pytest.fixture
def client(login: Login) -> Client:
    """A Backup Administrator."""
    return login("Backup Administrator")


def page_of(response: Any) -> str:
    """Return the markup of the page's main part."""
    return str(response.content.decode()).split("<main")[1]


def text_of(response: Any) -> str:
    """Return the page's text without markup, blanks made one."""
    page = re.sub(r"<svg.*?</svg>|<[^>]+>", " ", without_help(page_of(response)), flags=re.DOTALL)
    return re.sub(r"\s+", " ", page.replace("&#x27;", "'"))
