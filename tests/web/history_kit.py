"""Proofs as they stand in the database, and what a page says of them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tasks.models import Run
from tasks.permissions import OPERATOR
from tasks.states import Kind, RunState, Trigger
from tests.conftest import Login


def plain(text: str) -> str:
    """Return a page's text without markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def prove(run: Run, kind: Kind, state: str = RunState.SUCCESSFUL, **fields: Any) -> Run:
    """Make a proof of the set of ``run``, as it would stand in the database."""
    now = timezone.now()
    values: dict[str, Any] = {"trigger": Trigger.SCHEDULE, "started_at": now - timedelta(seconds=9)}
    if state == RunState.RUNNING:
        values |= {"lease_token": "0" * 32, "lease_until": now + timedelta(minutes=1)}
    elif state != RunState.WAITING:
        values |= {"ended_at": now}
    return Run.objects.create(
        kind=kind, subject=run, task=run.task, cluster=run.cluster, state=state, **(values | fields)
    )


@pytest.fixture(name="operator_client")
def browser_of_an_operator(login: Login) -> Client:
    """An Operator's browser."""
    return login(OPERATOR)
