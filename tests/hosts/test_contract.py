"""What every host shows alike: this machine, and a real OpenSSH server as an account of its own and by sudo."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.hosts import Host
from tests.hosts.contract_kit import (
    host_that_is_reached,  # noqa: F401
    number_of,
    place_on_the_host,  # noqa: F401
    reached_host,  # noqa: F401
)
from tests.servers.sshaccounts import accounts, openssh
from tests.servers.unixkit import wait_until

__all__ = ["accounts", "openssh"]
pytestmark = [pytest.mark.server, pytest.mark.xdist_group("openssh")]
ODD = "na me \udcff ü'\"$x\n"


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
