"""Tasks that somebody else made while the list is open: told in a line, without moving a row."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from tasks.permissions import BACKUP_ADMINISTRATOR
from tasks.states import RunState
from tests.conftest import Login, MakeRun, MakeTask
from tests.web.list_kit import page, squeezed

HTMX = {"HX-Request": "true"}


@pytest.fixture
def admin(login: Login) -> Client:
    """A Backup Administrator's browser."""
    return login(BACKUP_ADMINISTRATOR)


def news(client: Client, poll: str) -> str:
    """Return what an open page is told by its address of news."""
    response = client.get(poll, headers=HTMX)
    assert response.status_code == 200
    found = re.search(r'<p class="table-news".*?</p>', squeezed(response.content.decode()))
    assert found
    return found[0]


def poll_of(text: str) -> str:
    found = re.search(r'data-poll="([^"]+)"', text)
    assert found
    return found[1].replace("&amp;", "&")


def test_nothing_is_told_while_nothing_is_new(admin: Client, make_task: MakeTask) -> None:
    make_task()
    text = page(admin)
    assert 'id="tasks-new" data-state="0" hidden' in text
    assert "hidden" in news(admin, poll_of(text))


def test_new_tasks_are_counted_with_a_link_to_this_very_list(admin: Client, make_task: MakeTask) -> None:
    make_task(name="first")
    poll = poll_of(page(admin, "?q=t&sort=name"))
    make_task(name="second")  # not found by q
    make_task(name="third")
    told = news(admin, poll)
    assert "1 new task. " in told and 'data-say="1 new task"' in told and "hidden" not in told
    assert 'href="/backups/?q=t&amp;sort=name"' in told
    make_task(name="fourth")
    make_task(name="fifth-to-go").delete()
    assert "2 new tasks." in news(admin, poll)


def test_it_goes_on_counting_from_what_the_page_shows(admin: Client, make_task: MakeTask) -> None:
    make_task()
    poll = poll_of(page(admin))
    make_task()
    response = admin.get(poll, headers=HTMX)
    assert "1 new task." in news(admin, poll_of(squeezed(response.content.decode())))


def test_a_chosen_status_counts_only_what_it_would_show(admin: Client, make_task: MakeTask, make_run: MakeRun) -> None:
    make_run(make_task(), RunState.FAILED)
    poll = poll_of(page(admin, "?status=failed"))
    fresh = make_task()
    assert "hidden" in news(admin, poll)
    make_run(fresh, RunState.FAILED)
    assert "1 new task." in news(admin, poll)


def test_the_state_of_the_workers_stands_in_the_drawer_too(admin: Client, make_task: MakeTask) -> None:
    make_task()
    text = page(admin)
    assert text.count("Workers not running") == 2
    told = admin.get(poll_of(text), headers=HTMX).content.decode()
    assert 'id="drawer-state" hx-swap-oob="true"' in told and 'id="console-state" hx-swap-oob="true"' in told
