"""Browsers that the tests of pages share."""

from __future__ import annotations

import pytest
from django.test import Client

from tasks.permissions import OPERATOR
from tests.conftest import Login


@pytest.fixture
def operator_page(login: Login) -> Client:
    """An Operator's browser."""
    return login(OPERATOR)
