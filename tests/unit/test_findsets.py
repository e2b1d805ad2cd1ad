"""Finding sets by names and manifests: what is listed, as what, and in which order."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from storage.localdir import LocalDirStore
from storage.registry import get_path_type
from tasks.engine.archive.blocks import Damage
from tasks.engine.archive.manifest import Totals, head_line
from tasks.findsets import HEAD_LIMIT, NO_ARCHIVE, NO_MANIFEST, FoundSet, SourcePath, describe, index_of, split_path

BERLIN = ZoneInfo("Europe/Berlin")
DAILY = "daily_20261101000000"


def archive(root: Path, directory: str, name: str, content: bytes = b"x" * 100, **facts: Any) -> Path:
    """Put an archive there with a manifest beside it."""
    folder = root / directory
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    known = {"data_source": "iotdb-metadata", "task": "daily", "cluster": "plant", "version": "2.0.1-beta"}
    known |= {"service": "IoTDB", "executed_at": "2026-11-20T01:00:00+00:00", **facts}
    about = {"name": name, "size": len(content), "sha256": "ab" * 32}
    (folder / f"{name}.manifest.json").write_bytes(head_line(known, Totals(9, 8, 70), about) + b"\n]}\n")
    return folder / name


def found(root: Path, only: str = "") -> list[FoundSet]:
    store = LocalDirStore(root)
    return describe(store, index_of(store, lambda: None, only).sets, BERLIN, lambda: None)


def name_at(time: str, source: str = "IoTDB") -> str:
    return f"2.0.1-beta_{source}_{time}.tar.gz"


def test_sets_are_listed_newest_first_whatever_their_task(tmp_path: Path) -> None:
    for directory, time in ((DAILY, "20261120020000"), ("weekly_20260101000000", "20261121020000")):
        archive(tmp_path, directory, name_at(time))
    archive(tmp_path, DAILY, name_at("20261122020000"))
    assert [one.key for one in found(tmp_path)] == [
        f"{DAILY}/20261122020000",
        "weekly_20260101000000/20261121020000",
        f"{DAILY}/20261120020000",
    ]


def test_the_archives_of_one_run_are_one_set(tmp_path: Path) -> None:
    for service in ("IoTDB-1", "IoTDB"):
        archive(tmp_path, DAILY, name_at("20261120020000", service), service=service)
    (one,) = found(tmp_path)
    assert [file.service for file in one.files] == ["IoTDB", "IoTDB-1"]
    assert (one.task, one.cluster, one.version, one.size) == ("daily", "plant", "2.0.1-beta", 200)
    assert one.problem == ""
    assert {file.sha256 for file in one.files} == {"ab" * 32}


def test_the_moment_is_that_of_the_manifest_and_else_that_of_the_name(tmp_path: Path) -> None:
    archive(tmp_path, DAILY, name_at("20261120020000"))
    (one,) = found(tmp_path)
    assert one.taken_at == datetime(2026, 11, 20, 1, tzinfo=UTC)
    for path in (tmp_path / DAILY).glob("*.json"):
        path.unlink()
    (one,) = found(tmp_path)
    assert one.taken_at == datetime(2026, 11, 20, 2, tzinfo=BERLIN)


def test_the_longer_form_of_the_directory_is_understood_as_well(tmp_path: Path) -> None:
    archive(tmp_path, "daily_IoTDB_20261101000000", name_at("20261120020000"))
    assert [one.problem for one in found(tmp_path)] == [""]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_bytes(b"short"), "It is not whole: it has 5 bytes, its manifest says 100."),
        (lambda path: path.with_name(f"{path.name}.manifest.json").unlink(), NO_MANIFEST),
        (lambda path: path.unlink(), NO_ARCHIVE),
        (lambda path: path.with_name(f"{path.name}.manifest.json").write_text("{}"), "Its manifest is damaged."),
        (lambda path: path.with_name(f"{path.name}.manifest.json").write_bytes(b"\x00\n"), "Its manifest is damaged."),
    ],
)
def test_what_is_broken_is_listed_with_the_reason(spoil: Any, words: str, tmp_path: Path) -> None:
    spoil(archive(tmp_path, DAILY, name_at("20261120020000")))
    assert [one.problem for one in found(tmp_path)] == [words]


def test_what_another_data_source_made_is_said_to_be(tmp_path: Path) -> None:
    archive(tmp_path, DAILY, name_at("20261120020000"), data_source="hbase-metadata")
    assert "holds hbase-metadata" in found(tmp_path)[0].problem


def test_a_manifest_of_another_archive_is_no_proof(tmp_path: Path) -> None:
    first = archive(tmp_path, DAILY, name_at("20261120020000"))
    other = first.with_name(f"{name_at('20261121020000')}.manifest.json")
    other.write_bytes(first.with_name(f"{first.name}.manifest.json").read_bytes())
    (first.parent / name_at("20261121020000")).write_bytes(b"x" * 100)
    assert "Its manifest is that of" in found(tmp_path)[0].problem


def test_one_broken_archive_makes_the_set_unfit_and_names_the_service(tmp_path: Path) -> None:
    archive(tmp_path, DAILY, name_at("20261120020000"))
    archive(tmp_path, DAILY, name_at("20261120020000", "IoTDB-1"), service="IoTDB-1").write_bytes(b"")
    assert found(tmp_path)[0].problem.startswith("IoTDB-1: It is not whole")


def test_what_is_being_written_and_what_has_other_names_is_passed_over(tmp_path: Path) -> None:
    archive(tmp_path, DAILY, name_at("20261120020000"))
    folder = tmp_path / DAILY
    (folder / f".{name_at('20261123020000')}.partial-9").write_bytes(b"half")
    (folder / "readme.txt").write_text("hello")
    (tmp_path / "lost+found").mkdir()
    store = LocalDirStore(tmp_path)
    index = index_of(store, lambda: None)
    assert [one.time for one in index.sets] == ["20261120020000"]
    assert index.others == 1


def test_a_manifest_whose_first_line_never_ends_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = archive(tmp_path, DAILY, name_at("20261120020000"))
    path.with_name(f"{path.name}.manifest.json").write_bytes(b"[" * (HEAD_LIMIT + 100_000))
    assert found(tmp_path)[0].problem == "Its manifest is damaged."


def test_times_that_are_none_do_not_end_the_search(tmp_path: Path) -> None:
    path = archive(tmp_path, DAILY, name_at("99999999999999"), executed_at=None)
    assert found(tmp_path)[0].taken_at.year == 1970
    assert path.is_file()


def test_the_search_ends_where_the_check_raises(tmp_path: Path) -> None:
    archive(tmp_path, DAILY, name_at("20261120020000"))

    def check() -> None:
        raise Damage("enough")

    with pytest.raises(Damage, match="enough"):
        index_of(LocalDirStore(tmp_path), check)


def test_nothing_is_written_by_a_search(tmp_path: Path) -> None:
    archive(tmp_path, DAILY, name_at("20261120020000"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    found(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_facts_that_are_no_object_are_damage(tmp_path: Path) -> None:
    path = archive(tmp_path, DAILY, name_at("20261120020000"))
    beside = path.with_name(f"{path.name}.manifest.json")
    head = json.loads(beside.read_bytes().split(b"\n")[0] + b"]}")
    text = json.dumps(head | {"facts": [1]}, separators=(",", ":"))[:-2]
    beside.write_text(f"{text}\n]}}\n")
    assert found(tmp_path)[0].problem == "Its manifest is damaged."


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/srv/backup", SourcePath("/srv/backup")),
        (f"/srv/backup/{DAILY}/", SourcePath("/srv/backup", DAILY)),
        (f"/srv/backup/{DAILY}/a_IoTDB_1.tar.gz", SourcePath("/srv/backup", DAILY, "a_IoTDB_1.tar.gz")),
        ("/a.tar.gz", SourcePath("/", "", "a.tar.gz")),
        (DAILY, SourcePath("/", DAILY)),
    ],
)
def test_a_path_is_split_into_root_directory_and_archive(path: str, parts: SourcePath) -> None:
    assert split_path(path) == parts


@pytest.mark.parametrize(
    ("name", "shown", "path"),
    [
        ("SFTP", "sftp://anna@10.20.4.18:22/srv/back%20up/x.tar.gz", "/srv/back up/x.tar.gz"),
        ("SFTP", "sftp://anna@[fd12::1]:22/srv/x", "/srv/x"),
        ("SFTP", "/srv/100%25/x", "/srv/100%25/x"),
        ("CIFS", r"\\10.20.4.18\share\iotdb\x.tar.gz", "/share/iotdb/x.tar.gz"),
        ("CIFS", "/share/iotdb", "/share/iotdb"),
        ("NFS", "10.20.4.18:/export/iotdb/x.tar.gz", "/export/iotdb/x.tar.gz"),
        ("NFS", "[fd12::1]:/export", "/export"),
        ("NFS", "/export/a:/b", "/export/a:/b"),
        ("RemoteHDFS", "hdfs://hacluster/backup/x.tar.gz", "/backup/x.tar.gz"),
        ("LocalDir", "/srv/storage/LocalBackup", "/srv/storage/LocalBackup"),
    ],
)
def test_a_backup_path_can_be_pasted_as_it_is_shown(name: str, shown: str, path: str) -> None:
    assert get_path_type(name).path_of(shown) == path
