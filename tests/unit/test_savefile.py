"""Saves of the console that are refused, and what stays of older ones; the way round: tests/launch/test_saving.py."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from backupconsole.saving.databases import CannotSave
from backupconsole.saving.savefile import FACTS, load, save
from tests.file_database import copy_test_database, using_file_database

NOW = datetime(2026, 11, 26, 3, tzinfo=UTC)
pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def data(tmp_path: Path, settings: Any) -> Path:
    if connection.vendor != "sqlite":
        pytest.skip("The database of these tests is a file.")
    settings.DATA_DIR = tmp_path / "data"
    settings.DATA_DIR.mkdir()
    (settings.DATA_DIR / "secrets-key").write_text("the key\n")
    return settings.DATA_DIR


@pytest.fixture
def saved(data: Path, tmp_path: Path) -> Path:
    """A save of the test database."""
    copy_test_database(tmp_path / "filled.sqlite3")
    with using_file_database(tmp_path / "filled.sqlite3"):
        return save(tmp_path / "saves", NOW)


@pytest.fixture
def empty(saved: Path, tmp_path: Path) -> Iterator[Path]:
    """A database that is not there yet; nothing of it is there afterwards either."""
    place = tmp_path / "empty.sqlite3"
    with using_file_database(place):
        yield place


def changed(saved: Path, member: str, content: bytes) -> Path:
    """Return a copy of the save with another ``member``."""
    parts = saved.parent / "parts"
    with tarfile.open(saved) as tar:
        tar.extractall(parts, filter="data")
    (parts / member).write_bytes(content)
    other = saved.with_name("changed.tar.gz")
    with tarfile.open(other, "w:gz") as tar:
        for part in sorted(parts.iterdir()):
            tar.add(part, arcname=part.name)
    return other


def facts(saved: Path, **changes: Any) -> bytes:
    with tarfile.open(saved) as tar:
        file = tar.extractfile(FACTS)
        assert file is not None
        return json.dumps(json.load(file) | changes).encode()


def refused(path: Path, place: Path) -> str:
    with pytest.raises(CannotSave) as refusal:
        load(path, NOW)
    assert not place.exists()
    return str(refusal.value)


def test_a_whole_save_is_read(saved: Path, empty: Path, data: Path) -> None:
    (data / "secrets-key").write_text("made a moment ago\n")
    assert load(saved, NOW)["saved_at"] == "2026-11-26T03:00:00+00:00"
    assert "tasks_run" in connection.introspection.table_names()
    assert (data / "secrets-key").read_text() == "the key\n"
    assert (data / "secrets-key.before-20261126030000").read_text() == "made a moment ago\n"


def test_a_save_that_is_cut_short_is_refused(saved: Path, empty: Path) -> None:
    half = saved.with_name("half.tar.gz")
    half.write_bytes(saved.read_bytes()[: saved.stat().st_size // 2])
    assert "cannot be read as a save of a console" in refused(half, empty)


def test_a_damaged_database_is_refused(saved: Path, empty: Path, data: Path) -> None:
    with tarfile.open(saved) as tar:
        file = tar.extractfile("console.sqlite3")
        assert file is not None
        content = bytearray(file.read())
    content[40_000:60_000] = b"\xff" * 20_000
    (data / "secrets-key").write_text("made a moment ago\n")
    assert "The database in the save is damaged" in refused(changed(saved, "console.sqlite3", bytes(content)), empty)
    assert (data / "secrets-key").read_text() == "made a moment ago\n"


def test_a_save_of_a_newer_console_is_refused(saved: Path, empty: Path) -> None:
    newer = changed(saved, FACTS, facts(saved, migrations=["tasks.0001_initial", "tasks.9999_later"]))
    assert "of a newer console (it knows tasks.9999_later)" in refused(newer, empty)


def test_a_save_of_another_kind_of_database_is_refused(saved: Path, empty: Path) -> None:
    other = changed(saved, FACTS, facts(saved, database="save.json"))
    assert "The save holds save.json; this console is set to use console.sqlite3." in refused(other, empty)


def test_keys_that_the_environment_gives_are_told(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRETS_KEYS", "one,two")
    copy_test_database(tmp_path / "filled.sqlite3")
    with using_file_database(tmp_path / "filled.sqlite3"):
        found = json.loads(facts(save(tmp_path / "saves", NOW)))
    assert found["keys_elsewhere"] == ["SECRETS_KEYS"]


def test_the_newest_saves_stay_and_other_files_are_left_alone(data: Path, tmp_path: Path) -> None:
    saves = tmp_path / "saves"
    saves.mkdir()
    (saves / "backup-console_notes.tar.gz").write_text("not a save")
    copy_test_database(tmp_path / "filled.sqlite3")
    with using_file_database(tmp_path / "filled.sqlite3"):
        for number in range(4):
            save(saves, NOW + timedelta(days=number), keep=2)
    assert sorted(path.name for path in saves.iterdir()) == [
        "backup-console_20261128030000.tar.gz",
        "backup-console_20261129030000.tar.gz",
        "backup-console_notes.tar.gz",
    ]


def test_a_directory_that_cannot_be_written_is_named(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotSave, match="file/saves"):
        save(tmp_path / "file" / "saves", NOW)
