"""The whole way with a real IoTDB, all of it in the browser: registered, backed up under DDL, damaged, restored."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Open
from tests.e2e.ways import create_manual, find, press_ok, row, wait_for_status
from tests.engine.iotdb_writers import Writers, require_acknowledged, require_base
from tests.servers.iotdb import ROOT_PASSWORD, require
from tests.servers.iotdb_metadata import inventory
from tests.servers.iotdb_scripts import ScriptedIoTDB

pytestmark = [pytest.mark.browser, pytest.mark.server]
SECONDS = 240_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ScriptedIoTDB]:
    """A real server with metadata of every kind, started and stopped by the scripts of its home."""
    require()
    home = tmp_path / "iotdb"
    home.mkdir()
    with ScriptedIoTDB.prepare(home).serving() as server:
        yield server


def register(page: Page, server: ScriptedIoTDB) -> None:
    """Register the cluster, its node and the account by which it is asked, and let both be checked."""
    page.goto("clusters/new/")
    page.get_by_label("Name").fill("real")
    press_ok(page)
    page.get_by_label("Name").fill("node1")
    page.locator("#id_home").fill(str(server.home))
    page.get_by_label("RPC address").fill("127.0.0.1")
    page.get_by_label("RPC port").fill(str(server.rpc_port))
    page.get_by_role("radio", name="IoTDB's own scripts").check()
    press_ok(page)
    page.get_by_role("link", name="Edit IoTDB", exact=True).click()
    page.get_by_label("IoTDB user").fill("root")
    page.get_by_label("Password", exact=True).fill(ROOT_PASSWORD)
    press_ok(page)
    page.get_by_role("button", name="Check IoTDB", exact=True).click()
    expect(page.locator(".service-check")).to_contain_text("Running", timeout=60_000)


def damage(server: ScriptedIoTDB) -> None:
    """Take the schema away as a power cut might; the server comes up and says Running, and has no series."""
    server.end()
    time.sleep(1)
    shutil.rmtree(server.home / "data/datanode/consensus/schema_region")


def test_backed_up_under_ddl_damaged_and_restored_on_the_pages(
    page: Page, open_page: Open, server: ScriptedIoTDB
) -> None:
    register(page, server)
    before = inventory(server, data=False)
    create_manual(page, "e2e-real", "real")
    writers = Writers(server)
    writers.start()
    find(page, "e2e-real")
    began = time.time()
    page.get_by_label("More for e2e-real").click()
    row(page, "e2e-real").locator(".menu-list").get_by_text("Back Up Now", exact=True).click()
    wait_for_status(page, "e2e-real", "Successful")
    writers.stop()
    damage(server)

    restorer = open_page(who="restore-administrator")
    find(restorer, "e2e-real")
    restorer.get_by_role("link", name="e2e-real", exact=True).click()
    newest = restorer.locator("tr[id^=run-]").first
    newest.get_by_role("button", name=re.compile("^Restore")).first.click()
    restorer.wait_for_url(re.compile(r"/restorations/\d+/"))
    restorer.get_by_role("link", name="Start", exact=True).click()
    restorer.get_by_role("dialog").get_by_role("button", name="Start", exact=True).click()
    expect(restorer.get_by_text("waits for a decision")).to_be_visible(timeout=SECONDS)
    restorer.get_by_role("link", name=re.compile("^Confirm")).click()
    dialog = restorer.get_by_role("dialog")
    expect(dialog).to_contain_text("Every change to the metadata of real after")
    dialog.get_by_label("Type real to confirm").fill("real")
    dialog.get_by_role("button", name="Stop IoTDB and restore").click()
    expect(restorer.locator("#r-state")).to_contain_text("Successful", timeout=SECONDS)
    expect(restorer.locator(".steps li.failed")).to_have_count(0)

    # What was acknowledged before the copy began is there, passwords too, and new DDL and data are taken.
    require_acknowledged(server, writers.acknowledged, began)
    require_base(server, before)
