"""Every host is changed alike, and runs commands alike: this machine, and a real OpenSSH server."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.hosts import Host
from tests.hosts.contract_kit import (
    host_that_is_reached,  # noqa: F401
    number_of,
    place_on_the_host,  # noqa: F401
    reached_host,  # noqa: F401
)
from tests.patience import Stopwatch
from tests.servers.sshaccounts import accounts, openssh

__all__ = ["accounts", "openssh"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("openssh")]


# --- Changing -------------------------------------------------------------------------------------------------------
def test_a_file_is_written_whole_and_never_over_another(host: Host, place: Path) -> None:
    path, content = place / "new", os.urandom(5_000_000)
    host.write(str(path), (content[:10], content[10:3_000_000], memoryview(content)[3_000_000:]), 0o640)
    assert path.read_bytes() == content
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with pytest.raises(FileExistsError) as error:
        host.write(str(path), [b"other"], 0o600)
    assert number_of(error) == errno.EEXIST
    assert path.read_bytes() == content
    host.symlink(str(place / "elsewhere"), str(place / "link"))
    with pytest.raises(FileExistsError):
        host.write(str(place / "link"), [b"other"], 0o600)
    assert not (place / "elsewhere").exists()
    with pytest.raises(FileNotFoundError):
        host.write(str(place / "none/new"), [b""], 0o600)


def test_nothing_is_left_of_a_file_that_is_not_written_whole(host: Host, place: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield bytes(2_000_000)
        raise RuntimeError("the archive ends")

    with pytest.raises(RuntimeError):
        host.write(str(place / "new"), chunks(), 0o600)
    assert host.scan(str(place)) == []


def test_directories_and_attributes(host: Host, place: Path) -> None:
    sub = place / "sub"
    host.mkdir(str(sub), 0o777)
    assert stat.S_IMODE(sub.stat().st_mode) == 0o777
    with pytest.raises(FileExistsError):
        host.mkdir(str(sub))
    with pytest.raises(FileNotFoundError):
        host.mkdir(str(place / "none/sub"))
    own = sub.stat()
    host.set_attributes(str(sub), mode=0o2750, uid=own.st_uid, gid=own.st_gid, mtime=1_500_000_000)
    changed = sub.stat()
    assert (stat.S_IMODE(changed.st_mode), changed.st_mtime) == (0o2750, 1_500_000_000)
    host.set_attributes(str(sub), mode=0o700, uid=12345, gid=12345, mtime=1)
    assert sub.stat().st_uid == (12345 if host.spec.reach == "local" and not os.geteuid() else own.st_uid)


def test_a_rename_never_overwrites(host: Host, place: Path) -> None:
    (place / "old").mkdir()
    (place / "old/file").write_text("kept")
    host.rename(str(place / "old"), str(place / "new"))
    assert (place / "new/file").read_text() == "kept"
    (place / "empty").mkdir()
    for target in ("empty", "new"):
        with pytest.raises(FileExistsError) as error:
            host.rename(str(place / "new"), str(place / target))
        assert number_of(error) == errno.EEXIST
    (place / "one").write_text("one")
    (place / "two").write_text("two")
    (place / "dangling").symlink_to("nowhere")
    for name in ("two", "dangling"):
        with pytest.raises(FileExistsError):
            host.rename(str(place / "one"), str(place / name))
    assert (place / "two").read_text() == "two"
    with pytest.raises(FileNotFoundError):
        host.rename(str(place / "none"), str(place / "three"))


def test_a_tree_is_removed_and_links_are_not_followed(host: Host, place: Path) -> None:
    (place / "kept").mkdir()
    (place / "kept/file").touch()
    for name in ("tree", "tree/sub 1", "tree/sub 1/deep", "tree/sub 2"):
        host.mkdir(str(place / name))
    for number in range(100):
        host.write(str(place / f"tree/sub 1/deep/{number}"), [], 0o600)
    host.symlink("../kept", str(place / "tree/link"))
    host.remove_tree(str(place / "tree"))
    host.remove_tree(str(place / "tree"))
    assert {name for name, _ in host.scan(str(place))} == {"kept"}
    assert (place / "kept/file").exists()
    (place / "link").symlink_to("kept")
    with pytest.raises(NotADirectoryError):
        host.remove_tree(str(place / "link"))
    assert (place / "kept/file").exists()


# --- Commands -------------------------------------------------------------------------------------------------------
def test_a_command_tells_its_status_and_what_it_wrote(host: Host, place: Path) -> None:
    done = host.run(f"echo out; echo err >&2; touch '{place}/made'; exit 7", 20)
    assert (done.status, done.output) == (7, "out\nerr\n")
    owner = (place / "made").stat().st_uid
    assert owner == place.stat().st_uid
    assert host.run("cat", 20).output == ""
    assert host.run("this is ' no shell", 20).status != 0
    assert host.run("kill -9 $$", 20).status == 128 + 9


def test_only_the_end_of_a_long_output_is_kept(host: Host) -> None:
    done = host.run("seq 1 100000", 30)
    assert len(done.output) == 8192
    assert done.output.endswith("\n99999\n100000\n")


def test_what_a_command_leaves_running_is_not_waited_for_and_goes_on(host: Host, place: Path) -> None:
    begun = Stopwatch()
    done = host.run(f"(for i in 1 2 3 4; do sleep 0.5; echo alive; done; touch '{place}/late') & echo started", 20)
    assert (done.status, done.output) == (0, "started\n")
    assert begun.seconds < 1.9
    end = time.monotonic() + 15
    while not (place / "late").exists():
        assert time.monotonic() < end, "what was left running did not go on"
        time.sleep(0.1)


def test_a_command_that_takes_too_long(host: Host) -> None:
    begun = Stopwatch()
    with pytest.raises(TimeoutError):
        host.run("sleep 4", 1)
    assert begun.seconds < 3.5
    assert host.run("echo still there", 20).output == "still there\n"


def test_no_secret_of_the_console_is_in_the_environment_of_a_command(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUP_SECRET", "hidden from children")
    assert "hidden from children" not in host.run("env", 20).output
