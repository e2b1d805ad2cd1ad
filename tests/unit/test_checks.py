"""The system checks find what is wrong with the settings, and nothing where they are right."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backupconsole import checks

ALL = (checks.queue_limits, checks.sqlite_options, checks.data_directory, checks.private_data, checks.time_zone)


@pytest.mark.parametrize("check", ALL)
def test_the_settings_as_they_are_pass(check: Any) -> None:
    assert check(None) == []


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        ({"timeout": 7500, "retry": 7500}, ["console.E001"]),
        ({"timeout": 7000, "retry": 9000}, ["console.E002"]),
        ({"timeout": 7200, "retry": 100}, ["console.E001", "console.E002"]),
    ],
)
def test_queue_limits(settings: Any, limits: dict[str, int], found: list[str]) -> None:
    settings.RUN_TIME_LIMIT = 7200
    settings.Q_CLUSTER = limits
    assert [message.id for message in checks.queue_limits(None)] == found


@pytest.mark.parametrize("options", [{}, {"transaction_mode": "DEFERRED"}, {"transaction_mode": "IMMEDIATE"}])
def test_sqlite_without_its_options(monkeypatch: pytest.MonkeyPatch, options: dict[str, str]) -> None:
    database = {"ENGINE": "django.db.backends.sqlite3", "OPTIONS": options}
    monkeypatch.setattr(checks, "settings", SimpleNamespace(DATABASES={"default": database}))
    assert [message.id for message in checks.sqlite_options(None)] == ["console.E003"]


def test_other_databases_need_no_such_options(monkeypatch: pytest.MonkeyPatch) -> None:
    database = {"ENGINE": "django.db.backends.postgresql"}
    monkeypatch.setattr(checks, "settings", SimpleNamespace(DATABASES={"default": database}))
    assert checks.sqlite_options(None) == []


def test_a_data_directory_that_is_not_there(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "gone"
    (message,) = checks.data_directory(None)
    assert message.id == "console.E004"
    assert str(tmp_path / "gone") in message.msg


@pytest.mark.parametrize("name", ["secret-key", "secrets-key"])
@pytest.mark.parametrize(("mode", "found"), [(0o600, []), (0o640, ["console.W001"]), (0o644, ["console.W001"])])
def test_the_mode_of_the_key_files(settings: Any, tmp_path: Path, name: str, mode: int, found: list[str]) -> None:
    settings.DATA_DIR = tmp_path
    key = tmp_path / name
    key.write_text("x")
    key.chmod(mode)
    assert [message.id for message in checks.private_data(None)] == found


def test_a_data_directory_that_everybody_may_enter(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    tmp_path.chmod(0o755)
    (message,) = checks.private_data(None)
    assert message.id == "console.W002"
    assert f"chmod o-rwx {tmp_path}" in str(message.hint)


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "../etc/passwd", ""])
def test_a_zone_that_is_none(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setattr(checks, "settings", SimpleNamespace(TIME_ZONE=zone))
    assert [message.id for message in checks.time_zone(None)] == ["console.E005"]


@pytest.mark.parametrize("url", ["backup.example.org", "ftp://backup.example.org", "https://", "javascript:x"])
def test_an_address_of_the_console_that_no_browser_opens(settings: Any, url: str) -> None:
    settings.CONSOLE_URL = url
    assert [message.id for message in checks.addresses(None)] == ["console.E006"]
    settings.CONSOLE_URL = "https://backup.example.org/console"
    assert checks.addresses(None) == []


def test_authorities_that_cannot_be_read(settings: Any, tmp_path: Path) -> None:
    settings.NOTIFY_CA_FILE = str(tmp_path / "authorities.pem")
    assert [message.id for message in checks.addresses(None)] == ["console.E007"]
    (tmp_path / "authorities.pem").write_text("x")
    assert checks.addresses(None) == []
