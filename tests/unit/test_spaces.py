"""The room at destinations on record: who reads it, its alarm, whose it is, and when it is forgotten."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from storage.base import Space
from storage.registry import all_path_types, get_path_type
from tasks import alarms, services
from tasks.audit import CONSOLE
from tasks.engine import dispatch, spaces
from tasks.engine.spaces import EVERY, Place, record, watch
from tasks.models import Alarm, BackupTask, Cluster, DestinationSpace, SpaceDay
from tasks.services.tasks import TaskDraft
from tasks.space import Trend
from tests.conftest import MakeTask

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 20, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
GB = 10**9
SFTP = {"server_ip": "10.20.4.18", "port": 22, "username": "svc", "shared_path": "/backup/iotdb", "host_key": "k"}
NFS = {"server_ip": "10.50.1.20", "shared_path": "/export/iotdb"}
HDFS = {"name_service": "hacluster", "active_ip": "10.1.1.1", "standby_ip": "10.1.1.2", "target_path": "/backup"}


@pytest.fixture(autouse=True)
def _limits(settings: Any) -> None:
    settings.FREE_SPACE_FLOOR, settings.SPACE_LOW_PERCENT, settings.SPACE_LOW_DAYS = GB, 5, 14


@pytest.fixture
def sftp(make_task: MakeTask) -> BackupTask:
    return make_task("east-daily", path_type="SFTP", destination=SFTP)


def read(task: BackupTask, free: float | None, at: datetime = NOW, total: float = 100) -> DestinationSpace:
    """Record what a run of ``task`` read, in GB."""
    space = None if free is None else Space(int(free * GB), int(total * GB))
    return record(Place.of(task.path_type, task.destination), space, at, task.pk)


def low(**fields: Any) -> list[Alarm]:
    return list(alarms.uncleared().filter(code="space-low", **fields))


# --- Which destination it is ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path_type", "parameters", "title"),
    [
        ("SFTP", SFTP, "10.20.4.18 /backup/iotdb"),
        ("CIFS", SFTP, "10.20.4.18 /backup/iotdb"),
        ("NFS", NFS, "10.50.1.20 /export/iotdb"),
        ("RemoteHDFS", HDFS, "hacluster/backup"),
    ],
)
def test_the_same_parameters_are_the_same_destination(path_type: str, parameters: dict[str, Any], title: str) -> None:
    here = Place.of(path_type, parameters)
    assert (here.label, here.own) == (title, False)
    assert Place.of(path_type, {**parameters, "copies": 9, "read_back": False, "host_key": "another"}) == here
    for name in parameters.keys() - {"host_key"}:
        assert Place.of(path_type, {**parameters, name: "other"}).key != here.key, name


def test_no_path_type_tells_destinations_apart_by_a_secret() -> None:
    for path_type in all_path_types():
        assert not set(path_type.location_fields) & set(path_type.secret_fields), path_type.name


def test_local_dir_is_the_directory_on_this_host(settings: Any, tmp_path: Path) -> None:
    settings.DATA_STORAGE_PATH = tmp_path / "one"
    here = Place.of("LocalDir", {})
    assert (here.label, here.own) == (f"LocalBackup on {settings.HOST_NAME}", True)
    # A run looks the directory up when it begins, and hands it on.
    assert Place.of("LocalDir", get_path_type("LocalDir").prepare({})) == here
    settings.DATA_STORAGE_PATH = tmp_path / "two"
    assert Place.of("LocalDir", {}).key != here.key


# --- Readings -----------------------------------------------------------------------------------------------------
def test_two_tasks_share_a_destination(make_task: MakeTask, sftp: BackupTask) -> None:
    other = make_task(path_type="SFTP", destination={**SFTP, "ip_mode": "ipv4"})
    row = read(sftp, 60, NOW - timedelta(hours=3))
    assert read(other, 59).pk == row.pk
    row.refresh_from_db()
    assert (row.free_bytes, row.total_bytes, row.used_bytes) == (59 * GB, 100 * GB, 41 * GB)
    assert (row.read_at, row.read_by, row.path_type) == (NOW, other, "SFTP")
    assert set(row.tasks.all()) == {sftp, other}


def test_one_reading_a_day_is_kept_and_old_ones_go(sftp: BackupTask) -> None:
    for ago in (500, 2, 1):
        read(sftp, 60, NOW - ago * DAY)
    read(sftp, 50, NOW - timedelta(hours=1))
    read(sftp, 40)
    days = SpaceDay.objects.values_list("day", "free_bytes")
    assert [(str(day), free // GB) for day, free in days] == [
        ("2026-06-18", 60),
        ("2026-06-19", 60),
        ("2026-06-20", 40),
    ]


def test_days_left_come_from_the_days(sftp: BackupTask) -> None:
    for ago in range(9, -1, -1):
        row = read(sftp, 50 + ago, NOW - ago * DAY)
    assert (row.trend, row.pace, row.full_at) == (Trend.GROWING, GB, NOW + 50 * DAY)
    assert not row.low and not low()


def test_what_is_not_told_is_unknown(sftp: BackupTask) -> None:
    row = read(sftp, None)
    assert (row.free_bytes, row.total_bytes, row.used_bytes) == (None, None, None)
    assert (row.trend, row.full_at, row.low) == (Trend.UNKNOWN, None, False)
    assert not SpaceDay.objects.exists()


# --- The alarm ----------------------------------------------------------------------------------------------------
def test_low_room_is_an_alarm_with_figures_and_cure(sftp: BackupTask) -> None:
    for ago in range(4, -1, -1):
        row = read(sftp, 12 + ago, NOW - ago * DAY)
    alarm = low()[0]
    assert row.low
    assert alarm.place == "10.20.4.18 /backup/iotdb"
    assert alarm.cluster == sftp.cluster
    assert alarm.cause.startswith(
        "12.0 GB of 100 GB are free. It grows by 1.00 GB a day and is full in 12 days, at 2026-"
    )
    assert "Maximum Number of Backup Copies" in alarm.cure
    assert alarm.link == "/backups/?path=SFTP&q=10.20.4.18"


def test_it_clears_by_itself(sftp: BackupTask) -> None:
    read(sftp, 4)
    assert low()
    read(sftp, 5.2, NOW + timedelta(hours=1))
    assert low(), "so little more is not enough"
    read(sftp, 6, NOW + timedelta(hours=2))
    assert not low()
    assert Alarm.objects.get().cleared_by == "console"


def test_below_the_floor_nothing_starts(sftp: BackupTask) -> None:
    read(sftp, 0.5, total=1)
    assert "Backups need at least 1.00 GB to stay free, and do not start." in low()[0].cause


def test_when_nothing_is_told_any_more_nothing_is_claimed(sftp: BackupTask) -> None:
    read(sftp, 1.5)
    assert low()
    assert not read(sftp, None, NOW + DAY).low
    assert not low()


def test_what_several_clusters_share_belongs_to_none(make_task: MakeTask, sftp: BackupTask) -> None:
    other = make_task(cluster=Cluster.objects.create(name="west"), path_type="SFTP", destination=SFTP)
    read(other, 60)
    read(sftp, 3)
    assert low()[0].cluster is None


# --- The tick -----------------------------------------------------------------------------------------------------
def test_the_tick_reads_the_console_s_own_disks(storage_path: Path, task: BackupTask, settings: Any) -> None:
    dispatch.tick(NOW)
    row = DestinationSpace.objects.get()
    assert (row.own, row.path_type, row.read_by) == (True, "LocalDir", None)
    assert row.total_bytes and row.free_bytes is not None
    task.refresh_from_db()
    assert task.space == row


def test_a_disk_of_its_own_for_the_data_stands_apart(
    storage_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spaces, "_device", lambda path: 1 if path == Path(settings.DATA_DIR) else 2)
    settings.SPACE_LOW_PERCENT = 100
    assert watch(NOW) == 2
    data = DestinationSpace.objects.get(path_type="")
    assert data.label == f"Console data on {settings.HOST_NAME}"
    alarm = low(subject=f"space {data.pk}")[0]
    assert str(settings.DATA_DIR) in alarm.cure
    assert alarm.link == "/#space"


def test_it_is_read_every_ten_minutes_only(storage_path: Path) -> None:
    assert watch(NOW) == 1
    assert watch(NOW + EVERY - timedelta(seconds=1)) == 0
    assert watch(NOW + EVERY) == 1
    assert watch(NOW - DAY) == 1, "a clock that was set back"


def test_a_file_system_that_hangs_holds_nobody_up(
    storage_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    answer, asked = threading.Event(), []

    def hangs(path: Path) -> None:
        asked.append(path)
        answer.wait(30)

    monkeypatch.setattr(spaces, "room", hangs)
    monkeypatch.setattr(spaces, "PATIENCE", 0.01)
    try:
        watch(NOW)
        watch(NOW + EVERY)
        assert len(asked) == 2, "the disk of LocalDir and that of the data, once each"
        assert DestinationSpace.objects.get(path_type="LocalDir").free_bytes is None
    finally:
        answer.set()
        for thread in spaces._asked.values():
            thread.join()


def test_a_data_storage_path_that_was_changed_takes_its_tasks_along(
    storage_path: Path, task: BackupTask, settings: Any
) -> None:
    watch(NOW)
    first = DestinationSpace.objects.get()
    settings.DATA_STORAGE_PATH = storage_path / "other"
    watch(NOW + EVERY)
    task.refresh_from_db()
    assert task.space_id != first.pk
    assert not DestinationSpace.objects.filter(pk=first.pk).exists()


def test_a_place_where_nobody_stores_is_forgotten(storage_path: Path, sftp: BackupTask) -> None:
    read(sftp, 3)
    watch(NOW)
    assert low(subject__startswith="space", place__startswith="10.20")
    BackupTask.objects.filter(pk=sftp.pk).update(deleted_at=NOW)
    watch(NOW + EVERY)
    assert not low(place__startswith="10.20")
    assert not DestinationSpace.objects.filter(path_type="SFTP").exists()


# --- A task that is configured to another place -----------------------------------------------------------------------
@pytest.mark.parametrize(("changed", "kept"), [({"server_ip": "10.20.4.19"}, False), ({"read_back": False}, True)])
def test_another_destination_has_another_room(changed: dict[str, Any], kept: bool, sftp: BackupTask) -> None:
    row = read(sftp, 60)
    draft = TaskDraft(
        name=sftp.name,
        cluster=sftp.cluster,
        mode=sftp.mode,
        path_type="SFTP",
        copies=3,
        destination={**SFTP, **changed},
    )
    services.configure_task(CONSOLE, sftp, 1, draft, NOW)
    sftp.refresh_from_db()
    assert sftp.space == (row if kept else None)
