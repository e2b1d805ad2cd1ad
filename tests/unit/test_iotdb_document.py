"""``inventory.json``: JSON and lines at once, whole or refused."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tasks.iotdb.base import Summary
from tasks.iotdb.document import BadInventory, Writer, read

SUMMARY = Summary(version="2.0.1-beta", counts={"series": 2})
OBJECTS = [{"type": "series", "path": "root.a.b"}, {"type": "series", "path": "root.a.`c d`", "tags": {"k": "°"}}]


def write(path: Path, objects: list[dict[str, object]]) -> None:
    writer = Writer(path.parent)
    for one in objects:
        writer.add(json.dumps(one).encode())
    writer.finish(path, {"cluster": "plant-east"}, SUMMARY)
    writer.close()


@pytest.mark.parametrize("objects", [[], OBJECTS[:1], OBJECTS])
def test_what_was_written_is_read_again_and_is_json_as_a_whole(
    tmp_path: Path, objects: list[dict[str, object]]
) -> None:
    path = tmp_path / "inventory.json"
    write(path, objects)
    assert json.loads(path.read_text())["objects"] == objects
    with path.open("rb") as file:
        head, found = read(file)
        assert list(found) == objects
    assert head.facts == {"cluster": "plant-east"}
    assert head.summary == SUMMARY


def test_only_this_account_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "inventory.json"
    write(path, OBJECTS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "inventory.json"
    path.write_text("somebody's")
    with pytest.raises(FileExistsError):
        write(path, OBJECTS)
    assert path.read_text() == "somebody's"


@pytest.mark.parametrize("kept", range(0, 100, 7))
def test_one_that_is_cut_short_is_refused_wherever_it_is_cut(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "inventory.json"
    write(path, OBJECTS)
    data = path.read_bytes()
    cut = data[: (len(data) - 4) * kept // 100]
    with pytest.raises(BadInventory):
        list(read(cut.splitlines(keepends=True))[1])


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"format":"other","version":1,"objects":[', '{"format":"backup-console-inventory"', "\0"]
)
def test_a_file_that_is_no_inventory_is_refused(text: str) -> None:
    with pytest.raises(BadInventory):
        read([text.encode()])
