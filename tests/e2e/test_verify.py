"""Verify in the browser: lines as they come, a key that is trusted by a click, a way to the wrong field."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import NARROW
from tests.e2e.ways import choose, create_manual, find, press_ok
from tests.servers.openssh import PASSWORD, OpenSSH, openssh

__all__ = ["openssh"]
pytestmark = pytest.mark.browser

DONE = "#verify:not([aria-busy]) #verify-foot .table-foot"


def fill_sftp(page: Page, server: OpenSSH, name: str, path: str) -> None:
    page.goto("backups/new/")
    page.locator("#id_name").fill(name)
    page.get_by_text("Executed manually").click()
    page.get_by_label("Path Type").select_option("SFTP")
    for field, value in (("server_ip", "127.0.0.1"), ("port", str(server.port)), ("username", server.user)):
        page.locator(f"#id_{field}").fill(value)
    page.locator("#id_password").fill(PASSWORD)
    page.locator("#id_shared_path").fill(path)


@pytest.mark.parametrize("width", [1440, NARROW[0]])
def test_localdir_on_the_form_keeps_what_was_typed(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("backups/new/")
    page.locator("#id_name").fill("not-saved")
    page.locator(".form-actions [data-verify]").click()
    page.wait_for_selector(DONE)
    expect(page.locator("#verify-lines .what")).to_have_text(["Path", "Write, read, rename, delete", "Free space"])
    expect(page.locator("#verify-foot")).to_contain_text("3 OK")
    expect(page.locator("#verify")).to_be_in_viewport()
    expect(page.locator("#id_name")).to_have_value("not-saved")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.server
def test_sftp_from_the_first_key_to_the_saved_task(page: Page, openssh: OpenSSH) -> None:
    fill_sftp(page, openssh, "e2e-sftp", "/readable")
    page.locator(".form-actions [data-verify]").click()
    page.wait_for_selector(DONE)
    expect(page.locator("#verify-lines li").last).to_contain_text(openssh.fingerprint())
    expect(page.locator("#verify-note")).to_contain_text("host key has to be confirmed")
    page.get_by_role("button", name="Trust this key").click()
    page.wait_for_selector(DONE)
    expect(page.locator(".host-key code")).to_have_text(openssh.fingerprint())
    expect(page.locator("#verify-lines li").last).to_contain_text("has no permission on /readable")
    expect(page.locator("#verify-note")).to_have_text("1 check failed. You may still save.")
    page.locator("#verify-lines").get_by_role("link", name="Server Shared Path").click()
    expect(page.locator("#id_shared_path")).to_be_focused()
    page.locator("#id_shared_path").fill("/store")
    expect(page.locator("#verify-note")).to_have_text("The destination was changed since it was verified.")
    page.get_by_role("button", name="Verify again").click()
    page.wait_for_selector(DONE)
    expect(page.locator("#verify-foot")).to_contain_text("7 OK")
    press_ok(page)
    page.wait_for_url(re.compile("/backups/$"))
    find(page, "e2e-sftp")
    choose(page, "e2e-sftp", "Verify destination")
    expect(page.locator(".table-foot")).to_contain_text("7 OK")


@pytest.mark.server
def test_saving_asks_for_the_key_first(page: Page, openssh: OpenSSH) -> None:
    fill_sftp(page, openssh, "e2e-no-key", "/store")
    press_ok(page)
    expect(page.get_by_role("alert")).to_contain_text("Verify the destination and confirm the host key first.")


def test_a_saved_task_from_its_history(page: Page) -> None:
    create_manual(page, "e2e-verify")
    find(page, "e2e-verify")
    page.get_by_role("link", name="e2e-verify", exact=True).click()
    page.get_by_role("button", name="Verify destination").click()
    expect(page.locator(".table-foot")).to_contain_text("3 OK")
