"""Adding a channel in the browser: the test shows its result in place, and what was typed stays to be saved."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Open

pytestmark = pytest.mark.browser


def test_a_channel_is_tested_in_place_and_kept_to_be_saved(open_page: Open) -> None:
    page = open_page(who="administrator")
    page.goto("channels/new/?kind=webhook")
    page.get_by_label("URL").fill("https://hook.invalid/x")
    page.get_by_label("Bearer token").fill("T0ken-123")
    page.get_by_role("button", name="Send test").click()
    expect(page.locator("#verify-lines")).to_contain_text("The name hook.invalid cannot be resolved.", timeout=60_000)
    expect(page.get_by_label("URL")).to_have_value("https://hook.invalid/x")
    expect(page.get_by_label("Bearer token")).to_have_value("T0ken-123")
    page.get_by_label("Name").fill("Hook")
    page.get_by_role("button", name="OK").click()
    expect(page.get_by_role("row").filter(has_text="https://hook.invalid/******")).to_contain_text("Not used yet")
    page.get_by_label("Delete Hook").click()
    page.get_by_role("button", name="Delete channel").click()
    expect(page.get_by_text("hook.invalid")).to_have_count(0)


def test_the_fields_of_another_mail_server_come_with_its_box(open_page: Open) -> None:
    page = open_page(who="administrator")
    page.goto("channels/new/?kind=mail")
    expect(page.get_by_label("SMTP server")).to_be_hidden()
    page.get_by_label("Use another mail server").check()
    expect(page.get_by_label("SMTP server")).to_be_visible()
