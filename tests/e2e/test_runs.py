"""Run, watch, stop, look back: the browser sees what the workers really do."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Open
from tests.e2e.ways import choose, create_manual, find, row, status, wait_for_status
from tests.live import LiveConsole
from tests.patience import Stopwatch

pytestmark = pytest.mark.browser

MARK = "window.stillTheSamePage = true"
SAME = "window.stillTheSamePage === true"


def storage(console: LiveConsole) -> Path:
    return console.data / "storage" / "LocalBackup"


def test_a_backup_from_click_to_proven_archive(page: Page, live_console: LiveConsole) -> None:
    create_manual(page, "e2e-run")
    find(page, "e2e-run")
    page.evaluate(MARK)
    choose(page, "e2e-run", "Back Up Now")
    expect(page.locator("#toasts")).to_contain_text("e2e-run")
    wait_for_status(page, "e2e-run", "Successful")
    expect(row(page, "e2e-run")).to_contain_text("1 / 3")
    assert page.evaluate(SAME), "the page was loaded again"

    page.get_by_role("link", name="e2e-run", exact=True).click()
    expect(page.get_by_role("row").filter(has_text="backup-administrator")).to_contain_text("Successful")
    page.get_by_text("Show log").first.click()
    expect(page.get_by_text("Read back and checked").first).to_be_visible()
    page.get_by_role("link", name="View").or_(page.get_by_role("button", name="View")).first.click()
    archives = sorted(storage(live_console).glob("e2e-run_*/*.tar.gz"), key=service_of)
    assert [service_of(path) for path in archives] == ["IoTDB", "IoTDB-1"]
    for path in archives:
        expect(page.get_by_text(str(path)).first).to_be_visible()
        prove(path)
    page.get_by_role("button", name=re.compile("Copy")).first.click()
    assert page.evaluate("navigator.clipboard.readText()") == str(archives[0])


def service_of(path: Path) -> str:
    """Return the data source in the name of an archive."""
    return path.name.split("_")[1]


def prove(path: Path) -> None:
    """Read an archive with tools that are not the console's, and compare with the manifest beside it."""
    manifest = json.loads(path.with_name(path.name + ".manifest.json").read_bytes())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (manifest["archive"]["size"], manifest["archive"]["sha256"]) == (path.stat().st_size, digest)
    listed = subprocess.run(["tar", "-tzf", str(path)], capture_output=True, text=True, check=True).stdout.splitlines()
    assert [member["name"] for member in manifest["members"]] == listed[:-1]
    assert path.stat().st_mode & 0o777 == 0o600


def test_progress_moves_and_a_long_run_is_stopped_within_five_seconds(page: Page, live_console: LiveConsole) -> None:
    create_manual(page, "e2e-long", "depot")
    find(page, "e2e-long")
    page.evaluate(MARK)
    choose(page, "e2e-long", "Back Up Now")
    began = Stopwatch()
    wait_for_status(page, "e2e-long", "Running")
    assert began.seconds < 10, "a click takes too long to start a run"
    expect(row(page, "e2e-long").locator("progress")).to_be_visible()
    page.wait_for_timeout(300)
    choose(page, "e2e-long", "Stop")
    asked = Stopwatch()
    wait_for_status(page, "e2e-long", "Stopped")
    # 5 s for the run, 3 s until the page looks again.
    assert asked.seconds < 8.5
    expect(status(page, "e2e-long")).to_contain_text("backup-administrator")
    assert page.evaluate(SAME), "the page was loaded again"
    assert list(storage(live_console).glob("e2e-long_*/*")) == []


def test_a_second_start_is_refused_with_who_and_when(page: Page, open_page: Open) -> None:
    create_manual(page, "e2e-twice", "depot")
    find(page, "e2e-twice")
    page.evaluate("document.querySelectorAll('[hx-trigger]').forEach(each => each.remove())")
    other = open_page(who="operator", script=False)
    find(other, "e2e-twice")
    choose(other, "e2e-twice", "Back Up Now")
    choose(page, "e2e-twice", "Back Up Now")
    expect(page.get_by_text(re.compile("e2e-twice is already (running|waiting)")).first).to_be_visible()
    expect(page.get_by_text("by operator").first).to_be_visible()
    find(page, "e2e-twice")
    choose(page, "e2e-twice", "Stop")
    wait_for_status(page, "e2e-twice", "Stopped")


def test_suspend_and_resume(page: Page) -> None:
    find(page, "plant-nightly")
    choose(page, "plant-nightly", "Suspend")
    expect(row(page, "plant-nightly")).to_contain_text("Suspended")
    choose(page, "plant-nightly", "Resume")
    expect(row(page, "plant-nightly")).not_to_contain_text("Suspended")
    expect(row(page, "plant-nightly").locator(".c-mode")).to_contain_text(re.compile(r"\d\d:\d\d"))


def test_deleting_a_task_keeps_its_files_and_says_so(page: Page, live_console: LiveConsole) -> None:
    create_manual(page, "e2e-delete")
    find(page, "e2e-delete")
    choose(page, "e2e-delete", "Back Up Now")
    wait_for_status(page, "e2e-delete", "Successful")
    files = sorted(storage(live_console).glob("e2e-delete_*/*.tar.gz"))
    find(page, "e2e-delete")
    choose(page, "e2e-delete", "Delete")
    expect(page.get_by_text("All backup files stay where they are.").first).to_be_visible()
    expect(page.get_by_text(str(files[0].parent)).first).to_be_visible()
    page.get_by_role("button", name="Delete task").click()
    expect(page.locator("#toasts")).to_contain_text("Task e2e-delete deleted")
    expect(row(page, "e2e-delete")).to_have_count(0)
    assert sorted(storage(live_console).glob("e2e-delete_*/*.tar.gz")) == files


def test_the_run_on_top_of_the_history_moves_and_ends_by_itself(page: Page) -> None:
    create_manual(page, "e2e-history", "depot")
    find(page, "e2e-history")
    choose(page, "e2e-history", "Back Up Now")
    page.get_by_role("link", name="e2e-history", exact=True).click()
    page.evaluate(MARK)
    newest = page.locator("tr[id^=run-]").first
    expect(newest).to_contain_text("Running", timeout=15_000)
    expect(newest).to_contain_text("Successful", timeout=90_000)
    assert page.evaluate(SAME), "the page was loaded again"
