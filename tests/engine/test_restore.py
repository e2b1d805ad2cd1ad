"""A restoration from click to result: the real sample home and worker code, stand-ins for the servers."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from storage import registry
from tasks import services
from tasks.audit import CONSOLE
from tasks.engine import kinds
from tasks.engine.restore import control
from tasks.engine.snapshot import scratch_directory
from tasks.errors import Refused
from tasks.models import BackupTask, Node, Restoration, Run
from tasks.states import Control, RunState
from tests.engine.kit import files_below, log_of, run_now
from tests.engine.remote import FaultyRemote
from tests.engine.restore_kit import (
    IDENTITY,
    MAINS,
    Confirming,
    add_node,
    begin_restoration,
    damage,
    edit,
    kill_all,
    leftovers,
    picture,
    quick_stand_ins,  # noqa: F401
    restoration_of_set,  # noqa: F401
    restore,
    run_with_set,  # noqa: F401
    running,
    running_node,  # noqa: F401
    start_all,
    steps_of,
    wait_for,
)

pytestmark = pytest.mark.django_db(transaction=True)


# --- It goes well -----------------------------------------------------------------------------------------------------
def test_what_was_lost_is_back_and_what_was_there_is_kept(restoration: Restoration, sample_home: Path) -> None:
    good = picture(sample_home)
    damage(sample_home)
    run = restore(restoration)
    assert run.state == RunState.WARNINGS, log_of(run)
    assert "IoTDB itself could not be asked, because service IoTDB has no IoTDB user in the console" in run.reason
    assert picture(sample_home) == good
    assert set(steps_of(run).values()) == {"done"}
    assert running(sample_home) == set(MAINS)
    rows = list(run.safety_copies.all())
    assert len([one for one in rows if one.kept and one.swapped_at and one.keep_until and one.size]) == 6
    kept = {str(Path(one.original).relative_to(sample_home)): Path(one.path) for one in rows}
    assert (kept["data/datanode/system"] / "newer").exists()
    assert not (kept["data/datanode/consensus"] / "schema_region").exists()
    assert len(leftovers(sample_home)) == 6
    with pytest.raises(Refused, match="cannot run again"):
        services.start_restoration(CONSOLE, restoration, timezone.now())


def test_the_loss_is_said_before_anybody_confirms(restoration: Restoration) -> None:
    Restoration.objects.update(taken_at=timezone.now() - timedelta(hours=3))
    restoration.refresh_from_db()
    said: list[dict[str, Any]] = []
    restore(restoration, before=lambda: said.append(Run.objects.latest("pk").parameters["loss"]))
    assert 10790 < said[0]["seconds"] < 10900
    assert said[0]["known"] is False
    assert said[0]["sentences"][0].startswith("Every change to the metadata of plant after ")
    assert "(3 h)" in said[0]["sentences"][0]
    assert "no IoTDB user" in said[0]["why"]


def test_a_set_on_another_host_waits_in_the_spool_and_leaves_it(
    make_task: Any,
    node: Node,
    storage_path: Path,
    tmp_path: Path,
    sample_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    far = FaultyRemote(tmp_path / "far-away")
    registry.all_path_types()
    monkeypatch.setitem(registry._TYPES, far.name, far)
    set_run = run_now(make_task(path_type="Faulty"))
    good = picture(sample_home)
    damage(sample_home)
    run = restore(services.restore_from_run(CONSOLE, set_run, timezone.now()))
    assert run.state == RunState.WARNINGS, log_of(run)
    assert picture(sample_home) == good
    assert (files_below(Path(scratch_directory())), far.open_connections) == ([], 0)


def test_a_node_that_was_wiped_is_restored_with_its_configuration(restoration: Restoration, sample_home: Path) -> None:
    good = picture(sample_home)
    kill_all(sample_home)
    conf = (sample_home / "conf/iotdb-system.properties").read_bytes()
    for name in ("data", "conf", "ext"):
        shutil.rmtree(sample_home / name)
    run = restore(restoration)
    assert run.state == RunState.WARNINGS, log_of(run)
    assert picture(sample_home) == good
    assert (sample_home / "conf/iotdb-system.properties").read_bytes() == conf
    assert "could not be compared with" in log_of(run)
    assert leftovers(sample_home) == []


def test_a_configuration_that_is_there_stays(restoration: Restoration, sample_home: Path) -> None:
    conf = sample_home / "conf/iotdb-system.properties"
    conf.write_text(conf.read_text() + "dn_thrift_max_frame_size=1\n")
    run = restore(restoration)
    assert run.state == RunState.WARNINGS, log_of(run)
    assert conf.read_text().endswith("dn_thrift_max_frame_size=1\n")
    assert "conf of node node1 is not replaced; it differs from the set in iotdb-system.properties." in log_of(run)


@pytest.fixture
def homes(service: Any, sample_home: Path, tmp_path: Path) -> Iterator[list[Path]]:
    """The homes of two nodes that run."""
    found = [sample_home, tmp_path / "second-home"]
    shutil.copytree(sample_home, found[1], symlinks=True)
    edit(found[1], IDENTITY, "data_node_id=1", "data_node_id=2")
    for number, home in enumerate(found, 1):
        add_node(service, f"node{number}", home)
    yield found
    for home in found:
        kill_all(home)


def test_all_nodes_of_a_service_come_back_together(
    homes: list[Path], task: BackupTask, storage_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[tuple[str, str, str]] = []
    real = control.Node.order

    def note(self: control.Node, verb: str, role: str) -> None:
        order.append((verb, role, self.target.name))
        real(self, verb, role)

    monkeypatch.setattr(control.Node, "order", note)
    set_run = run_now(task)
    good = [picture(home) for home in homes]
    damage(homes[0])
    (homes[1] / "data/confignode/system/newer").touch()
    run = restore(services.restore_from_run(CONSOLE, set_run, timezone.now()))
    assert run.state == RunState.WARNINGS, log_of(run)
    assert [picture(home) for home in homes] == good
    assert [(verb, role) for verb, role, _ in order] == [
        *[("stop", "DataNode")] * 2,
        *[("stop", "ConfigNode")] * 2,
        *[("start", "ConfigNode")] * 2,
        *[("start", "DataNode")] * 2,
    ]


def test_one_node_that_does_not_come_up_takes_all_back(homes: list[Path], task: BackupTask, storage_path: Path) -> None:
    sign = homes[1] / "data/datanode/system/do-not-start"
    sign.touch()
    set_run = run_now(task)
    sign.unlink()
    damage(homes[0])
    before = [picture(home) for home in homes]
    run = restore(services.restore_from_run(CONSOLE, set_run, timezone.now()))
    assert run.state == RunState.ROLLED_BACK, log_of(run)
    assert "The DataNode of node2 ended after its start." in run.reason
    assert [picture(home) for home in homes] == before
    assert [running(home) for home in homes] == [set(MAINS)] * 2
    assert [leftovers(home) for home in homes] == [[], []]


def test_a_link_to_another_disk_stays_a_link(restoration: Restoration, sample_home: Path, tmp_path: Path) -> None:
    system = sample_home / "data/datanode/system"
    elsewhere = tmp_path / "disk" / "system"
    elsewhere.parent.mkdir()
    system.rename(elsewhere)
    system.symlink_to(elsewhere)
    (elsewhere / "newer").touch()
    run = restore(restoration)
    assert run.state == RunState.WARNINGS, log_of(run)
    assert system.is_symlink()
    assert not (elsewhere / "newer").exists()
    assert [path.name.split(".")[1][:11] for path in elsewhere.parent.iterdir() if "." in path.name] == ["pre-restore"]


# --- Confirm, stop ----------------------------------------------------------------------------------------------------
def test_nobody_confirms(restoration: Restoration, sample_home: Path, settings: Any) -> None:
    settings.RESTORE_CONFIRM_SECONDS = 1
    before = picture(sample_home)
    lease = begin_restoration(restoration)
    kinds.execute(lease)
    run = Run.objects.get(pk=lease.run_id)
    assert (run.state, picture(sample_home)) == (RunState.STOPPED, before)
    assert run.reason == "Nobody confirmed it within 1 s. Press Retry. Nothing was changed."
    assert steps_of(run)["confirm"] == "failed"


def test_stop_while_it_waits_changes_nothing(restoration: Restoration, sample_home: Path) -> None:
    before = picture(sample_home)
    lease = begin_restoration(restoration)

    def stop() -> None:
        wait_for(lambda: steps_of(Run.objects.get(pk=lease.run_id)).get("confirm") == "now")
        services.stop_run(CONSOLE, Run.objects.get(pk=lease.run_id), timezone.now())
        connections.close_all()

    thread = threading.Thread(target=stop)
    thread.start()
    kinds.execute(lease)
    thread.join()
    run = Run.objects.get(pk=lease.run_id)
    assert (run.state, picture(sample_home)) == (RunState.STOPPED, before)
    assert run.reason.endswith("Nothing was changed.")


def test_by_hand_the_console_waits_for_what_people_do(restoration: Restoration, sample_home: Path) -> None:
    Node.objects.update(control=Control.HAND)
    good = picture(sample_home)
    damage(sample_home)
    told: list[str] = []
    lease = begin_restoration(restoration)

    def text_of(key: str) -> str:
        steps = Run.objects.get(pk=lease.run_id).steps
        return next((step["text"] for step in steps if step["key"] == key and step["state"] == "now"), "")

    def person() -> None:
        wait_for(lambda: text_of("stop").startswith("Stop the DataNode"))
        told.append(text_of("stop"))
        kill_all(sample_home)
        wait_for(lambda: text_of("start").startswith("Start the"))
        told.append(text_of("start"))
        start_all(sample_home)
        connections.close_all()

    thread = threading.Thread(target=person)
    thread.start()
    with Confirming(lease.run_id):
        kinds.execute(lease)
    thread.join()
    run = Run.objects.get(pk=lease.run_id)
    assert run.state == RunState.WARNINGS, log_of(run)
    assert told[0] == "Stop the DataNode on node1 now. The console waits for it."
    assert told[1].startswith("Start the ConfigNode on node1, the DataNode on node1 now")
    assert picture(sample_home) == good


def test_nobody_stops_it_by_hand(restoration: Restoration, sample_home: Path, settings: Any) -> None:
    Node.objects.update(control=Control.HAND)
    before = picture(sample_home)

    def shorten() -> None:
        settings.RESTORE_CONFIRM_SECONDS = 1

    run = restore(restoration, before=shorten)
    # It runs still, and no directory was moved: there is nothing that would have to be stopped for the way back.
    assert run.state == RunState.ROLLED_BACK, log_of(run)
    assert "The DataNode of node1 still runs after 1 s" in run.reason
    assert (picture(sample_home), running(sample_home)) == (before, set(MAINS))
