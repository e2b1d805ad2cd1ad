"""A newcomer in the browser: a password for one login, one of their own, one cluster, the end of the session."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.axe import violations
from tests.e2e.conftest import NARROW, WIDE, Open, picture

pytestmark = pytest.mark.browser
OWN = "a-password-of-my-own"


def log_in(page: Page, name: str, password: str) -> None:
    page.goto("login/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Log in").click()


def test_the_way_of_a_newcomer(open_page: Open) -> None:
    boss = open_page(who="administrator")
    boss.goto("people/new/")
    expect(boss.get_by_text("Only these clusters", exact=True).last).to_be_hidden()
    boss.get_by_label("Username").fill("newcomer")
    boss.get_by_role("checkbox", name="Viewer").check()
    boss.get_by_text("Choose them below").click()
    boss.get_by_role("checkbox", name="depot").check()
    boss.get_by_role("button", name="Create user").click()
    password = boss.locator("#one-time-password").inner_text()
    boss.get_by_role("button", name="Copy").click()
    assert boss.evaluate("navigator.clipboard.readText()") == password
    assert violations(boss) == []
    boss.get_by_role("link", name="Done").click()

    newcomer = open_page()
    log_in(newcomer, "newcomer", password)
    expect(newcomer.get_by_role("heading", level=1)).to_have_text("Choose your own password")
    for width, height in (WIDE, NARROW):
        newcomer.set_viewport_size({"width": width, "height": height})
        for theme in ("light", "dark"):
            newcomer.emulate_media(color_scheme=theme)
            picture(newcomer, f"first-password-{width}-{theme}")
            assert violations(newcomer) == [], (width, theme)
    newcomer.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
    newcomer.goto("backups/")
    expect(newcomer.get_by_role("heading", level=1)).to_have_text("Choose your own password")
    newcomer.get_by_label("New password", exact=False).first.fill(OWN)
    newcomer.get_by_label("New password again").fill(OWN)
    newcomer.get_by_role("button", name="Save password").click()
    newcomer.goto("clusters/")
    expect(newcomer.get_by_role("link", name="depot", exact=True)).to_be_visible()
    expect(newcomer.get_by_role("link", name="plant", exact=True)).to_have_count(0)

    boss.reload()
    boss.get_by_role("button", name="End all").click()
    expect(boss.get_by_text("newcomer is not logged in anywhere.")).to_be_visible()
    newcomer.goto("clusters/")
    expect(newcomer.get_by_role("status")).to_contain_text("Your session has ended.")
    log_in(newcomer, "newcomer", OWN)
    expect(newcomer.locator("#account")).to_contain_text("newcomer")
