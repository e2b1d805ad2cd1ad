"""The console's own save: made beside a running console, read back into an empty one, and refused where it must be."""

from __future__ import annotations

import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import ROOT, LiveConsole

pytestmark = pytest.mark.process
LOOK = (
    "from tasks.models import *; from django.contrib.auth.models import User; "
    "print(User.objects.filter(username='anna').exists(), BackupTask.objects.get().secrets(), "
    "sorted(Run.objects.values_list('kind', 'state', 'error_code')), "
    "Alarm.objects.filter(code='restoration-unknown', cleared_at=None).count())"
)


def refusal(console: LiveConsole, *arguments: str) -> str:
    """Run a command that has to be refused, and return what it said."""
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    done = subprocess.run(command, env=console.environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveConsole, Path]]:
    """A console with something in it, and the save of it."""
    console = LiveConsole(tmp_path_factory.mktemp("saved"))
    console.module("tests.launch.savable")
    saves = tmp_path_factory.mktemp("saves")
    said = console.manage("saveconsole", str(saves))
    (path,) = saves.iterdir()
    assert said.startswith(f"{path} (")
    yield console, path


def test_a_save_holds_database_and_keys_and_is_nobody_elses_to_read(saved: tuple[LiveConsole, Path]) -> None:
    _, path = saved
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with tarfile.open(path) as tar:
        assert sorted(tar.getnames()) == ["console.sqlite3", "save.json", "secret-key", "secrets-key"]


def test_an_empty_console_becomes_what_was_saved_and_goes_on(saved: tuple[LiveConsole, Path], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    console = LiveConsole(tmp_path / "data")
    said = console.manage("restoreconsole", str(saved[1]))
    assert "All stored passwords open with the keys." in said
    assert "Runs that were under way then, and were ended now: 2." in said
    # The key that was made before the save was read is kept under another name.
    assert len(list((tmp_path / "data").glob("secrets-key.before-*"))) == 1
    console.start()
    try:
        assert "Nothing was restored. A console runs on" in refusal(console, "restoreconsole", str(saved[1]))
        for _ in range(2):
            console.manage("saveconsole", str(tmp_path / "saves"), "--keep", "1")
        # The tick has no rollback to start: days may lie between the save and now.
        seen = console.manage("shell", "-v", "0", "-c", f"from tasks.jobs import tick; tick(); {LOOK}")
    finally:
        assert console.stop() == 0
    ended = "[('backup', 'failed', 'console-restored'), ('restore', 'unknown', 'console-restored')]"
    assert seen.strip().splitlines()[-1] == f"True {{'password': 'wide-open-sesame'}} {ended} 1"
    assert len(list((tmp_path / "saves").iterdir())) == 1


def test_nothing_is_written_over(saved: tuple[LiveConsole, Path]) -> None:
    said = refusal(saved[0], "restoreconsole", str(saved[1]))
    assert "The database has a console in it already." in said
