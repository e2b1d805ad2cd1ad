"""What people do on the pages, in a line each."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

# A click is to start within 2 s; the rest is what a busy test machine may add.
RUN_SECONDS = 90


def row(page: Page, name: str) -> Locator:
    """Return the row of a task in the list."""
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def status(page: Page, name: str) -> Locator:
    """Return the cell that says in words what became of the task's last run."""
    return row(page, name).locator(".c-status")


def choose(page: Page, name: str, verb: str) -> None:
    """Open a task's menu and choose a verb."""
    page.get_by_label(f"More for {name}").click()
    row(page, name).locator(".menu-list").get_by_text(verb, exact=True).click()


def find(page: Page, name: str) -> None:
    """Show the list with one task only."""
    page.goto(f"backups/?q={name}")


def press_ok(page: Page) -> None:
    """Press OK once nothing is fetched or put in any more: a click misses what moves in that moment."""
    expect(page.locator(".htmx-request, .htmx-swapping, .htmx-settling")).to_have_count(0)
    page.get_by_role("button", name="OK", exact=True).click()


def create_manual(page: Page, name: str, cluster: str = "plant", copies: int = 3) -> None:
    """Create a manual LocalDir task in the browser; ends on the list."""
    page.goto("backups/new/")
    page.locator("#id_name").fill(name)
    page.get_by_label("Backup Object").select_option(label=cluster)
    page.get_by_text("Executed manually").click()
    page.get_by_label("Maximum Number of Backup Copies").fill(str(copies))
    press_ok(page)
    page.wait_for_url(re.compile("/backups/$"))


def wait_for_status(page: Page, name: str, words: str) -> None:
    """Wait until the row says ``words`` by itself; the page is not loaded again."""
    expect(status(page, name)).to_contain_text(words, timeout=RUN_SECONDS * 1000)
