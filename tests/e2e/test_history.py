"""View History in the browser: what changed, how sets are proven, and a set that is checked by the real workers."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.conftest import Open
from tests.e2e.test_runs import MARK, SAME
from tests.e2e.ways import RUN_SECONDS, choose, create_manual, find, wait_for_status
from tests.live import LiveConsole

pytestmark = pytest.mark.browser


def open_history(page: Page, name: str) -> None:
    find(page, name)
    page.get_by_role("link", name=name, exact=True).click()
    page.wait_for_url(re.compile("/history/"))


def newest(page: Page) -> Locator:
    """Return the row of the newest run."""
    return page.locator("tr[id^=run-]").first


def choose_for(page: Page, row: Locator, verb: str) -> None:
    """Open the menu of a run and choose a verb."""
    row.locator("details.menu > summary").click()
    row.locator(".menu-list").get_by_text(verb, exact=True).click()


def test_a_row_unfolds_with_its_log_and_what_changed(page: Page) -> None:
    open_history(page, "plant-nightly")
    row = newest(page)
    expect(row).to_contain_text("IoTDB: +1 database, −2 tables")
    row.locator("a.unfold").click()
    detail = page.locator("tr.run-detail:not([hidden])")
    expect(detail.get_by_role("heading", name="Difference to the run before")).to_be_visible()
    tables = detail.get_by_role("row").filter(has_text="Tables").first
    expect(tables).to_contain_text(re.compile(r"16\s*14\s*−2"))
    expect(detail.locator(".names .added")).to_contain_text("root.plant.iotdb.line7")
    expect(detail.locator(".names .gone")).to_have_count(2)
    expect(detail.get_by_text("IoTDB-1: no change")).to_be_visible()
    expect(row.locator("a.unfold")).to_have_attribute("aria-expanded", "true")
    row.locator("a.unfold").click()
    expect(page.locator("tr.run-detail:not([hidden])")).to_have_count(0)


def test_proofs_are_told_and_lead_to_their_own_page(page: Page) -> None:
    open_history(page, "plant-nightly")
    expect(page.locator("#task-facts")).to_contain_text("Proven 3 days")
    expect(page.locator("#task-facts")).to_contain_text("Rehearsed in 9 s")
    expect(page.locator("#task-facts")).to_contain_text("All 9 counts equal")
    rehearsed = page.get_by_role("row").filter(has_text="Rehearsed 3 d ago")
    rehearsed.locator("a.unfold").click()
    page.get_by_role("link", name=re.compile("Log of rehearsal")).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Rehearsal of the set of run")
    expect(page.locator("ol.steps li.done")).to_have_count(4)
    expect(page.get_by_role("list").filter(has_text="Compare every count")).to_be_visible()


def test_a_damaged_set_is_told_with_its_reason(page: Page) -> None:
    open_history(page, "plant-suspended")
    expect(page.locator(".c-proof", has_text="Damaged 2 d ago")).to_contain_text("not as its manifest says")
    expect(page.locator("#task-facts")).to_contain_text("In doubt")


def test_two_sets_are_compared(page: Page) -> None:
    open_history(page, "plant-nightly")
    page.get_by_role("link", name="Compare two sets").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare two sets")
    service = page.locator("section.panel").filter(has=page.get_by_role("heading", name="IoTDB", exact=True))
    expect(service).to_contain_text("root.plant.iotdb.line7")
    options = page.get_by_label("Before").locator("option")
    page.get_by_label("Before").select_option(options.last.get_attribute("value"))
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(service.get_by_text("m.keller")).to_be_visible()
    expect(service.get_by_role("row").filter(has_text="Users")).to_contain_text(re.compile(r"3\s*4\s*\+1"))


def test_a_set_is_checked_by_the_workers_and_the_page_shows_it_by_itself(page: Page, open_page: Open) -> None:
    create_manual(page, "e2e-check")
    find(page, "e2e-check")
    choose(page, "e2e-check", "Back Up Now")
    wait_for_status(page, "e2e-check", "Successful")
    open_history(page, "e2e-check")
    page.evaluate(MARK)
    row = newest(page)
    expect(row.locator(".c-proof")).to_contain_text("Verified")
    choose_for(page, row, "Check set")
    expect(page.locator("#toasts")).to_contain_text("The check of the set of run")
    expect(row.locator(".c-proof")).to_contain_text("Checked", timeout=RUN_SECONDS * 1000)
    expect(page.locator("#task-facts")).to_contain_text("Checked")
    assert page.evaluate(SAME), "the page was loaded again"
    row.locator("a.unfold").click()
    proof = page.locator(".prooflist")
    expect(proof).to_contain_text("Every byte is as it was written")
    expect(proof).to_contain_text("by backup-administrator")
    # Without script the same verb goes and comes back to the page.
    plain = open_page(who="operator", script=False)
    find(plain, "e2e-check")
    plain.get_by_role("link", name="e2e-check", exact=True).click()
    choose_for(plain, newest(plain), "Check set")
    expect(plain.locator("main, #toasts").filter(has_text="The check of the set of run").first).to_be_visible()
    expect(plain).to_have_url(re.compile("/history/"))


def test_a_damaged_set_is_found_and_said(page: Page, live_console: LiveConsole) -> None:
    create_manual(page, "e2e-damage")
    find(page, "e2e-damage")
    choose(page, "e2e-damage", "Back Up Now")
    wait_for_status(page, "e2e-damage", "Successful")
    [archive] = sorted((live_console.data / "storage" / "LocalBackup").glob("e2e-damage_*/*IoTDB_*.tar.gz"))
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    open_history(page, "e2e-damage")
    choose_for(page, newest(page), "Check set")
    expect(newest(page).locator(".c-proof")).to_contain_text("Damaged", timeout=RUN_SECONDS * 1000)
    expect(page.locator("#task-facts")).to_contain_text("Nothing to restore")


def asks(page: Page) -> None:
    """Call for a look at what is new, as verbs do."""
    page.evaluate("document.dispatchEvent(new Event('refresh-now'))")


def test_a_call_for_news_is_not_lost_while_an_older_answer_is_under_way(page: Page) -> None:
    open_history(page, "plant-nightly")
    held: list[Route] = []
    page.route("**/head/*", lambda route: held.append(route))
    with page.expect_request("**/head/*"):
        asks(page)
    asks(page)
    # The page is calm: without the call it would look again in half a minute.
    with page.expect_request("**/head/*", timeout=15_000):
        held[0].continue_()
    page.unroute("**/head/*")


def test_a_page_that_stays_open_over_midnight_is_loaded_again(page: Page) -> None:
    open_history(page, "plant-nightly")
    page.evaluate(MARK)
    page.evaluate("document.getElementById('pace').dataset.day = '2026-01-01'")
    newest(page).locator("details.menu > summary").click()
    with page.expect_response("**/head/*"):
        asks(page)
    expect(page.locator("#pace")).to_have_attribute("data-day", "2026-01-01")
    assert page.evaluate(SAME), "somebody was in a menu"
    page.keyboard.press("Escape")
    asks(page)
    expect(page.locator("#pace")).not_to_have_attribute("data-day", "2026-01-01")
    assert not page.evaluate(SAME)
