"""The parts of RemoteHDFS that need no server: what goes over the wire, what faults mean, how much room there is."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time

import psutil
import pytest
import requests
from hdfs.util import HdfsError

from storage.errors import (
    AlreadyExists,
    AuthenticationFailed,
    BadPath,
    NoSpace,
    PathMissing,
    PermissionDenied,
    StoreError,
    StoreFault,
    Unreachable,
)
from storage.remotehdfs.faults import java_class, translate
from storage.remotehdfs.namenodes import NameNodes, State, explain, find
from storage.remotehdfs.native import configuration
from storage.remotehdfs.process import Child
from storage.remotehdfs.rpc import NotRpc, RpcRefused, ask, figure, inner, number, parse, text
from storage.remotehdfs.space import Quota, room, with_parents
from storage.remotehdfs.target import Target
from tests.patience import Stopwatch
from tests.servers.unixkit import Listener

TARGET = Target("hacluster", ("10.0.0.1", "10.0.0.2"), 8020, "/backup/iotdb", "backup", connect=1.0)
STACK = "\n\tat org.apache.hadoop.hdfs.server.namenode.FSPermissionChecker.check(FSPermissionChecker.java:661)"


def rpc(java: str, words: str = "words") -> RuntimeError:
    """Return a fault as hdfs-native words it."""
    return RuntimeError(f'RPCError("{java}", "{words}{STACK}")')


FAULTS: list[tuple[BaseException, type[StoreError], bool]] = [
    (rpc("org.apache.hadoop.security.AccessControlException"), PermissionDenied, False),
    (rpc("org.apache.hadoop.security.AccessControlException", "SIMPLE authentication is not enabled."),
     AuthenticationFailed, False),
    (rpc("org.apache.hadoop.hdfs.protocol.DSQuotaExceededException"), NoSpace, False),
    (rpc("org.apache.hadoop.hdfs.protocol.NSQuotaExceededException"), NoSpace, False),
    (rpc("java.io.IOException", "File /x could only be written to 0 of the 1 minReplication nodes."), NoSpace, False),
    (rpc("org.apache.hadoop.hdfs.server.namenode.SafeModeException"), StoreFault, True),
    (rpc("org.apache.hadoop.ipc.StandbyException"), Unreachable, True),
    (rpc("org.apache.hadoop.ipc.RetriableException"), Unreachable, True),
    (rpc("org.apache.hadoop.fs.InvalidPathException"), BadPath, False),
    (rpc("org.apache.hadoop.HadoopIllegalArgumentException"), BadPath, False),
    (rpc("org.apache.hadoop.fs.ParentNotDirectoryException"), BadPath, False),
    (rpc("org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException"), StoreFault, True),
    (rpc("org.example.SomethingNewException"), StoreFault, True),
    (FileExistsError(f"Failed to CREATE_FILE{STACK}"), AlreadyExists, False),
    (FileNotFoundError(f"File does not exist{STACK}"), PathMissing, False),
    (ConnectionRefusedError("refused"), Unreachable, True),
    (TimeoutError(), Unreachable, True),
    (requests.ReadTimeout("x"), Unreachable, True),
    (requests.ConnectionError("x"), Unreachable, True),
    (HdfsError(f"Permission denied{STACK}", exception="AccessControlException"), PermissionDenied, False),
    (HdfsError(f"org.apache.hadoop.hdfs.protocol.DSQuotaExceededException: x{STACK}", exception="RemoteException"),
     NoSpace, False),
    (HdfsError("x", exception="StandbyException"), Unreachable, True),
    (HdfsError("File does not exist: /x", exception="FileNotFoundException"), PathMissing, False),
    (HdfsError("x", exception="FileAlreadyExistsException"), AlreadyExists, False),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "kind", "retryable"), FAULTS)
def test_faults_are_told_by_their_class(fault: BaseException, kind: type[StoreError], retryable: bool) -> None:
    error = translate(fault, TARGET, "/backup/iotdb/d/x")
    assert type(error) is kind
    assert error.retryable is retryable
    assert error.cure
    for foreign in ("\tat ", "org.apache", "RPCError", "java"):
        assert foreign not in str(error)


def test_the_class_is_found_within_texts() -> None:
    assert java_class(RuntimeError('FatalRPCError("a.b.Outer$InnerException", "x")')) == "InnerException"
    assert java_class(ValueError("AccessControlException")) == ""


# --- Room -----------------------------------------------------------------------------------------------------------
def test_room_counts_replicas_and_the_narrowest_quota() -> None:
    space = room(3000, 1500, 3, [Quota(900, 300), Quota(-1, 5), Quota((1 << 64) - 1, 5)])
    assert space is not None
    assert (space.free, space.total) == (200, 1000)


def test_room_that_is_not_told() -> None:
    assert room(0, 0, 3, []) is None
    space = room(300, 90, 0, [Quota(10, 20)])
    assert space is not None
    assert (space.free, space.total) == (0, 100)
    assert with_parents("/a/b") == ["/a/b", "/a", "/"]


# --- The wire -------------------------------------------------------------------------------------------------------
def framed(header: bytes, body: bytes = b"") -> bytes:
    """Return an answer of a NameNode; its parts are short."""
    data = bytes([len(header)]) + header + (bytes([len(body)]) + body if body else b"")
    return struct.pack(">I", len(data)) + data


@pytest.mark.parametrize(
    ("greeting", "http"),
    [(b"HTTP/1.1 404 Not Found\r\n\r\n", True), (b"SSH-2.0-x\r\n", False), (framed(b"\x80"), False)],
)
def test_what_is_not_a_namenode(greeting: bytes, http: bool) -> None:
    listener = Listener(greeting)
    with pytest.raises(NotRpc) as caught:
        ask("127.0.0.1", listener.port, "getFsStats", b"", "u", 2)
    listener.close()
    assert caught.value.http is http


def test_an_answer_and_a_refusal() -> None:
    listener = Listener(framed(number(1, 0) + number(2, 0), number(1, 300) + text(2, number(4, 7))))
    fields = ask("127.0.0.1", listener.port, "x", b"", "u", 2)
    listener.close()
    assert (figure(fields, 1), figure(inner(fields, 2), 4), figure(fields, 9)) == (300, 7, 0)
    assert parse(b"\x09" + bytes(8) + b"\x15" + bytes(4)) == {1: bytes(8), 2: bytes(4)}
    listener = Listener(framed(number(2, 1) + text(4, "a.StandbyException") + text(5, "no\n\tat a.b")))
    with pytest.raises(RpcRefused) as caught:
        ask("127.0.0.1", listener.port, "x", b"", "u", 2)
    listener.close()
    assert (caught.value.java, caught.value.text) == ("a.StandbyException", "no")


def test_a_silent_namenode_costs_its_limit_only() -> None:
    listener = Listener()
    began = Stopwatch()
    with pytest.raises(TimeoutError):
        ask("127.0.0.1", listener.port, "x", b"", "u", 0.3)
    assert began.seconds < 1
    target = Target("ns", ("127.0.0.1",), listener.port, "/a", "u", connect=0.3)
    assert find(target).states == {"127.0.0.1": State.SILENT}
    listener.close()


@pytest.mark.parametrize(
    ("states", "field", "words"),
    [
        ((State.STANDBY, State.SILENT), "active_ip", "Neither NameNode of hacluster is active"),
        ((State.REFUSED, State.REFUSED), "rpc_port", "No NameNode of hacluster can be reached"),
        ((State.SILENT, State.REFUSED), "active_ip", "10.0.0.1:8020 does not answer, 10.0.0.2:8020 refuses"),
        ((State.HTTP, State.STANDBY), "rpc_port", "is an HTTP server"),
        ((State.SECURED, State.STANDBY), "name_service", "asks for Kerberos"),
    ],
)
def test_why_no_namenode_will_do(states: tuple[State, State], field: str, words: str) -> None:
    error = explain(NameNodes(TARGET, dict(zip(TARGET.addresses, states, strict=True))))
    assert error is not None
    assert error.field == field
    assert words in error.message


def test_the_client_is_told_of_those_that_answer_the_active_one_first() -> None:
    found = NameNodes(TARGET, {"10.0.0.1": State.STANDBY, "10.0.0.2": State.ACTIVE})
    assert explain(found) is None
    assert found.usable == ["10.0.0.2", "10.0.0.1"]
    assert NameNodes(TARGET, {"10.0.0.1": State.SILENT, "10.0.0.2": State.ACTIVE}).usable == ["10.0.0.2"]
    settings = configuration(TARGET, ["fd12::1", "10.0.0.2"])
    assert settings["dfs.namenode.rpc-address.hacluster.nn1"] == "[fd12::1]:8020"
    assert settings["dfs.ha.namenodes.hacluster"] == "nn1,nn2"


# --- The child process ------------------------------------------------------------------------------------------------
def test_the_child_gets_the_user_and_no_secret_of_the_console(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "do-not-hand-on")
    monkeypatch.setenv("HADOOP_CONF_DIR", "/etc/hadoop")
    child = Child("backup")
    try:
        environment = psutil.Process(child._process.pid).environ()
        assert environment["HADOOP_USER_NAME"] == "backup"
        assert not {"SECRET_KEY", "HADOOP_CONF_DIR"} & set(environment)
        child.call("connect", "hdfs://127.0.0.1:1", {"dfs.client.failover.max.attempts": "0"}, seconds=10)
        with pytest.raises(OSError, match="refused"):
            child.call("info", "/x", seconds=10)
        assert child.alive
    finally:
        child.close()
    assert not child.alive
    with pytest.raises(ConnectionError):
        child.call("info", "/x", seconds=1)


def test_a_call_that_never_ends_ends_with_its_process() -> None:
    listener = Listener()
    child = Child("backup")
    child.call("connect", f"hdfs://127.0.0.1:{listener.port}", {}, seconds=10)
    began = Stopwatch()
    with pytest.raises(TimeoutError):
        child.call("info", "/x", seconds=0.5)
    assert began.seconds < 2
    assert not child.alive
    listener.close()


def test_the_child_ends_when_the_console_is_killed() -> None:
    program = (
        "import time; from storage.remotehdfs.process import Child; "
        "print(Child('u')._process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    until = time.monotonic() + 5
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until
        time.sleep(0.05)
