"""Every host behaves the same: this machine, and a real OpenSSH server as an account of its own and by sudo."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.hosts import Host, HostSpec, connect
from tests.patience import Stopwatch
from tests.servers.sshaccounts import Accounts, accounts, openssh
from tests.servers.unixkit import wait_until

__all__ = ["accounts", "openssh"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("openssh")]
ODD = "na me \udcff ü'\"$x\n"


@pytest.fixture(params=["local", "ssh", "sudo", "sudo with a password"])
def reached(request: pytest.FixtureRequest, tmp_path: Path, accounts: Accounts) -> Iterator[tuple[Host, Path]]:
    """A host, and a directory there that belongs to its account."""
    user, sudo, above = {
        "local": ("", "", tmp_path),
        "ssh": (accounts.shell, "", accounts.own),
        "sudo": (accounts.free, accounts.iotdb, accounts.closed),
        "sudo with a password": (accounts.asked, accounts.iotdb, accounts.closed),
    }[request.param]
    spec = accounts.spec(user, sudo_user=sudo) if user else HostSpec()
    with connect(spec, "n1") as host:
        place = above / "place"
        host.mkdir(str(place))
        try:
            yield host, place
        finally:
            shutil.rmtree(place)


@pytest.fixture
def host(reached: tuple[Host, Path]) -> Host:
    return reached[0]


@pytest.fixture
def place(reached: tuple[Host, Path]) -> Path:
    return reached[1]


def number_of(error: pytest.ExceptionInfo[OSError]) -> int | None:
    assert error.value.filename
    return error.value.errno


# --- Looking --------------------------------------------------------------------------------------------------------
def test_names_are_told_with_what_they_are(host: Host, place: Path) -> None:
    (place / "file").write_bytes(b"12345")
    (place / "file").chmod(0o640)
    os.utime(place / "file", (1_600_000_000, 1_600_000_000))
    (place / "sub").mkdir()
    (place / "link").symlink_to("file")
    (place / ODD).touch()
    found = dict(host.scan(str(place)))
    assert set(found) == {"file", "sub", "link", ODD}
    file = found["file"]
    assert (stat.S_IFMT(file.mode), stat.S_IMODE(file.mode), file.size) == (stat.S_IFREG, 0o640, 5)
    assert file.mtime_ns == 1_600_000_000 * 10**9
    owner = (place / "file").stat()
    assert (file.uid, file.gid) == (owner.st_uid, owner.st_gid)
    assert stat.S_ISDIR(found["sub"].mode)
    assert stat.S_ISLNK(found["link"].mode)
    assert host.lstat(str(place / "file")) == file
    assert stat.S_ISLNK(host.lstat(str(place / "link")).mode)
    assert host.stat(str(place / "link")).size == 5
    assert host.readlink(str(place / "link")) == "file"


def test_a_directory_with_many_names(host: Host, place: Path) -> None:
    for number in range(1_234):
        (place / f"file {number}").touch()
    assert len(host.scan(str(place))) == 1_234


def test_what_is_not_there(host: Host, place: Path) -> None:
    missing = str(place / "nothing")
    for look in (host.stat, host.lstat, host.scan, host.open, host.readlink):
        with pytest.raises(FileNotFoundError) as error:
            look(missing)
        assert number_of(error) == errno.ENOENT
    assert host.realpath(missing) == missing


def test_what_the_account_may_not_read_is_no_empty_directory(host: Host, place: Path) -> None:
    if os.geteuid() == 0 and host.spec.reach == "local":
        with pytest.raises(NotADirectoryError):
            (place / "file").touch()
            host.scan(str(place / "file"))
        return
    for mode in (0o700, 0o744):
        (place / "closed").mkdir(exist_ok=True)
        (place / "closed/file").touch()
        shutil.chown(place / "closed", "root", "root")
        (place / "closed").chmod(mode)
        for look in (host.scan, lambda path: host.open(f"{path}/file")):
            with pytest.raises(PermissionError) as error:
                look(str(place / "closed"))
            assert number_of(error) == errno.EACCES


def test_paths_are_resolved_as_far_as_they_exist(host: Host, place: Path) -> None:
    (place / "real/deep").mkdir(parents=True)
    (place / "link").symlink_to("real")
    assert host.realpath(str(place / "link/deep")) == str(place / "real/deep")
    assert host.realpath(str(place / "link/new/newer")) == str(place / "real/new/newer")


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_001])
def test_files_are_read_whole(host: Host, place: Path, size: int) -> None:
    content = os.urandom(size)
    (place / "file").write_bytes(content)
    file = host.open(str(place / "file"))
    assert file.stat().size == size
    read = b"".join(iter(lambda: file.read(50_000), b""))
    assert read == content
    assert file.read(1) == b""
    file.close()


def test_a_file_that_grows_is_read_to_its_new_end(host: Host, place: Path) -> None:
    (place / "log").write_bytes(b"one")
    file = host.open(str(place / "log"))
    assert file.read(100) == b"one"
    with (place / "log").open("ab") as log:
        log.write(b" two")
    assert file.read(100) == b" two"
    file.close()


def test_only_regular_files_are_opened_and_a_pipe_is_not_waited_for(host: Host, place: Path) -> None:
    os.mkfifo(place / "pipe")
    (place / "link").symlink_to("/etc/passwd")
    (place / "sub").mkdir()
    for name, expected in (("pipe", errno.ENXIO), ("sub", errno.ENXIO), ("link", errno.ELOOP)):
        with pytest.raises(OSError) as error:
            host.open(str(place / name))
        assert number_of(error) == expected


def test_small_files_are_read_together_without_those_that_are_closed(host: Host, place: Path) -> None:
    for number in range(70):
        (place / str(number)).write_text(f"content {number}")
    (place / "large").write_bytes(bytes(100_000))
    wanted = [*(str(place / str(number)) for number in range(70)), str(place / "none"), str(place / "large")]
    found = dict(host.contents(wanted))
    assert found.pop(wanted[-1]) == bytes(100_000)
    assert found == {str(place / str(number)): f"content {number}".encode() for number in range(70)}


def test_several_files_are_opened_in_their_order_until_one_cannot_be(host: Host, place: Path) -> None:
    contents = {
        str(place / f"{number:03}"): os.urandom(400_000 if number % 20 == 9 else number) for number in range(90)
    }
    for path, content in contents.items():
        Path(path).write_bytes(content)
    for path, file in zip(contents, host.opened(contents), strict=True):
        assert file.stat().size == len(contents[path])
        assert b"".join(iter(lambda file=file: file.read(100_000), b"")) == contents[path]
        file.close()
    names = list(contents)
    os.unlink(names[50])
    os.unlink(names[60])
    (place / "060").symlink_to("061")
    for broken, expected in ((50, FileNotFoundError), (60, OSError)):
        opened = host.opened(names[broken - 3 :])
        for path in names[broken - 3 : broken]:
            file = next(opened)
            assert b"".join(iter(lambda file=file: file.read(500_000), b"")) == contents[path]
            file.close()
        with pytest.raises(expected):
            next(opened)
    assert host.lstat(names[0]).size == 0


def test_the_clock(host: Host) -> None:
    assert abs(host.now() - time.time()) < 5


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_ports_on_which_something_listens(host: Host, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listener:
        port = listener.getsockname()[1]
        assert port in host.listening_ports()
    assert port not in host.listening_ports()


def test_processes_with_their_command_lines(host: Host) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "a mark"])
    try:
        # For a moment after its start a process has no command line yet.
        wait_until(lambda: bool(Path(f"/proc/{sleeper.pid}/cmdline").read_bytes()))
        found = {process.pid: process.command for process in host.processes()}
    finally:
        sleeper.kill()
        sleeper.wait(10)
    assert found[sleeper.pid] == (sys.executable, "-c", "import time; time.sleep(60)", "a mark")


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
