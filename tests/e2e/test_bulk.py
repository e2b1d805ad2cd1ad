"""Several tasks at once, in the browser: by mouse, by keyboard, without script, wide and narrow."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.axe import violations
from tests.e2e.conftest import NARROW, WIDE, Open, picture
from tests.e2e.ways import create_manual, row

pytestmark = pytest.mark.browser


def tick(page: Page, name: str) -> Locator:
    """Return the box of a task's row."""
    return row(page, name).get_by_label(f"Select {name}")


def test_ticked_tasks_are_counted_asked_about_and_deleted_by_a_typed_word(page: Page) -> None:
    for name in ("e2e-bulk-one", "e2e-bulk-two", "e2e-bulk-three"):
        create_manual(page, name)
    page.goto("backups/?q=e2e-bulk")
    bar, count = page.get_by_role("region", name="Selected tasks"), page.locator("#bulk-count")
    expect(bar).to_be_hidden()
    tick(page, "e2e-bulk-one").check()
    expect(count).to_have_text("1 selected")
    every = page.get_by_label("Select all 3 tasks on this page")
    assert every.first.evaluate("box => box.indeterminate")
    every.first.check()
    expect(count).to_have_text("3 selected")
    tick(page, "e2e-bulk-three").uncheck()
    expect(count).to_have_text("2 selected")
    pictures(page, "bulk-selected")

    bar.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", level=2)).to_have_text("Delete 2 backup tasks?")
    button = dialog.get_by_role("button", name="Delete 2 tasks")
    expect(button).to_be_disabled()
    expect(page.get_by_label("Type delete 2 tasks to confirm")).to_be_focused()
    assert violations(page) == []
    pictures(page, "bulk-dialog")
    page.keyboard.press("Escape")
    expect(bar.get_by_role("button", name="Delete")).to_be_focused()
    bar.get_by_role("button", name="Delete").press("Enter")
    page.get_by_label("Type delete 2 tasks to confirm").fill("delete 2 tasks")
    button.click()
    expect(page.get_by_role("status").first).to_contain_text("2 tasks deleted.")
    expect(row(page, "e2e-bulk-one")).to_have_count(0)
    expect(row(page, "e2e-bulk-three")).to_have_count(1)


def pictures(page: Page, name: str) -> None:
    for width, height in (WIDE, (1024, 800), NARROW):
        page.set_viewport_size({"width": width, "height": height})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            expect(page.locator("html")).to_have_attribute("data-bs-theme", theme)
            picture(page, f"{name}-{width}-{theme}")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"scrolls at {width}"
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})


def test_by_keyboard_alone(open_page: Open) -> None:
    page = open_page(who="operator")
    page.goto("backups/?q=plant-")
    tick(page, "plant-unused").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Stop", exact=True).first.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("plant-unused is not running. Nothing happens.")
    expect(dialog.get_by_role("button", name="Back to the list")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Clear selection").press("Enter")
    expect(page.get_by_role("region", name="Selected tasks")).to_be_hidden()


def test_without_script(open_page: Open) -> None:
    page = open_page(who="backup-administrator", script=False)
    page.goto("backups/?q=plant-")
    tick(page, "plant-unused").check()
    tick(page, "plant-suspended").check()
    page.get_by_role("region", name="Selected tasks").get_by_role("button", name="Resume").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Resume 1 task?")
    expect(page.get_by_role("main")).to_contain_text("plant-unused is not suspended. Nothing happens.")
    page.get_by_role("link", name="Leave them suspended").click()
    expect(page).to_have_url(re.compile(r"/backups/\?q=plant-$"))
    page.get_by_label(re.compile("Select all . tasks on this page")).first.check()
    page.get_by_role("button", name="Suspend").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"Suspend \d tasks\?"))
