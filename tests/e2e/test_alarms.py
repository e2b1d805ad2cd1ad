"""Damage on the disk, found by a check, told by the bell of a page that nobody loads again, and cleared by the cure."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.axe import violations
from tests.e2e.conftest import Open, picture
from tests.e2e.test_history import choose_for, newest, open_history
from tests.e2e.test_runs import MARK, SAME, storage
from tests.e2e.ways import RUN_SECONDS, choose, create_manual, find, row, wait_for_status
from tests.live import LiveConsole

pytestmark = pytest.mark.browser

NAME = "e2e-bell"


def check(page: Page, words: str) -> None:
    """Have the newest set checked, and wait for what comes of it."""
    open_history(page, NAME)
    choose_for(page, newest(page), "Check set")
    expect(newest(page).locator(".c-proof")).to_contain_text(words, timeout=RUN_SECONDS * 1000)


def test_damage_rings_the_bell_and_a_whole_set_silences_it(
    page: Page, open_page: Open, live_console: LiveConsole
) -> None:
    create_manual(page, NAME)
    find(page, NAME)
    choose(page, NAME, "Back Up Now")
    wait_for_status(page, NAME, "Successful")
    count = page.locator("#bar-alarms .bar-count:not(.is-calm)")
    before = int(count.inner_text())

    archive = next(storage(live_console).glob(f"{NAME}_*/*_IoTDB_*.tar.gz"))
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-100])
    check(page, "Damaged")
    expect(count).to_have_text(str(before + 1), timeout=60_000)
    page.locator("#bar-alarms").click()
    alarm = page.get_by_role("row").filter(has_text=NAME)
    expect(alarm).to_contain_text("Backup File Set Damaged")
    expect(alarm).to_contain_text(re.compile(r"has [\d,]+ of [\d,]+ bytes"))
    alarm.get_by_role("link", name=re.compile("View History")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(NAME)
    find(page, NAME)
    expect(row(page, NAME)).to_contain_text("0 / 3")

    # Somebody clears it by hand, without script; its cause is not gone, so that it comes back.
    plain = open_page(script=False, who="operator")
    plain.goto("alarms/")
    plain.get_by_role("row").filter(has_text=NAME).get_by_role("button", name=re.compile("^Clear")).click()
    expect(plain.locator("#alarms-raised").get_by_role("row").filter(has_text=NAME)).to_have_count(0)
    plain.goto("alarms/cleared/")
    expect(plain.get_by_role("row").filter(has_text=NAME)).to_contain_text("By operator")
    check(page, "Damaged")
    expect(count).to_have_text(str(before + 1), timeout=60_000)

    archive.write_bytes(whole)
    page.evaluate(MARK)
    choose_for(page, newest(page), "Check set")
    expect(newest(page).locator(".c-proof")).to_contain_text("Checked", timeout=RUN_SECONDS * 1000)
    expect(count).to_have_text(str(before), timeout=60_000)
    assert page.evaluate(SAME), "the page was loaded again"


def test_an_alarm_is_acknowledged_by_keyboard_and_taken_back(page: Page) -> None:
    page.goto("alarms/?q=plant-failing&type=backup-failed")
    alarm = page.get_by_role("row").filter(has_text="Periodical Backup Failure")
    pressing, calm = (page.locator(f"#bar-alarms .bar-count{kind}") for kind in (":not(.is-calm)", ".is-calm"))
    before = int(pressing.inner_text()), int(calm.inner_text())
    page.get_by_role("link", name=re.compile("^Acknowledge")).focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Comment")).to_be_focused()
    picture(page, "alarm-acknowledge")
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name=re.compile("^Acknowledge"))).to_be_focused()
    page.keyboard.press("Enter")
    dialog.get_by_label("Comment").fill("Disk ordered, arrives Thursday.")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(alarm).to_contain_text("Acknowledged by backup-administrator")
    expect(alarm).to_contain_text("Disk ordered, arrives Thursday.")
    assert (int(pressing.inner_text()), int(calm.inner_text())) == (before[0] - 1, before[1] + 1)
    expect(page).to_have_url(re.compile(r"q=plant-failing"))
    alarm.get_by_role("button", name=re.compile("^Take back")).click()
    expect(alarm).not_to_contain_text("Acknowledged by")
    assert int(pressing.inner_text()) == before[0]
