"""The page that says what rehearsals need of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tasks import permissions
from tasks.models import Node
from tasks.rehearsal import machine
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
