"""The page that says what rehearsals need of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tasks import permissions
from tasks.engine import rehearsable
from tasks.models import BackupTask, Node, Run
from tasks.rehearsal import machine
from tasks.states import Kind
from tests.conftest import MakeRun
from tests.lacks import leave_out
from tests.web.taskform_kit import text_of

PAGE = "/system/rehearsals/"


@pytest.fixture
def admin(login: Any) -> Client:
    client: Client = login(permissions.ADMINISTRATOR)
    return client


@pytest.fixture(autouse=True)
def anew() -> None:
    machine.forget()


def test_what_lacks_is_listed_with_its_cure(admin: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    text = text_of(admin.get(PAGE))
    machine.forget()
    assert "the command unshare (util-linux) is not on the PATH of the workers" in text
    assert "There is no java in JAVA_HOME or on the PATH of the workers." in text
    assert "None was found on this machine." in text
    assert "name its directory in IOTDB_INSTALLATIONS" in text
    assert "1 OK, 0 warnings, 3 failed" in text


def test_installations_of_the_setting_and_of_local_nodes_are_listed(
    admin: Client, node: Node, settings: Any, tmp_path: Path
) -> None:
    for home, version in ((Path(node.home), "2.0.1-beta"), (tmp_path / "older", "1.3.3")):
        (home / "lib").mkdir(parents=True)
        (home / "lib" / f"iotdb-server-{version}.jar").touch()
    settings.IOTDB_INSTALLATIONS = [str(tmp_path / "older")]
    text = text_of(admin.get(PAGE))
    assert f"1.3.3 in {tmp_path}/older/lib" in text
    assert f"2.0.1-beta in {node.home}/lib" in text


def test_the_navigation_shows_where_one_is(admin: Client) -> None:
    page = admin.get(PAGE).content.decode()
    assert 'aria-current="page">Rehearsals</a>' in page
    assert 'aria-current="page">Management nodes</a>' not in page


# --- View History -----------------------------------------------------------------------------------------------------
def test_rehearse_is_offered_for_a_set_and_a_refusal_says_what_lacks(
    login: Any, task: BackupTask, make_run: MakeRun, settings: Any
) -> None:
    run, client = make_run(task), login(permissions.OPERATOR)
    assert f'formaction="/runs/{run.pk}/rehearse/"' in client.get(f"/backups/{task.pk}/history/").content.decode()
    text = text_of(client.post(f"/runs/{run.pk}/rehearse/", follow=True))
    assert "This machine cannot rehearse the set." in text
    assert "None of version 2.0.1-beta was found on this machine" in text
    assert "IOTDB_INSTALLATIONS" in text
    assert not Run.objects.filter(subject=run).exists()


def test_a_rehearsal_that_can_be_made_is_queued(
    login: Any, task: BackupTask, make_run: MakeRun, settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "iotdb-server-2.0.1-beta.jar").touch()
    settings.IOTDB_INSTALLATIONS = [str(tmp_path)]
    run = make_run(task)
    if lacks := [line.detail for line in rehearsable.lacking_for(run)]:
        leave_out(f"this machine does not rehearse: {lacks}")
    text = text_of(login(permissions.OPERATOR).post(f"/runs/{run.pk}/rehearse/", follow=True))
    assert f"The rehearsal of the set of run {run.pk} is waiting." in text
    rehearsal = Run.objects.get(subject=run)
    assert (rehearsal.kind, rehearsal.started_by_name) == (Kind.REHEARSAL, "operator")
