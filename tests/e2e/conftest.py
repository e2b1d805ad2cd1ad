"""A browser and a console for it: every page it opens is watched for errors of script, policy and network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from tests.conftest import chromium
from tests.e2e.seed import PASSWORD
from tests.live import LiveConsole

ARTEFACTS = Path(__file__).parent.parent / "artefacts"
WIDE, MIDDLE, NARROW = (1440, 900), (768, 1024), (360, 780)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
Open = Callable[..., Page]


def _far_from_midnight() -> str:
    """Return a zone for the reader in which no midnight comes while the tests last: pages are loaded again then."""
    berlin = ZoneInfo("Europe/Berlin")
    return berlin.key if datetime.now(berlin).hour < 20 else "America/New_York"


ZONE = _far_from_midnight()


@pytest.fixture(scope="package")
def live_console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveConsole]:
    """The console that all tests of this directory share, with people, clusters and a history in it."""
    settings = {"DJANGO_SETTINGS_MODULE": "tests.e2e.settings"}
    console = LiveConsole(tmp_path_factory.mktemp("live-console"), settings)
    console.module("tests.e2e.seed", str(console.data))
    console.start()
    yield console
    status = console.stop()
    ARTEFACTS.mkdir(exist_ok=True)
    (ARTEFACTS / "console.log").write_text(console.log)
    assert status == 0, f"The console did not end in its own way ({status}):\n{console.log[-4000:]}"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    # Playwright keeps an event loop in this thread for as long as it lives; Django would refuse its database there.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


class Watch:
    """What went wrong in the pages of one context: script errors, refusals by the policy, requests to elsewhere."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.troubles: list[str] = []
        # htmx reports a request that a newer one replaced, as it is meant to, like an error.
        self.allowed: list[str] = ["htmx:sendAbort", "htmx:afterRequest"]
        self._address = address
        context.on("console", self._message)
        context.on("weberror", lambda error: self.troubles.append(f"script: {error.error}"))
        context.on("request", self._request)

    def _message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self._address, "data:", "blob:")):
            self.troubles.append(f"request to elsewhere: {request.url}")

    def allow(self, text: str) -> None:
        """Expect a trouble whose text holds ``text``, such as the status of a page that is refused on purpose."""
        self.allowed.append(text)

    def unexpected(self) -> list[str]:
        """Return the troubles that no test expected."""
        return [one for one in self.troubles if not any(text in one for text in self.allowed)]


@pytest.fixture(scope="package")
def cookies(live_console: LiveConsole, browser: Browser) -> Callable[[str], list[Any]]:
    """Return a function that gives the cookies of a person who has logged in; each logs in once."""

    @cache
    def of(who: str) -> list[Any]:
        context = browser.new_context(base_url=live_console.address)
        page = context.new_page()
        log_in(page, who)
        found = [cookie for cookie in context.cookies() if cookie["name"] != "zone"]
        context.close()
        return found

    return of


@pytest.fixture
def open_page(
    live_console: LiveConsole, browser: Browser, cookies: Callable[[str], list[Any]], request: pytest.FixtureRequest
) -> Iterator[Open]:
    """Return a function that opens a page in a context of its own; the test fails for whatever its watch saw."""
    made: list[tuple[BrowserContext, Watch]] = []

    def make(
        size: tuple[int, int] = WIDE,
        *,
        dark: bool = False,
        script: bool = True,
        zone: str = ZONE,
        who: str = "",
        scale: float = 1,
    ) -> Page:
        context = browser.new_context(
            base_url=live_console.address,
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            timezone_id=zone,
            locale="en-GB",
            device_scale_factor=scale,
            permissions=["clipboard-read", "clipboard-write"],
        )
        context.set_default_timeout(10_000)
        watch = Watch(context, live_console.address)
        made.append((context, watch))
        page = context.new_page()
        page.watch = watch  # type: ignore[attr-defined]
        if who:
            context.add_cookies(cookies(who))
            page.goto("")
        return page

    yield make
    troubles = [trouble for _, watch in made for trouble in watch.unexpected()]
    if request.node.stash.get(FAILED, False):
        for number, (context, _) in enumerate(made):
            for page in context.pages:
                picture(page, f"failed-{request.node.name}-{number}")
    for context, _ in made:
        context.close()
    assert not troubles, "\n".join(troubles)


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Remember that a test failed, so that its page is kept as a picture."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


def log_in(page: Page, who: str) -> None:
    """Log in as one of the seeded people."""
    page.goto("login/")
    page.get_by_label("Username").fill(who)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: "login" not in url)


@pytest.fixture
def page(open_page: Open) -> Page:
    """A wide, light page of a Backup Administrator."""
    return open_page(who="backup-administrator")


def picture(page: Page, name: str) -> None:
    """Keep a picture of the whole page, as if the window were as high as the page: what sticks to it stays in place."""
    ARTEFACTS.mkdir(exist_ok=True)
    size = page.viewport_size or {"width": WIDE[0], "height": WIDE[1]}
    height = page.evaluate("Math.max(document.documentElement.scrollHeight, window.innerHeight)")
    page.set_viewport_size({"width": size["width"], "height": min(height, 6000)})
    page.screenshot(path=ARTEFACTS / f"{name}.png")
    page.set_viewport_size(size)
