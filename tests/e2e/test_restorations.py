"""A restoration from click to result: the console's own workers restore a home, stand-ins play its servers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.axe import violations
from tests.e2e.conftest import NARROW, WIDE, Open, picture
from tests.e2e.restorations import home_of
from tests.e2e.ways import choose, create_manual, find, wait_for_status
from tests.engine.restore_kit import SCHEMA, damage, kill_all, running, start_all
from tests.live import LiveConsole

pytestmark = pytest.mark.browser
MARK, SAME = "window.stillTheSamePage = true", "window.stillTheSamePage === true"
SECONDS = 90_000


@pytest.fixture
def home(live_console: LiveConsole) -> Iterator[Path]:
    """The home of the museum, its servers running."""
    found = home_of(live_console.data)
    kill_all(found)
    start_all(found)
    yield found
    kill_all(found)


@pytest.fixture
def restorer(open_page: Open) -> Page:
    """A page of a Restore Administrator."""
    return open_page(who="restore-administrator")


def back_up(page: Page, name: str) -> None:
    """Take a set of the museum."""
    create_manual(page, name, "museum")
    find(page, name)
    choose(page, name, "Back Up Now")
    wait_for_status(page, name, "Successful")


def create_from_run(page: Page, name: str) -> None:
    """Choose the newest set of a task; ends on the page of the restoration task."""
    page.goto("restorations/")
    page.get_by_role("link", name="Create", exact=True).click()
    page.get_by_role("row").filter(has_text=name).first.get_by_role("button", name="Restore this set").click()
    page.wait_for_url(re.compile(r"/restorations/\d+/$"))


def status(page: Page) -> str:
    return page.locator("#r-state").inner_text()


def test_a_restoration_from_a_run_to_what_was_there(page: Page, restorer: Page, home: Path) -> None:
    back_up(page, "e2e-museum")
    damage(home)
    create_from_run(restorer, "e2e-museum")
    restorer.get_by_role("link", name="Start", exact=True).click()
    dialog = restorer.get_by_role("dialog")
    expect(dialog).to_contain_text("Before that nothing of IoTDB is touched.")
    dialog.get_by_role("button", name="Start", exact=True).click()
    restorer.wait_for_load_state()
    restorer.evaluate(MARK)

    # The steps move by themselves until somebody has to decide.
    expect(restorer.get_by_text("waits for a decision")).to_be_visible(timeout=SECONDS)
    expect(restorer.locator("li[aria-current=step]")).to_contain_text("Confirm")
    expect(restorer.locator(".steps li.done")).to_have_count(3)
    expect(restorer.locator("#live")).to_contain_text("waits for somebody to type museum")
    assert restorer.evaluate(SAME), "the page was loaded again"
    assert running(home) == {"ConfigNode", "DataNode"}
    for size in (WIDE, NARROW):
        restorer.set_viewport_size({"width": size[0], "height": size[1]})
        picture(restorer, f"restoration-awaits-{size[0]}-light")
        assert violations(restorer) == []
        assert restorer.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    restorer.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})

    # A wrong name is told at the field, and nothing happens.
    restorer.get_by_role("link", name=re.compile("^Confirm")).click()
    dialog = restorer.get_by_role("dialog")
    expect(dialog).to_contain_text("Every change to the metadata of museum after")
    assert violations(restorer) == []
    picture(restorer, "restoration-confirm-dialog")
    dialog.get_by_label("Type museum to confirm").fill("plant")
    dialog.get_by_role("button", name="Stop IoTDB and restore").click()
    expect(restorer.get_by_label("Type museum to confirm")).to_be_focused()
    expect(restorer.locator("#id_typed_error")).to_contain_text("Type museum.")
    assert not (home / SCHEMA).exists()
    restorer.keyboard.type("museum")
    restorer.keyboard.press("Enter")
    restorer.wait_for_url(re.compile(r"/restorations/\d+/$"))
    restorer.evaluate(MARK)

    expect(restorer.locator("#r-state")).to_contain_text("Successful", timeout=SECONDS)
    assert restorer.evaluate(SAME), "the page was loaded again"
    expect(restorer.locator(".steps li.done")).to_have_count(11)
    expect(restorer.locator("#live")).to_contain_text("Successful")
    assert (home / SCHEMA).exists()
    assert running(home) == {"ConfigNode", "DataNode"}
    expect(restorer.locator("#safety-copies")).to_contain_text("Goes on")
    expect(restorer.get_by_role("link", name=re.compile("^Start"))).to_have_attribute("aria-disabled", "true")
    restorer.get_by_text("Show log").first.click()
    expect(restorer.get_by_text("restore-administrator typed museum").last).to_be_visible()


def test_without_script_and_nobody_decides_for_it(open_page: Open, page: Page, home: Path) -> None:
    back_up(page, "e2e-plain")
    plain = open_page(script=False, who="restore-administrator")
    create_from_run(plain, "e2e-plain")
    plain.get_by_role("link", name="Start", exact=True).click()
    expect(plain.get_by_role("heading", level=1)).to_contain_text("Start restore-e2e-plain")
    plain.get_by_role("button", name="Start", exact=True).click()
    for _ in range(60):
        if plain.get_by_text("waits for a decision").count():
            break
        plain.wait_for_timeout(1000)
        plain.reload()
    plain.get_by_role("link", name=re.compile("^Confirm")).click()
    expect(plain.get_by_role("heading", level=1)).to_have_text("Stop IoTDB on museum and restore its metadata?")
    expect(plain.get_by_text("What is lost")).to_be_visible()
    plain.get_by_role("button", name="Do not restore").click()
    for _ in range(30):
        if status(plain) == "Stopped":
            break
        plain.wait_for_timeout(1000)
        plain.reload()
    assert status(plain) == "Stopped"
    assert running(home) == {"ConfigNode", "DataNode"}
    expect(plain.get_by_role("link", name="Retry", exact=True)).to_be_visible()


def test_a_set_is_found_without_a_record_of_it(page: Page, restorer: Page, home: Path) -> None:
    back_up(page, "e2e-found")
    restorer.goto("restorations/")
    restorer.get_by_role("link", name="Find sets in a destination").click()
    restorer.get_by_label("Task Name").fill("e2e-of-a-lost-console")
    restorer.get_by_label("Recovery Object").select_option(label="museum")
    restorer.get_by_label("Path Type").select_option("SFTP")
    expect(restorer.locator("#destination legend")).to_have_text("SFTP")
    expect(restorer.get_by_label("Source Path")).to_be_visible()
    restorer.get_by_label("Path Type").select_option("LocalDir")
    expect(restorer.locator("#destination legend")).to_have_text("LocalDir")
    restorer.get_by_role("button", name="Find sets").click()
    restorer.wait_for_url(re.compile("/found/"))
    for size in (WIDE, NARROW):
        restorer.set_viewport_size({"width": size[0], "height": size[1]})
        picture(restorer, f"sets-found-{size[0]}-light")
        assert violations(restorer) == []
        assert restorer.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    row = restorer.get_by_role("row").filter(has_text="e2e-found")
    expect(row).to_contain_text("Whole")
    row.get_by_role("button", name="Restore this set").click()
    expect(restorer.get_by_role("heading", level=1)).to_have_text("e2e-of-a-lost-console")
    expect(restorer.get_by_text("Found, of task e2e-found")).to_be_visible()


def test_questions_are_answered_by_keyboard(restorer: Page) -> None:
    restorer.goto("restorations/")
    opener = restorer.get_by_role("link", name=re.compile("^Remove now: the safety copy of attic"))
    opener.focus()
    restorer.keyboard.press("Enter")
    field = restorer.get_by_label("Type attic to confirm")
    expect(field).to_be_focused()
    assert violations(restorer) == []
    restorer.keyboard.press("Escape")
    expect(restorer.get_by_role("dialog")).to_have_count(0)
    expect(opener).to_be_focused()
    restorer.get_by_role("link", name="Delete attic-unused").focus()
    restorer.keyboard.press("Enter")
    expect(restorer.get_by_role("button", name="Keep the task")).to_be_focused()
    restorer.keyboard.press("Enter")
    expect(restorer.get_by_role("dialog")).to_have_count(0)
    expect(restorer.get_by_role("link", name="attic-unused", exact=True)).to_be_visible()
