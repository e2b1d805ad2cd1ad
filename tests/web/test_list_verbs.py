"""Back Up Now, Stop, Suspend, Resume and Delete from the list."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tasks.models import BackupTask, Run
from tasks.permissions import ADMINISTRATOR, BACKUP_ADMINISTRATOR, OPERATOR, RESTORE_ADMINISTRATOR
from tasks.states import Mode, RunState
from tests.conftest import Login, MakeRun, MakeTask
from tests.web.list_kit import LIST, page, squeezed


@pytest.fixture
def admin(login: Login) -> Client:
    """A Backup Administrator's browser."""
    return login(BACKUP_ADMINISTRATOR)


# --- Verbs --------------------------------------------------------------------------------------------------
def test_back_up_now_goes_back_to_where_the_person_was(admin: Client, task: BackupTask) -> None:
    response = admin.post(reverse("task-run", args=[task.pk]), {"next": "/backups/?q=task&page=2"}, follow=True)
    assert response.redirect_chain[0] == ("/backups/?q=task&page=2", 302)
    assert f"{task.name} is waiting." in response.content.decode()
    assert Run.objects.get(task=task).started_by_name == "backup-administrator"


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""])
def test_next_never_leads_away(admin: Client, task: BackupTask, target: str) -> None:
    assert admin.post(reverse("task-run", args=[task.pk]), {"next": target}).headers["Location"] == LIST


def test_a_refusal_is_a_notice(admin: Client, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, RunState.RUNNING, timezone.now())
    text = admin.post(reverse("task-run", args=[task.pk]), follow=True).content.decode()
    assert 'class="notice notice-fail" role="alert"' in text
    assert f"{task.name} is already running." in text


def test_htmx_gets_the_message_and_the_order_to_refresh(admin: Client, task: BackupTask) -> None:
    response = admin.post(reverse("task-run", args=[task.pk]), headers={"HX-Request": "true"})
    assert response.status_code == 200
    assert response.headers["HX-Trigger"] == "refresh-now"
    text = response.content.decode()
    assert 'id="toasts" hx-swap-oob="beforeend"' in text
    assert f"{task.name} is waiting." in text
    refused = admin.post(reverse("task-run", args=[task.pk]), headers={"HX-Request": "true"}).content.decode()
    assert 'id="notices-new" hx-swap-oob="innerHTML"' in refused
    assert "is already waiting." in refused


def test_stop_of_a_waiting_and_of_a_running_run(admin: Client, make_task: MakeTask, make_run: MakeRun) -> None:
    waiting, running, idle = make_task("waits"), make_task(), make_task()
    make_run(waiting, RunState.WAITING)
    run = make_run(running, RunState.RUNNING, timezone.now())

    def stop(task: BackupTask) -> str:
        return admin.post(reverse("task-stop", args=[task.pk]), follow=True).content.decode()

    assert f"{waiting.name} was stopped." in stop(waiting)
    assert "Nothing was run" in page(admin, "?q=waits")
    assert f"Stop was requested for {running.name}." in stop(running)
    run.refresh_from_db()
    assert run.stop_requested_by == "backup-administrator"
    assert "There is nothing to stop." in stop(idle)


def test_suspend_and_resume(admin: Client, make_task: MakeTask) -> None:
    task = make_task(mode=Mode.PERIODIC)
    assert "is suspended." in admin.post(reverse("task-suspend", args=[task.pk]), follow=True).content.decode()
    text = admin.post(reverse("task-resume", args=[task.pk]), follow=True).content.decode()
    assert "Its next run is" in text
    manual = make_task()
    refused = admin.post(reverse("task-suspend", args=[manual.pk]), follow=True).content.decode()
    assert "Only periodic tasks can be suspended." in refused


def test_verbs_on_a_task_that_is_gone(admin: Client) -> None:
    assert admin.post(reverse("task-run", args=[987654])).status_code == 404


# --- Delete -------------------------------------------------------------------------------------------------
def test_delete_says_first_what_stays(admin: Client, make_task: MakeTask, make_run: MakeRun) -> None:
    task = make_task("old", mode=Mode.PERIODIC)
    make_run(task, RunState.SUCCESSFUL)
    text = squeezed(admin.get(reverse("task-delete", args=[task.pk]), {"next": "/backups/?q=o"}).content.decode())
    assert "Delete backup task old?" in text
    assert "All backup files stay where they are." in text
    assert "1 backup file set stays on" in text
    assert f"/srv/storage/LocalBackup/{task.directory}</code>" in text
    assert "will not take place" in text
    assert 'name="next" value="/backups/?q=o"' in text
    assert BackupTask.objects.filter(pk=task.pk).exists()


def test_delete_is_a_dialog_for_htmx(admin: Client, task: BackupTask) -> None:
    text = admin.get(reverse("task-delete", args=[task.pk]), headers={"HX-Request": "true"}).content.decode()
    assert "<dialog" in text and "<html" not in text


def test_delete_keeps_history_and_tells_of_the_files(admin: Client, task: BackupTask, make_run: MakeRun) -> None:
    run = make_run(task, RunState.SUCCESSFUL)
    response = admin.post(reverse("task-delete", args=[task.pk]), {"next": LIST}, follow=True)
    text = response.content.decode()
    assert f"Task {task.name} deleted." in text
    assert "1 backup file set stays on" in text
    assert not BackupTask.objects.filter(pk=task.pk).exists()
    assert Run.objects.filter(pk=run.pk).exists()


def test_delete_of_a_running_task_warns(login: Login, task: BackupTask, make_run: MakeRun) -> None:
    make_run(task, RunState.RUNNING, timezone.now())
    text = login(ADMINISTRATOR).get(reverse("task-delete", args=[task.pk])).content.decode()
    assert "The run that is running now is stopped" in text


def test_restore_leads_to_the_choice_of_a_set(login: Login, task: BackupTask, make_run: MakeRun) -> None:
    admin = login(RESTORE_ADMINISTRATOR)
    address = f'href="/backups/{task.pk}/history/?choose=set"'
    before = page(admin)
    assert address not in before and "Restore<small>No set is kept</small>" in before
    make_run(task)
    after = page(admin)
    assert address in after and "No set is kept" not in after
    assert "choose=set" not in page(login(OPERATOR)) and "No set is kept" not in page(login(OPERATOR))
    cells = squeezed(admin.get(f"/backups/cells/?ids={task.pk}").content.decode())
    assert f'id="t{task.pk}-restore" hx-swap-oob="true"' in cells and address in cells
