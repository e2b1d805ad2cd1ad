"""The maintenance switch in the browser: set by one person, read by another, and ended."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.e2e.axe import violations
from tests.e2e.conftest import Open
from tests.e2e.test_bulk import pictures

pytestmark = pytest.mark.browser


def test_maintenance_is_set_read_everywhere_and_ended(open_page: Open) -> None:
    page = open_page(who="administrator")
    page.goto("system/maintenance/")
    page.get_by_label("Reason").fill("New disks for nfs-1. Ask Anna, room 214.")
    page.get_by_label("Ends by itself").fill("2098-01-01T06:00")
    page.get_by_role("button", name="Start maintenance").click()
    notice = page.locator("#maintenance-notice")
    try:
        expect(notice).to_contain_text("New disks for nfs-1. Ask Anna, room 214.")
        assert violations(page) == []
        pictures(page, "maintenance-on")
        other = open_page(who="operator")
        other.goto("backups/?q=plant-unused")
        expect(other.locator("#maintenance-notice")).to_contain_text("set by administrator: New disks")
        other.get_by_label("More for plant-unused").click()
        expect(other.get_by_role("button", name="Back Up Now Maintenance")).to_be_disabled()
        assert violations(other) == []
    finally:
        page.get_by_role("button", name="End maintenance").click()
        expect(notice).to_be_empty()
