"""What the tests of System > People share: what a browser sends, and the password that a page shows once."""

from __future__ import annotations

import html
import re
from typing import Any

from django.contrib.auth.models import Group

LIST, NEW = "/people/", "/people/new/"


def data(*roles: str, **more: Any) -> dict[str, Any]:
    """Return what a browser sends for a person with these roles."""
    keys = [Group.objects.get(name=role).pk for role in roles]
    return {"username": "carla", "first_name": "", "last_name": "", "email": "", "limited": "all", "roles": keys} | more


def shown_password(page: str) -> str:
    """Return the password for one login that a page shows."""
    found = re.search(r'id="one-time-password">([^<]+)<', page)
    assert found
    return html.unescape(found[1])
