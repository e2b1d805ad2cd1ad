"""The form of a node in the browser: only the fields that count are shown, and a host key is trusted by a click."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import NARROW
from tests.e2e.test_verify import DONE
from tests.e2e.ways import press_ok
from tests.servers.openssh import PASSWORD
from tests.servers.sshaccounts import Accounts, accounts, home_of_iotdb, openssh

__all__ = ["accounts", "home_of_iotdb", "openssh"]
pytestmark = pytest.mark.browser


def new_node(page: Page, name: str) -> None:
    page.goto("clusters/")
    page.get_by_role("link", name="plant", exact=True).click()
    page.get_by_role("link", name="Add node to IoTDB", exact=True).click()
    page.locator("#id_name").fill(name)


@pytest.mark.parametrize("width", [1440, NARROW[0]])
def test_only_the_fields_that_count_are_shown(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    new_node(page, "not-saved")
    expect(page.get_by_label("SSH address")).to_be_hidden()
    expect(page.get_by_label("Stop the DataNode")).to_be_hidden()
    page.get_by_text("On another host, over SSH").click()
    expect(page.get_by_label("SSH address")).to_be_visible()
    expect(page.get_by_label("SSH user")).to_be_visible()
    page.get_by_text("Commands of your own").click()
    expect(page.get_by_label("Stop the DataNode")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_text("On this machine").click()
    page.get_by_text("By hand").click()
    expect(page.get_by_label("SSH address")).to_be_hidden()
    expect(page.get_by_label("Start the ConfigNode")).to_be_hidden()


@pytest.mark.server
def test_a_node_over_ssh_from_the_first_key_to_its_check(page: Page, accounts: Accounts, remote_home: Path) -> None:
    new_node(page, "e2e-far")
    page.locator("#id_home").fill(str(remote_home))
    page.get_by_text("On another host, over SSH").click()
    for field, value in (("server_ip", "127.0.0.1"), ("port", str(accounts.server.port)), ("username", accounts.free)):
        page.locator(f"#id_{field}").fill(value)
    page.locator("#id_password").fill(PASSWORD)
    page.locator("#id_sudo_user").fill(accounts.iotdb)
    page.locator(".form-actions [data-verify]").click()
    page.wait_for_selector(DONE)
    expect(page.locator("#verify-lines li").last).to_contain_text(accounts.server.fingerprint())
    page.get_by_role("button", name="Trust this key").click()
    page.wait_for_selector(DONE)
    expect(page.locator(".host-key code")).to_have_text(accounts.server.fingerprint())
    expect(page.locator("#verify-lines")).to_contain_text(f"and as {accounts.iotdb} by sudo")
    expect(page.locator("#verify-foot")).to_contain_text("OK")
    press_ok(page)
    expect(page.locator("#toasts")).to_contain_text("Node e2e-far saved.")
    row = page.get_by_role("row", name="e2e-far").first
    expect(row).to_contain_text(f"On 127.0.0.1 port {accounts.server.port}, over SSH as {accounts.free}")
    page.get_by_role("button", name="Check e2e-far").click()
    expect(page.get_by_role("heading", name="Check of e2e-far")).to_be_visible()
    expect(page.locator(".check-result")).to_contain_text("sudo lets commands be run")
    page.get_by_role("link", name="Edit e2e-far").click()
    expect(page.locator("#id_password")).to_have_attribute("placeholder", "Unchanged")
    expect(page.locator("#id_password")).to_have_value("")
    page.goto("clusters/")
    page.get_by_role("link", name="plant", exact=True).click()
    page.get_by_role("link", name="Delete e2e-far").click()
    page.locator("main").get_by_role("button", name="Delete").click()
    expect(page.locator("#toasts")).to_contain_text("Node e2e-far deleted.")
