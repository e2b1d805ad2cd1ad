"""Create, Configure and the conflict of two people, in the browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import NARROW, Open
from tests.e2e.ways import create_manual, find, press_ok, row

pytestmark = pytest.mark.browser

# In the order of the seed; what the console asks besides may stand between them.
SEED_FIELDS = {
    "LocalDir": ["Maximum Number of Backup Copies"],
    "NFS": ["IP Mode", "Server IP Address", "Server Shared Path", "Maximum Number of Backup Copies"],
    "RemoteHDFS": [
        "Destination NameService Name",
        "IP Mode",
        "Destination Active NameNode IP Address",
        "Destination Standby NameNode IP Address",
        "Destination NameNode RPC Port",
        "Target Path",
        "Maximum Number of Backup Copies",
    ],
    "CIFS": [
        "IP Mode",
        "Server IP Address",
        "Port",
        "Username",
        "Password",
        "Server Shared Path",
        "Maximum Number of Backup Copies",
    ],
    "SFTP": [
        "IP Mode",
        "Server IP Address",
        "Port",
        "Username",
        "Password",
        "Server Shared Path",
        "Maximum Number of Backup Copies",
    ],
}


def test_a_periodic_task_is_created_and_the_next_runs_follow_the_schedule(page: Page) -> None:
    page.goto("backups/new/")
    page.locator("#id_name").fill("e2e-periodic")
    page.get_by_label("Backup Object").select_option(label="plant")
    page.get_by_label("Started").fill("2031-03-04T05:30")
    page.locator("#id_period").fill("12")
    page.get_by_label("Period unit").select_option("hours")
    coming = page.locator("#next-runs li time")
    expect(coming).to_have_text(["Tue 2031-03-04 05:30", "Tue 2031-03-04 17:30", "Wed 2031-03-05 05:30"])
    incremental = page.get_by_label("Full backup at the first time and incremental backup subsequently")
    expect(incremental).to_be_disabled()
    page.get_by_label("Maximum Number of Backup Copies").fill("5")
    press_ok(page)
    page.wait_for_url(re.compile("/backups/$"))
    expect(page.locator("#toasts")).to_contain_text("Task e2e-periodic created")
    find(page, "e2e-periodic")
    expect(row(page, "e2e-periodic")).to_contain_text("2031-03-04")
    expect(row(page, "e2e-periodic")).to_contain_text("0 / 5")


@pytest.mark.parametrize("path_type", SEED_FIELDS)
def test_the_fields_follow_the_path_type(page: Page, path_type: str) -> None:
    page.goto("backups/new/")
    page.get_by_label("Maximum Number of Backup Copies").fill("9")
    page.get_by_label("Path Type").select_option("SFTP" if path_type == "NFS" else "NFS")
    page.get_by_label("Path Type").focus()
    page.get_by_label("Path Type").select_option(path_type)
    place = page.locator("#destination")
    expect(place.locator("legend").first).to_have_text(path_type)
    labels = [text.rstrip("*").strip() for text in place.locator("label").all_inner_texts()]
    assert [label for label in labels if label in SEED_FIELDS[path_type]] == SEED_FIELDS[path_type]
    expect(page.get_by_label("Maximum Number of Backup Copies")).to_have_value("9")
    expect(page.get_by_label("Path Type")).to_be_focused()
    assert page.locator("#destination").count() == 1


def test_a_bad_field_keeps_what_was_typed_and_has_the_focus(page: Page) -> None:
    page.goto("backups/new/")
    page.locator("#id_name").fill("e2e-bad")
    page.get_by_label("Path Type").select_option("CIFS")
    page.get_by_label("Server IP Address").fill("fd12:20::18")
    page.get_by_label("Username").fill("backup")
    page.locator("#id_password").fill("s3cret-of-mine")
    page.get_by_label("Server Shared Path").fill("/share/iotdb")
    press_ok(page)
    address = page.get_by_label("Server IP Address")
    expect(address).to_be_focused()
    expect(address).to_have_value("fd12:20::18")
    expect(address).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("alert")).to_contain_text("IPv6 address but IP Mode is IPv4")
    assert page.title().startswith("Error:")
    expect(page.locator("#id_name")).to_have_value("e2e-bad")
    expect(page.get_by_label("Username")).to_have_value("backup")
    expect(page.get_by_label("Server Shared Path")).to_have_value("/share/iotdb")
    expect(page.locator("input[type=password]")).to_have_value("")
    assert "s3cret-of-mine" not in page.content()


def test_two_people_who_edit_the_same_task(page: Page, open_page: Open) -> None:
    create_manual(page, "e2e-conflict")
    other = open_page(who="administrator")
    for each in (page, other):
        find(each, "e2e-conflict")
        each.get_by_label("Configure e2e-conflict").click()
    other.get_by_label("Maximum Number of Backup Copies").fill("11")
    press_ok(other)
    other.wait_for_url(re.compile("/backups/$"))
    page.watch.allow("409")  # type: ignore[attr-defined]
    page.get_by_label("Maximum Number of Backup Copies").fill("22")
    press_ok(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Two people changed e2e-conflict")
    differing = page.get_by_role("row").filter(has_text="Maximum Number of Backup Copies")
    expect(differing).to_contain_text("22")
    expect(differing).to_contain_text("11")
    page.get_by_role("button", name="Keep editing with my values").click()
    expect(page.get_by_label("Maximum Number of Backup Copies")).to_have_value("22")
    press_ok(page)
    page.wait_for_url(re.compile("/backups/$"))
    find(page, "e2e-conflict")
    expect(row(page, "e2e-conflict")).to_contain_text("0 / 22")


def test_a_task_is_created_without_script(open_page: Open) -> None:
    page = open_page(script=False, who="backup-administrator")
    page.goto("backups/new/")
    page.locator("#id_name").fill("e2e-no-script")
    page.get_by_label("Path Type").select_option("NFS")
    page.get_by_role("button", name="Show fields").click()
    expect(page.locator("#destination legend").first).to_have_text("NFS")
    expect(page.locator("#id_name")).to_have_value("e2e-no-script")
    page.get_by_label("Path Type").select_option("LocalDir")
    page.get_by_role("button", name="Show fields").click()
    page.get_by_label("Manual").check()
    page.get_by_label("Maximum Number of Backup Copies").fill("2")
    press_ok(page)
    page.wait_for_url(re.compile("/backups/$"))
    find(page, "e2e-no-script")
    expect(row(page, "e2e-no-script")).to_contain_text("0 / 2")


def test_the_form_works_on_a_phone_by_keyboard(open_page: Open) -> None:
    page = open_page(NARROW, who="backup-administrator")
    page.goto("backups/new/")
    page.locator("#id_name").focus()
    page.keyboard.type("e2e-keyboard")
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.textContent.trim()")
        if focused == "OK":
            break
    assert focused == "OK", "the button cannot be reached with the Tab key"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "the page scrolls sideways"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/backups/$"))
