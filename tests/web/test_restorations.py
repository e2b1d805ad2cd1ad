"""Restoration Management: list, page of a task, verbs."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tasks import permissions
from tasks.models import Node
from tasks.states import RunState
from tests.web.restoration_kit import PAGE, make_restoration, make_run, steps_at
from tests.web.taskform_kit import text_of


@pytest.fixture
def restorer(login: Any) -> Client:
    client: Client = login(permissions.RESTORE_ADMINISTRATOR)
    return client


@pytest.mark.parametrize("state", ["", *(state for state in RunState.values if state != RunState.POSTPONED)])
def test_every_state_is_shown_in_the_list_and_on_its_page(state: str, restorer: Client, node: Node) -> None:
    restoration = make_restoration(node.service.cluster)
    if state:
        make_run(restoration, state, steps=steps_at("stop"), reason="This is why.")
    words = RunState(state).label if state else "No runs yet"
    assert words in text_of(restorer.get(PAGE))
    text = text_of(restorer.get(f"{PAGE}{restoration.pk}/"))
    assert words in text
    assert restorer.get(f"{PAGE}{restoration.pk}/news/").status_code == 200
    assert restorer.get(f"{PAGE}cells/?ids={restoration.pk},99").status_code == 200
