"""A restoration from click to result, and back: the real sample home and worker code, stand-ins for the servers."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from storage import registry
from tasks import services
from tasks.audit import CONSOLE
from tasks.engine import dispatch, kinds
from tasks.engine.restore import changing, control, copies, looking, undo
from tasks.engine.snapshot import scratch_directory
from tasks.errors import Refused
from tasks.hosts import LocalHost
from tasks.models import BackupTask, Node, Restoration, Run, SafetyCopy
from tasks.states import Control, RunState
from tests.engine.kit import files_below, log_of, run_now
from tests.engine.remote import FaultyRemote
from tests.engine.restore_kit import (
    MAINS,
    SCHEMA,
    Confirming,
    add_node,
    begin_restoration,
    damage,
    kill_all,
    leftovers,
    picture,
    quick_stand_ins,  # noqa: F401
    restoration_of_set,  # noqa: F401
    restore,
    roll_back,
    run_with_set,  # noqa: F401
    running,
    running_node,  # noqa: F401
    start_all,
    steps_of,
    wait_for,
)
from tests.servers.unixkit import small_disk

pytestmark = pytest.mark.django_db(transaction=True)
IDENTITY = "data/datanode/system/system.properties"


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


# --- Refused before anything is touched -------------------------------------------------------------------------------
def flip_a_bit(archive: Path, home: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)


def cut_short(archive: Path, home: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-1000])


def another_version(archive: Path, home: Path) -> None:
    (home / "lib").mkdir()
    (home / "lib" / "iotdb-server-2.0.2.jar").touch()


def edit(home: Path, name: str, old: str, new: str) -> None:
    path = home / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def another_cluster(archive: Path, home: Path) -> None:
    edit(home, IDENTITY, "08533b3b-ffb9-4544-b1f4-05bad71040c6", "11111111-ffb9-4544-b1f4-05bad71040c6")


def another_id(archive: Path, home: Path) -> None:
    edit(home, IDENTITY, "data_node_id=1", "data_node_id=5")


def other_ports(archive: Path, home: Path) -> None:
    path = home / "conf/iotdb-system.properties"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("dn_internal_port")]
    path.write_text("\n".join([*lines, "dn_internal_port=999", ""]))


def another_node(archive: Path, home: Path) -> None:
    Node.objects.create(service=Node.objects.get().service, name="node2", home=str(home))


def no_command(archive: Path, home: Path) -> None:
    Node.objects.update(start_data_node="")


def within_one_another(archive: Path, home: Path) -> None:
    text = "cn_system_dir=data/confignode/consensus/system\n"
    path = home / "conf/iotdb-system.properties"
    path.write_text(path.read_text() + text)


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (flip_a_bit, "The archive is damaged"),
        (cut_short, "bytes"),
        (another_version, "Node node1 has IoTDB 2.0.2, the set is of 2.0.1-beta"),
        (another_cluster, "belongs to the cluster with the id 11111111-"),
        (another_id, "DataNode node1 has the id 5, in the set it has 1"),
        (other_ports, "dn_internal_port is 999 here"),
        (another_node, "The set holds nothing of node node2 of plant"),
        (no_command, "Node node1 has no command to start the DataNode"),
        (within_one_another, "lies within"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_refused_before_anything_is_touched(
    harm: Callable[[Path, Path], None], why: str, restoration: Restoration, set_run: Run, sample_home: Path
) -> None:
    damage(sample_home)
    harm(Path(set_run.files.get().path), sample_home)
    before = picture(sample_home)
    run = restore(restoration)
    assert run.state == RunState.FAILED
    assert why in run.reason
    assert run.reason.endswith("Nothing was changed.")
    assert picture(sample_home) == before
    assert running(sample_home) == set(MAINS)
    assert (SafetyCopy.objects.count(), leftovers(sample_home)) == (0, [])
    assert "failed" in steps_of(run).values()
    assert steps_of(run)["confirm"] == "skipped"


def test_every_difference_is_said_at_once(restoration: Restoration, sample_home: Path) -> None:
    for harm in (another_cluster, another_id, no_command):
        harm(Path(), sample_home)
    run = restore(restoration)
    assert all(word in run.reason for word in ("11111111-", "has the id 5", "no command to start"))


def test_a_full_disk_is_seen_before(restoration: Restoration, sample_home: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(looking, "SPARE", 1 << 62)
    run = restore(restoration)
    assert run.state == RunState.FAILED
    assert "Free space there" in run.reason


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


# --- The way back -----------------------------------------------------------------------------------------------------
@pytest.fixture
def bad_set(task: BackupTask, node: Node, storage_path: Path, sample_home: Path) -> Restoration:
    """A restoration of a set with which IoTDB does not start."""
    sign = sample_home / "data/datanode/system/do-not-start"
    sign.touch()
    run = run_now(task)
    sign.unlink()
    return services.restore_from_run(CONSOLE, run, timezone.now())


def test_a_failed_start_brings_back_what_was_there(bad_set: Restoration, sample_home: Path) -> None:
    (sample_home / "data/datanode/system/newer").touch()
    before = picture(sample_home)
    run = restore(bad_set)
    assert run.state == RunState.ROLLED_BACK, log_of(run)
    assert run.reason.startswith("The DataNode of node1 ended after its start.")
    assert "Rolled back: metadata as before." in run.reason
    assert picture(sample_home) == before
    assert running(sample_home) == set(MAINS)
    assert leftovers(sample_home) == []
    assert not any(one.kept for one in run.safety_copies.all())
    states = steps_of(run)
    assert (states["health"], states["compare"], states["back"], states["back-health"]) == (
        "failed",
        "skipped",
        "done",
        "done",
    )
    services.start_restoration(CONSOLE, bad_set, timezone.now())


def test_a_way_back_that_fails_is_unknown_until_somebody_rolls_back(
    bad_set: Restoration, sample_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = picture(sample_home)
    real = LocalHost.rename

    def rename(self: LocalHost, old: str, new: str) -> None:
        if ".pre-restore-" in old:
            raise PermissionError(13, "Permission denied", old)
        real(self, old, new)

    with monkeypatch.context() as patch:
        patch.setattr(LocalHost, "rename", rename)
        run = restore(bad_set)
    assert run.state == RunState.UNKNOWN, log_of(run)
    assert "The way back failed as well, so nobody knows what IoTDB holds now." in run.reason
    assert "Permission denied" in run.reason
    assert bad_set.last_state == RunState.UNKNOWN
    assert picture(sample_home) != before
    back = roll_back(bad_set)
    assert back.state == RunState.ROLLED_BACK, log_of(back)
    assert picture(sample_home) == before
    assert running(sample_home) == set(MAINS)
    assert leftovers(sample_home) == []


def test_stop_after_the_stop_of_iotdb_rolls_back(
    restoration: Restoration, sample_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = picture(sample_home)
    real = copies.swap_in

    def swap_in(row: SafetyCopy, host: Any) -> None:
        real(row, host)
        services.stop_run(CONSOLE, Run.objects.get(pk=row.run_id), timezone.now())
        time.sleep(1.5)  # until the keeper has heard of it

    monkeypatch.setattr(changing.copies, "swap_in", swap_in)
    run = restore(restoration)
    assert run.state == RunState.ROLLED_BACK, log_of(run)
    assert run.reason.startswith("Stopped by console")
    assert picture(sample_home) == before
    assert leftovers(sample_home) == []


def test_a_disk_that_fills_up_while_it_is_unpacked(
    restoration: Restoration, sample_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = picture(sample_home)
    real = LocalHost.write
    left = [20]

    def write(self: LocalHost, path: str, chunks: Any, mode: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device", path)
        real(self, path, chunks, mode)

    monkeypatch.setattr(LocalHost, "write", write)
    run = restore(restoration)
    assert run.state == RunState.ROLLED_BACK, log_of(run)
    assert "No space left on device" in run.reason
    assert picture(sample_home) == before
    assert leftovers(sample_home) == []


def test_a_safety_copy_that_somebody_removed_is_said(
    bad_set: Restoration, sample_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = undo.Undo._put_back

    def put_back(self: undo.Undo) -> str:
        for row in SafetyCopy.objects.filter(original__endswith="datanode/system"):
            shutil.rmtree(row.path, ignore_errors=True)
        return real(self)

    monkeypatch.setattr(undo.Undo, "_put_back", put_back)
    run = restore(bad_set)
    assert run.state == RunState.UNKNOWN
    assert "is not there any more. Find out who moved it; nothing else was removed." in run.reason


# --- Safety copies ----------------------------------------------------------------------------------------------------
def test_safety_copies_go_by_hand_or_by_their_age(restoration: Restoration, sample_home: Path) -> None:
    run = restore(restoration)
    dispatch.tick(timezone.now() + timedelta(days=13))
    assert len(leftovers(sample_home)) == 6
    services.remove_safety_copies(CONSOLE, run, "plant", timezone.now())
    dispatch.tick(timezone.now())
    assert leftovers(sample_home) == []
    assert run.safety_copies.filter(removed_at__isnull=False).count() == 6
    assert "was removed." in log_of(run)


def test_a_safety_copy_is_removed_after_its_days(restoration: Restoration, sample_home: Path) -> None:
    restore(restoration)
    dispatch.tick(timezone.now() + timedelta(days=14, minutes=1))
    assert leftovers(sample_home) == []


def test_what_cannot_be_removed_is_said_and_tried_again(
    restoration: Restoration, sample_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = restore(restoration)
    later = timezone.now() + timedelta(days=15)

    def refuse(self: LocalHost, path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    with monkeypatch.context() as patch:
        patch.setattr(LocalHost, "remove_tree", refuse)
        dispatch.tick(later)
    assert "could not be removed yet. Permission denied" in log_of(run)
    dispatch.tick(later + timedelta(minutes=30))
    assert len(leftovers(sample_home)) == 6
    dispatch.tick(later + timedelta(minutes=61))
    assert leftovers(sample_home) == []
    assert (sample_home / SCHEMA).exists()


@pytest.mark.server
def test_a_disk_of_the_node_that_is_really_full(
    restoration: Restoration, sample_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metadata on a small disk of its own, which something else fills after the look for room."""
    with ExitStack() as stack:
        if not stack.enter_context(small_disk(tmp_path / "small", 8)):
            no_mount()
        real = sample_home / "data/datanode/system"
        moved = tmp_path / "small" / "system"
        shutil.move(real, moved)
        real.symlink_to(moved)
        before = picture(sample_home) | picture_of(moved)
        place = changing.Changing._set_aside

        def set_aside(self: changing.Changing) -> str:
            with (tmp_path / "small" / "filler").open("wb") as filler, contextlib.suppress(OSError):
                while True:
                    filler.write(b"x" * 65536)
                    filler.flush()
            return place(self)

        monkeypatch.setattr(changing.Changing, "_set_aside", set_aside)
        monkeypatch.setattr(looking, "SPARE", 0)
        run = restore(restoration)
        assert run.state == RunState.ROLLED_BACK, log_of(run)
        assert "No space left on device" in run.reason
        assert picture(sample_home) | picture_of(moved) == before
        assert running(sample_home) == set(MAINS)
        kill_all(sample_home)


def picture_of(directory: Path) -> dict[str, Any]:
    """Return the contents below a directory."""
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def no_mount() -> None:
    """Say what lacks, and fail where that may not be."""
    lack = "mounting a small tmpfs needs root and the right to mount"
    if os.environ.get("CI") == "true":
        pytest.fail(lack)
    pytest.skip(lack)
