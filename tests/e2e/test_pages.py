"""Every page as its reader sees it: wide and narrow, light and dark, in the reader's zone, held against axe."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.axe import broken_words, spilled, violations
from tests.e2e.conftest import MIDDLE, NARROW, WIDE, Open, picture
from tests.e2e.seed import PASSWORD
from tests.e2e.ways import find, row

pytestmark = pytest.mark.browser

LOGGED_OUT = {"login": "login/"}
PAGES = {
    "home": "",
    "list": "backups/",
    "list-nothing-found": "backups/?q=no-such-task",
    "create": "backups/new/",
    "alarms": "alarms/",
    "alarms-none": "alarms/?severity=suggestion",
    "alarms-cleared": "alarms/cleared/",
    "alarms-rules": "alarms/rules/",
    "alarm-acknowledge-page": "alarms/1/acknowledge/",
    "alarms-acknowledge-page": "alarms/acknowledge/",
    "audit": "audit/",
    "lockouts": "lockouts/",
    "audit-filters": "audit/?kind=user&result=refused",
    "clusters": "clusters/",
    "cluster-new": "clusters/new/",
    "preferences": "settings/",
    "notifications": "settings/notifications/",
    "notification-mail": "channels/new/?kind=mail",
    "notification-webhook": "channels/new/?kind=webhook",
    "notification-service": "channels/new/?kind=url",
    "notifications-system": "system/notifications/",
    "password": "settings/password/",
    "sessions": "settings/sessions/",
    "people": "people/",
    "people-nobody-found": "people/?q=no-such-person",
    "person-new": "people/new/",
    "management-nodes": "system/nodes/",
    "maintenance": "system/maintenance/",
    "restorations": "restorations/",
    "restoration-new": "restorations/new/",
    "restoration-source": "restorations/new/source/",
}
# Pages of one thing are reached as people reach them, from the list it stands in.
FROM_LIST = {
    "history": lambda page: page.get_by_role("link", name="plant-nightly", exact=True).click(),
    "configure": lambda page: page.get_by_label("Configure plant-nightly").click(),
    "task-notifications": lambda page: page.goto(configure_address(page).replace("configure", "notifications")),
    "copy": lambda page: page.goto(configure_address(page).replace("configure", "copy")),
    "verify": lambda page: page.goto(configure_address(page).replace("configure", "verify")),
    "delete": lambda page: page.goto(configure_address(page).replace("configure", "delete")),
    "bulk-delete": lambda page: page.goto("backups/bulk/delete/?found=yes&q=plant-"),
    "bulk-stop": lambda page: page.goto("backups/bulk/stop/?found=yes&q=plant-"),
}
FROM_HISTORY = {
    "salvage": lambda page: page.goto(log_address(page).replace("log", "salvage")),
    "history-unfolded": lambda page: unfold(page),
    "compare": lambda page: page.get_by_role("link", name="Compare two sets").click(),
    "run": lambda page: page.goto(log_address(page)),
    "proof": lambda page: (unfold(page), page.get_by_role("link", name=re.compile("Log of rehearsal")).click()),
}
FROM_CLUSTERS = {
    "cluster": lambda page: page.get_by_role("link", name="plant", exact=True).first.click(),
}


FROM_PEOPLE = {
    "person": lambda page: page.get_by_role("link", name="depot-keeper", exact=True).click(),
    "person-edit": lambda page: page.get_by_label("Edit depot-keeper").click(),
}
FROM_RESTORATIONS = {
    "restoration-unused": lambda page: page.get_by_role("link", name="attic-unused", exact=True).click(),
    "restoration-restored": lambda page: page.get_by_role("link", name="attic-restored", exact=True).click(),
    "restoration-rolled-back": lambda page: page.get_by_role("link", name="attic-rolled-back", exact=True).click(),
    "restoration-start": lambda page: follow(page, "Start attic-unused"),
    "restoration-delete": lambda page: follow(page, "Delete attic-unused"),
    "safety-copy-remove": lambda page: follow(page, "Remove now: the safety copy of attic"),
}


def follow(page: Page, label: str) -> None:
    """Go where a link leads that is a dialog with script."""
    page.goto(page.get_by_role("link", name=label).first.get_attribute("href") or "")


def configure_address(page: Page) -> str:
    return page.get_by_label("Configure plant-nightly").get_attribute("href") or ""


def log_address(page: Page) -> str:
    return page.locator("a.unfold").first.get_attribute("href") or ""


def unfold(page: Page) -> None:
    """Show what is known of the run that was rehearsed."""
    page.get_by_role("row").filter(has_text="Rehearsed 3 d ago").locator("a.unfold").click()
    expect(page.locator(".prooflist")).to_be_visible()


def open_named(page: Page, name: str) -> None:
    """Go to the page called ``name`` in the tables above."""
    if name in FROM_LIST:
        find(page, "plant-nightly")
        FROM_LIST[name](page)
    elif name in FROM_HISTORY:
        find(page, "plant-nightly")
        FROM_LIST["history"](page)
        FROM_HISTORY[name](page)
    elif name in FROM_RESTORATIONS:
        page.goto("restorations/")
        FROM_RESTORATIONS[name](page)
    elif name in FROM_PEOPLE:
        page.goto("people/?q=depot")
        FROM_PEOPLE[name](page)
    elif name in FROM_CLUSTERS:
        page.goto("clusters/")
        FROM_CLUSTERS[name](page)
    else:
        page.goto((PAGES | LOGGED_OUT)[name])
    page.wait_for_load_state("networkidle")


EVERY = [*LOGGED_OUT, *PAGES, *FROM_LIST, *FROM_HISTORY, *FROM_CLUSTERS, *FROM_PEOPLE, *FROM_RESTORATIONS]


@pytest.mark.parametrize("name", EVERY)
def test_axe_finds_nothing_and_nothing_is_cut_off(open_page: Open, name: str) -> None:
    page = open_page(who="" if name in LOGGED_OUT else "administrator")
    open_named(page, name)
    for width, height in (WIDE, MIDDLE, NARROW):
        page.set_viewport_size({"width": width, "height": height})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            expect(page.locator("html")).to_have_attribute("data-bs-theme", theme)
            picture(page, f"{name}-{width}-{theme}")
            # The dark theme differs from the light one in its colours only, and these are the same at all widths;
            # from 768 px down to 360 rows are cards, and the same ones.
            if width == WIDE[0] or (width, theme) == (NARROW[0], "light"):
                assert violations(page, colours_only=theme == "dark") == [], (width, theme)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"scrolls at {width}"
        assert broken_words(page) == [], f"words broken at {width}"
    # The narrowest window of each layout of tables, and the widest of the next one.
    for width in (WIDE[0], 1439, 1280, 1200, 1199, 768):
        page.set_viewport_size({"width": width, "height": WIDE[1]})
        assert spilled(page) == [], f"wider than its cell at {width}"


@pytest.mark.parametrize("role", ["viewer", "operator", "administrator"])
def test_the_list_of_each_role(open_page: Open, role: str) -> None:
    page = open_page(who=role)
    find(page, "plant-nightly")
    expect(page.get_by_role("link", name="Create", exact=True)).to_have_count(int(role == "administrator"))
    expect(page.get_by_label("Configure plant-nightly")).to_have_count(int(role == "administrator"))
    # In the menu of the row, and in the bar above it.
    expect(page.locator("button").get_by_text("Back Up Now", exact=True)).to_have_count(0 if role == "viewer" else 2)
    assert violations(page) == []


def test_an_auditor_reads_the_audit_and_takes_it_along(open_page: Open) -> None:
    page = open_page(who="auditor")
    expect(page).to_have_url(re.compile("/audit/$"))
    event = page.get_by_role("row").filter(has_text="Log in").first
    unfold = event.get_by_role("link", name=re.compile("^Details of event"))
    unfold.focus()
    page.keyboard.press("Enter")
    detail = page.locator(".audit-detail").first
    expect(detail).to_contain_text("holds")
    expect(unfold).to_have_attribute("aria-expanded", "true")
    assert violations(page) == []
    picture(page, "audit-unfolded")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export JSON lines").click()
    assert b'"verb": "log in"' in download.value.path().read_bytes()
    detail.get_by_role("link", name="All of auditor").click()
    expect(page).to_have_url(re.compile("person=auditor"))
    page.get_by_role("link", name="Other records").click()
    page.get_by_role("link", name="Audit events").first.click()
    expect(page.get_by_role("heading", level=1).first).to_be_visible()
    expect(page.get_by_role("link", name=re.compile(r"^Add\b"))).to_have_count(0)


def test_somebody_without_a_role_is_told_whom_to_ask(open_page: Open) -> None:
    page = open_page(who="nobody")
    expect(page.get_by_role("main")).to_contain_text("dministrator")
    assert violations(page) == []


def test_times_are_in_the_zone_of_the_reader(open_page: Open) -> None:
    page = open_page(zone="Asia/Tokyo", who="viewer")
    page.goto("backups/")
    expect(page.locator(".topbar")).to_contain_text("Times in Asia/Tokyo")
    expect(page.locator(".topbar")).to_contain_text("Europe/Berlin")
    moments = page.locator("time[datetime]").evaluate_all("all => all.map(each => each.dateTime)")
    assert moments
    assert all(moment.endswith("+09:00") for moment in moments), moments


def test_the_theme_is_kept(open_page: Open) -> None:
    page = open_page(who="operator")
    for before, after in (("auto", "light"), ("light", "dark"), ("dark", "auto")):
        expect(page.locator("html")).to_have_attribute("data-theme", before)
        page.locator("#theme-button").click()
        expect(page.locator("html")).to_have_attribute("data-theme", after)
        page.reload()
        expect(page.locator("html")).to_have_attribute("data-theme", after)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_high_contrast_shows_what_is_chosen(open_page: Open, theme: str) -> None:
    page = open_page(who="administrator")
    page.emulate_media(color_scheme=theme, forced_colors="active")
    page.goto("backups/new/")
    chosen, other = (page.get_by_role("radio", checked=checked).first for checked in (True, False))
    assert chosen.screenshot() != other.screenshot()
    box = page.get_by_role("checkbox").first
    box.check()
    ticked = box.screenshot()
    box.uncheck()
    assert box.screenshot() != ticked
    picture(page, f"create-high-contrast-{theme}")


def test_the_menu_works_by_keyboard(page: Page) -> None:
    find(page, "plant-unused")
    more = page.get_by_label("More for plant-unused")
    more.focus()
    page.keyboard.press("Enter")
    expect(row(page, "plant-unused").get_by_text("Back Up Now", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(row(page, "plant-unused").get_by_text("Back Up Now", exact=True)).to_be_hidden()
    expect(more).to_be_focused()


def test_log_in_and_out(open_page: Open) -> None:
    page = open_page()
    page.goto("backups/new/")
    expect(page).to_have_url(re.compile("/login/"))
    page.get_by_label("Username").fill("backup-administrator")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Create backup task")
    page.locator("#account").click()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(re.compile("/login/"))


def test_a_wrong_password_says_so(open_page: Open) -> None:
    page = open_page()
    page.goto("login/")
    page.get_by_label("Username").fill("viewer")
    page.get_by_label("Password", exact=True).fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("Username or password is wrong.")
    expect(page.get_by_label("Username")).to_have_value("viewer")


def test_a_page_that_is_not_there(page: Page) -> None:
    page.watch.allow("404")  # type: ignore[attr-defined]
    page.goto("backups/999999/history/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert violations(page) == []
