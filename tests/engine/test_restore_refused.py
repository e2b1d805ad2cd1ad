"""What keeps a set from being restored is found before anything of the target is touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.engine.restore import looking
from tasks.models import Node, Restoration, Run, SafetyCopy
from tasks.states import RunState
from tests.engine.restore_kit import (
    IDENTITY,
    MAINS,
    damage,
    edit,
    leftovers,
    picture,
    quick_stand_ins,  # noqa: F401
    restoration_of_set,  # noqa: F401
    restore,
    run_with_set,  # noqa: F401
    running,
    running_node,  # noqa: F401
    steps_of,
)

pytestmark = pytest.mark.django_db(transaction=True)


def flip_a_bit(archive: Path, home: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)


def cut_short(archive: Path, home: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-1000])


def another_version(archive: Path, home: Path) -> None:
    (home / "lib").mkdir()
    (home / "lib" / "iotdb-server-2.0.2.jar").touch()


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
        (flip_a_bit, ": the archive is damaged"),
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
