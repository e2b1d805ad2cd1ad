"""Several tasks at once on the page: what can be ticked, what is asked, what is done, and that it needs no script."""

from __future__ import annotations

import re
import time

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tasks.models import BackupTask, Cluster, Run
from tasks.permissions import BACKUP_ADMINISTRATOR, OPERATOR, VIEWER
from tasks.selectors import PAGE_SIZE
from tasks.states import Mode, RunState
from tests.conftest import Login, MakeRun, MakeTask
from tests.unit.bulk_kit import make_many
from tests.web.list_kit import LIST, page, squeezed
from tests.web.scope_kit import limit

HTMX = {"HX-Request": "true"}


@pytest.fixture
def admin(login: Login) -> Client:
    """A Backup Administrator's browser."""
    return login(BACKUP_ADMINISTRATOR)


def ask(client: Client, key: str, query: str) -> str:
    """Return the page that asks, as one line of text."""
    response = client.get(reverse(f"tasks-{key}") + query)
    assert response.status_code == 200, response.headers
    return squeezed(response.content.decode())


def answer(client: Client, key: str, asked: str, **fields: str) -> str:
    """Press the button of a page that asks, and return the page it leads to."""
    token = re.findall(r'name="tasks" value="([^"]*)"', asked)[0]
    response = client.post(reverse(f"tasks-{key}"), {"tasks": token, "next": LIST} | fields, follow=True)
    return squeezed(response.content.decode())


def ticked(*tasks: BackupTask) -> str:
    return "?" + "&".join(f"task={task.pk}" for task in tasks)


# --- The list --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("role", "verbs"),
    [
        (VIEWER, []),
        (OPERATOR, ["run", "stop", "suspend", "resume"]),
        (BACKUP_ADMINISTRATOR, ["run", "stop", "suspend", "resume", "delete"]),
    ],
)
def test_the_list_offers_what_the_role_may_do(login: Login, task: BackupTask, role: str, verbs: list[str]) -> None:
    text = page(login(role))
    assert re.findall(r'formaction="/backups/bulk/(\w+)/"', text) == verbs
    assert (f'name="task" value="{task.pk}" aria-label="Select {task.name}"' in text) is bool(verbs)
    assert ('aria-label="Select all 1 tasks on this page"' in text) is bool(verbs)


def test_the_form_carries_the_filter_and_the_way_back(admin: Client, make_task: MakeTask) -> None:
    for number in range(PAGE_SIZE + 1):
        make_task(f"daily-{number}")
    text = page(admin, "?q=daily&mode=manual")
    assert '<input type="hidden" name="q" value="daily"><input type="hidden" name="mode" value="manual">' in text
    assert 'name="next" value="/backups/?q=daily&amp;mode=manual"' in text
    assert f'data-number="{PAGE_SIZE + 1}">All {PAGE_SIZE + 1} that the filter finds' in text
    assert 'name="found"' not in page(admin, "?q=daily-1"), "all that is found is on the page"


def test_a_row_that_refreshes_keeps_its_tick(admin: Client, task: BackupTask) -> None:
    assert "c-check" not in admin.get(f"/backups/cells/?ids={task.pk}").content.decode()


# --- What was chosen -------------------------------------------------------------------------------------------------
def names(asked: str) -> list[str]:
    return re.findall(r'<span class="what">([^<]+)</span>', asked)


def test_ticked_tasks_a_whole_page_or_all_that_the_filter_finds(admin: Client, make_task: MakeTask) -> None:
    one, two, other = make_task("one"), make_task("two"), make_task("other", mode=Mode.PERIODIC)
    assert names(ask(admin, "run", ticked(one, other))) == ["one", "other"]
    assert names(ask(admin, "run", f"?page={one.pk},{two.pk}&task={one.pk}")) == ["one", "two"]
    assert names(ask(admin, "run", "?found=yes&mode=manual&q=")) == ["one", "two"]
    assert names(ask(admin, "run", "?found=yes&status=none")) == ["one", "other", "two"]


@pytest.mark.parametrize("query", ["", "?task=", "?task=x&page=,,", "?task=999999999", "?found=yes&q=nothing"])
def test_nothing_chosen_is_told(admin: Client, task: BackupTask, query: str) -> None:
    for method in (admin.get, admin.post):
        response = method(reverse("tasks-stop") + query, follow=True)
        assert response.redirect_chain[0][0] == LIST
        assert "No task is selected. Tick tasks in the list first." in response.content.decode()


def test_too_many_are_told(admin: Client, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.bulk.LIMIT", 2)
    for _ in range(3):
        make_task()
    text = admin.get(reverse("tasks-run") + "?found=yes", follow=True).content.decode()
    assert "More than 2 tasks are selected. Narrow the filter and do it in parts." in text


# --- Asked and done --------------------------------------------------------------------------------------------------
def test_what_will_happen_is_said_then_done(admin: Client, make_task: MakeTask, make_run: MakeRun) -> None:
    running, one, two = make_task("one-runs"), make_task("two"), make_task("two-b")
    make_run(running, RunState.RUNNING, timezone.now())
    asked = ask(admin, "run", ticked(running, one, two))
    assert "<h1>Back up 2 tasks now?</h1>" in asked
    assert "Waits behind one-runs." in asked and "Waits behind two." in asked
    assert "Nothing happens to 1 task" in asked and "one-runs is already running." in asked
    assert Run.objects.count() == 1, "looking does nothing"
    text = answer(admin, "run", asked)
    assert "2 tasks queued." in text and "Backup Management" in text
    assert set(Run.objects.filter(state=RunState.WAITING).values_list("task__name", flat=True)) == {"two", "two-b"}


def test_where_nothing_can_be_done_there_is_no_button(admin: Client, make_task: MakeTask) -> None:
    asked = ask(admin, "stop", ticked(make_task("one"), make_task("two")))
    assert "None of the 2 tasks can be stopped" in asked
    assert "Back to the list" in asked and 'type="submit">Stop' not in asked


def test_delete_of_several_is_typed_and_says_what_stays(admin: Client, make_task: MakeTask, make_run: MakeRun) -> None:
    one, two = make_task("one", mode=Mode.PERIODIC), make_task("two")
    make_run(one)
    asked = ask(admin, "delete", ticked(one, two))
    assert "<b>All backup files stay where they are</b>" in asked
    assert re.search(r"1 backup file set stays on \S+ in /srv/storage/LocalBackup/one_", asked)
    assert "will not take place." in asked and "Type <code>delete 2 tasks</code> to confirm" in asked
    for typed in ("", "delete", "delete 3 tasks"):
        again = answer(admin, "delete", asked, typed=typed)
        assert "<title>Error: Delete 2 backup tasks?" in again
        assert "This does not confirm it. Type delete 2 tasks." in again
        assert BackupTask.objects.count() == 2
    text = answer(admin, "delete", again, typed=" Delete 2 tasks ")
    assert "2 tasks deleted." in text and "1 backup file set stays where they are." in text
    assert not BackupTask.objects.exists()


def test_delete_of_one_is_not_typed(admin: Client, task: BackupTask) -> None:
    asked = ask(admin, "delete", ticked(task))
    assert "to confirm" not in asked and "Delete 1 backup task?" in asked
    answer(admin, "delete", asked)
    assert not BackupTask.objects.exists()


def test_what_was_refused_is_listed_with_its_reason(admin: Client, make_task: MakeTask, make_run: MakeRun) -> None:
    one, two, three = make_task("one"), make_task("two"), make_task("three")
    asked = ask(admin, "run", ticked(one, two, three))
    make_run(two, RunState.RUNNING, timezone.now())
    BackupTask.objects.filter(pk=three.pk).update(version=2)
    text = answer(admin, "run", asked)
    assert "2 of 3 backup tasks were refused" in text and "1 task queued." in text
    assert re.search(r'<span class="what">two</span>.*?two is already running. It was started at <time', text)
    assert "three was changed by somebody else since you were asked." in text
    assert "Back to the list" in text
    assert "2 of 3 backup tasks were refused" in page_of_last(admin), "also when it is loaded again"


def page_of_last(client: Client) -> str:
    return squeezed(client.get(reverse("tasks-bulk-done"), follow=True).content.decode())


def test_without_a_last_one_the_page_leads_to_the_list(admin: Client) -> None:
    assert admin.get(reverse("tasks-bulk-done")).headers["Location"] == LIST


def test_during_maintenance_nobody_is_offered_a_start(admin: Client, task: BackupTask) -> None:
    from tasks import services
    from tasks.audit import CONSOLE

    services.set_maintenance(CONSOLE, "New disks", None, timezone.now())
    asked = ask(admin, "run", ticked(task))
    assert "The task cannot be backed up now" in asked and "New disks" in asked


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/"])
def test_next_never_leads_away(admin: Client, task: BackupTask, target: str) -> None:
    asked = ask(admin, "run", ticked(task) + f"&next={target}")
    assert 'name="next" value=""><input type="hidden" name="tasks"' in asked
    token = re.findall(r'name="tasks" value="([^"]*)"', asked)[0]
    response = admin.post(reverse("tasks-run"), {"tasks": token, "next": target})
    assert response.headers["Location"] == LIST


# --- With script -----------------------------------------------------------------------------------------------------
def test_htmx_gets_a_dialog_and_for_many_lines_the_page(
    admin: Client, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = make_task(), make_task()
    text = admin.get(reverse("tasks-delete") + ticked(one, two), headers=HTMX).content.decode()
    assert '<dialog class="dlg"' in text and "<html" not in text and 'data-word="delete 2 tasks"' in text
    monkeypatch.setattr("tasks.views.bulk.DIALOG_LIMIT", 1)
    response = admin.get(reverse("tasks-delete") + ticked(one, two), headers=HTMX)
    assert (response.status_code, response.headers["HX-Redirect"]) == (204, reverse("tasks-delete") + ticked(one, two))


# --- Many ------------------------------------------------------------------------------------------------------------
def test_the_page_that_asks_lists_every_task_in_a_few_queries(admin: Client) -> None:
    make_many(2_000)
    began = time.process_time()
    with CaptureQueriesContext(connection) as captured:
        asked = ask(admin, "delete", "?found=yes")
    print(f"2,000 tasks: {len(asked):,} characters, {time.process_time() - began:.1f} s of work")
    assert len(names(asked)) == 2_000 and "Type <code>delete 2000 tasks</code>" in asked
    assert len(captured) < 40
    assert time.process_time() - began < 10


def test_tasks_of_clusters_out_of_sight_are_not_asked_about(
    admin: Client, make_task: MakeTask, backup_admin: User
) -> None:
    mine, hidden = make_task("mine"), make_task("hidden", cluster=Cluster.objects.create(name="west"))
    limit(backup_admin, mine.cluster)
    assert names(ask(admin, "run", ticked(mine, hidden))) == ["mine"]
    assert names(ask(admin, "run", "?found=yes")) == ["mine"]
