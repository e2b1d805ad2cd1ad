"""The whole way with Tab, Enter, Space, Escape and the arrows: from the login to a restorable set and out again."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.axe import violations
from tests.e2e.conftest import Open
from tests.e2e.seed import PASSWORD
from tests.e2e.ways import row, wait_for_status

pytestmark = pytest.mark.browser
NAME = "e2e-keys"
# More than any page on the way has.
MOST = 120


# What is wrong with the place of the focus, or whether it is the one that was looked for.
_FOCUS = """target => {
  const one = document.activeElement
  if (one === target) return true
  if (one === document.body) return ""
  const box = one.getBoundingClientRect(), shown = getComputedStyle(one)
  return box.width && box.height && shown.outlineStyle !== "none" ? "" : one.outerHTML.slice(0, 200)
}"""


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the focus is on ``target``; each stop on the way has to be seen, and to show it."""
    for _ in range(MOST):
        page.keyboard.press("Tab")
        found = target.evaluate(_FOCUS)
        if found is True:
            return
        assert found == "", "the focus cannot be seen"
    raise AssertionError(f"the Tab key does not reach {target}")


def press(page: Page, target: Locator, key: str = "Enter") -> None:
    """Go to ``target`` and press a key there."""
    tab_to(page, target)
    page.keyboard.press(key)


def test_the_whole_way_by_keyboard(open_page: Open) -> None:
    page = open_page()
    page.goto("backups/")
    expect(page.get_by_label("Username")).to_be_focused()
    page.keyboard.type("backup-administrator")
    tab_to(page, page.get_by_label("Password", exact=True))
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Backup Management")

    press(page, page.get_by_role("link", name="Skip to the content"))
    expect(page.locator("#main")).to_be_focused()
    press(page, page.locator(".help > summary"))
    expect(page.locator(".help-text")).to_contain_text("Postponed")
    assert violations(page) == []
    page.keyboard.press("Enter")
    expect(page.locator(".help-text")).to_be_hidden()
    page.keyboard.press("Shift+Tab")
    page.locator("#main").focus()
    press(page, page.get_by_role("link", name="Create", exact=True))
    expect(page.get_by_role("heading", level=1)).to_have_text("Create backup task")

    tab_to(page, page.locator("#id_name"))
    page.keyboard.type(NAME)
    tab_to(page, page.get_by_label("Backup Object"))
    page.keyboard.type("plant")
    expect(page.locator("#id_cluster_helptext")).to_contain_text("2 services")
    tab_to(page, page.get_by_role("radio", name=re.compile("Periodic")))
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name=re.compile("Manual"))).to_be_checked()
    press(page, page.get_by_role("button", name="OK", exact=True))
    page.wait_for_url(re.compile("/backups/$"))

    search = page.get_by_label("Search by name or address")
    tab_to(page, search)
    page.keyboard.type(NAME)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(f"q={NAME}"))
    more = page.get_by_label(f"More for {NAME}")
    press(page, more)
    press(page, row(page, NAME).locator(".menu-list").get_by_text("Back Up Now", exact=True))
    wait_for_status(page, NAME, "Successful")

    press(page, page.get_by_role("link", name=NAME, exact=True))
    expect(page.get_by_role("heading", level=1)).to_have_text(NAME)
    press(page, page.locator("a.unfold").first)
    expect(page.get_by_label("Log lines")).to_be_visible()
    press(page, page.get_by_label(re.compile("^More for run")).first)
    expect(page.get_by_role("button", name=re.compile("^Check set"))).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name=re.compile("^Check set"))).to_be_hidden()

    page.keyboard.press("Control+Home")
    press(page, page.locator("#account"))
    press(page, page.get_by_role("button", name="Log out"))
    expect(page).to_have_url(re.compile("/login/"))


@pytest.mark.parametrize("address", ["", "backups/", "alarms/", "audit/", "people/", "restorations/"])
def test_tab_goes_through_the_page_in_its_order_and_out_again(open_page: Open, address: str) -> None:
    page = open_page(who="administrator")
    page.goto(address)
    page.wait_for_load_state("networkidle")
    page.evaluate("document.querySelectorAll('*').forEach((each, place) => each.setAttribute('data-place', place))")
    places: list[int] = []
    for _ in range(MOST):
        page.keyboard.press("Tab")
        place = page.evaluate("document.activeElement.dataset.place")
        if places and int(place) <= places[0]:
            break
        places.append(int(place))
    else:
        raise AssertionError("Tab does not leave the page")
    assert len(places) > 10
    assert places == sorted(places)
