"""The parts of hosts that need no machine: tables of the kernel, errors as numbers, sentences, doubt about times."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from storage.errors import Unreachable
from storage.sftp.commands import Ended
from storage.sftp.wire import Code, Refusal
from tasks.hosts import Done, HostSpec, proc, remarks, words
from tasks.sources.iotdb_groups import grows
from tasks.sources.listing import YOUNG, Entry, doubt

TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1A0B 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 24712 1 0000 100 0 0 10 0
   1: 0100007F:29D6 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 24713 1 0000 20 4 30 10 -1
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11111 1 0000 100 0 0 10 0
"""
TABLE6 = """  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:2A06 00000000000000000000000000000000:0000 0A 00000000:00000000
"""
SPEC = HostSpec("ssh", "10.1.2.3", 22, "ops", sudo_user="iotdb")
NOW = 1_700_000_000.4


# --- Tables of the kernel -------------------------------------------------------------------------------------------
def test_ports_are_those_in_state_listen() -> None:
    assert proc.listening(TABLE) == {6667, 22}
    assert proc.listening(TABLE6) == {10758}
    assert proc.listening("") == proc.listening("nonsense\nmore nonsense\n") == set()


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"java\0-Dx=1\0Main\0", ("java", "-Dx=1", "Main")),
        (b"a title", ("a title",)),
        (b"", ()),
        (b"odd\0\xff\0\0", ("odd", "\udcff", "")),
    ],
)
def test_words_of_a_command_line(line: bytes, command: tuple[str, ...]) -> None:
    assert proc.command_of(line) == command


# --- Errors ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("code", "number", "kind"),
    [
        (Code.NO_SUCH_FILE, errno.ENOENT, FileNotFoundError),
        (Code.NO_SUCH_PATH, errno.ENOENT, FileNotFoundError),
        (Code.PERMISSION_DENIED, errno.EACCES, PermissionError),
        (Code.FILE_ALREADY_EXISTS, errno.EEXIST, FileExistsError),
        (Code.NO_SPACE, errno.ENOSPC, OSError),
        (Code.QUOTA_EXCEEDED, errno.EDQUOT, OSError),
        (Code.WRITE_PROTECT, errno.EROFS, OSError),
        (Code.UNSUPPORTED, errno.EOPNOTSUPP, OSError),
        (Code.FAILURE, errno.EIO, OSError),
        (9_999, errno.EIO, OSError),
    ],
)
def test_a_refusal_becomes_the_error_of_the_operating_system(code: int, number: int, kind: type[OSError]) -> None:
    error = words.of_refusal(Refusal(code), "/a")
    assert (error.errno, error.filename) == (number, "/a")
    assert isinstance(error, kind)


def test_an_error_of_a_connection_names_the_node_once_and_its_fields() -> None:
    error = Unreachable("It is gone.", cure="Check Port and Server IP Address of Username.", field="server_ip")
    words.of_node(error, "dn-1")
    assert words.of_node(error, "dn-1").message == "Node dn-1: It is gone."
    assert error.cure == "Check SSH port and SSH address of SSH user."
    assert error.field == "ssh_address"


@pytest.mark.parametrize(
    ("said", "status", "message"),
    [
        ("sudo: a password is required", 1, "asks user ops for a password"),
        ("Sorry, try again.\nsudo: 1 incorrect password attempt", 1, "the password of ops"),
        ("Sorry, user ops is not allowed to execute '/x' as iotdb on h.", 1, "does not let user ops work as iotdb"),
        ("ops is not in the sudoers file.  This incident will be reported.", 1, "does not let user ops work as iotdb"),
        ("sudo: unknown user: iotdb", 1, "no account iotdb"),
        ("sudo: sorry, you must have a tty to run sudo", 1, "from a terminal only"),
        ("env: 'sudo': No such file or directory", 127, "sudo is not installed"),
        ("something else", 9, "/x could not be started as iotdb"),
    ],
)  # fmt: skip
def test_what_sudo_says(said: str, status: int, message: str) -> None:
    error = words.of_sudo(Ended(status, errors=said), SPEC, "/x")
    assert message in error.message
    assert "10.1.2.3" in error.message
    assert error.cure
    assert (error.field, error.retryable) == ("sudo_user", False)


def test_what_check_says_of_the_way() -> None:
    assert "as ops, and as iotdb by sudo" in remarks.of_connection(SPEC).detail
    assert remarks.of_sudo(SPEC, Done(0, "")).well
    assert not remarks.of_sudo(SPEC, Done(1, "")).well
    assert "10.0 s behind" in remarks.of_clock(-10, True).detail
    assert not remarks.of_clock(10, True).well
    assert remarks.of_clock(0.4, True).well
    assert "taken to be equal" in remarks.of_clock(0, False).detail


def test_a_spec_does_not_show_its_secrets() -> None:
    assert "s3cret" not in repr(HostSpec(secrets={"password": "s3cret"}))


def test_the_libraries_of_ssh_are_not_loaded_for_nodes_on_this_machine() -> None:
    script = (
        "import sys; from tasks import sources; from tasks.hosts import HostSpec, connect; "
        "connect(HostSpec(), 'n').close(); sys.exit('paramiko' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


# --- Times in whole seconds -----------------------------------------------------------------------------------------
def entry(name: str, seconds: float, kind: str = "file") -> Entry:
    return Entry(name, kind, 1, int(seconds * 10**9), 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("age", "wait"),
    [(0, 2.0), (1, 1.0), (1.9, 0.1), (2.1, 0), (60, 0), (-1, 3.0), (-2, 4.0), (-2.1, 0), (-3_600, 0)],
)
def test_a_file_is_in_doubt_until_it_is_two_seconds_old(age: float, wait: float) -> None:
    assert doubt([entry("raft-meta", NOW - age)], NOW, grows) == pytest.approx(wait, abs=0.01)


def test_the_youngest_file_counts_and_only_files_that_do_not_just_grow() -> None:
    old, young, younger = (entry(name, NOW - age) for name, age in (("a", 9), ("b", 1.5), ("c", 0.5)))
    assert doubt([old, young, younger], NOW, grows) == pytest.approx(YOUNG - 0.5, abs=0.01)
    grown = [entry(f"current/{name}", NOW) for name in ("log_inprogress_7", "mlog.bin", "tlog.txt")]
    assert doubt([old, *grown, entry("", NOW, "directory"), entry("l", NOW, "link")], NOW, grows) == 0
    assert doubt([], NOW, grows) == 0


def test_a_change_after_the_doubt_ended_shows_in_the_time() -> None:
    """Whatever is written after the list was begun has another time in whole seconds than a file not in doubt."""
    for hundredths in range(500):
        begun = NOW + hundredths / 100
        for mtime in range(int(begun) - 4, int(begun) + 1):
            if doubt([entry("x", mtime)], begun, grows) == 0:
                assert int(begun) > mtime
