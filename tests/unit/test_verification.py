"""Verify without a server: the chain, its limits, what it leaves behind, and how figures are judged."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from storage.base import Space, Store
from storage.checks import Check, Endpoint, Estimate
from storage.dialing import dial
from storage.errors import (
    AuthenticationFailed,
    HostKeyChanged,
    HostKeyUnknown,
    PathMissing,
    PermissionDenied,
    Unreachable,
)
from storage.judging import clock_check, space_check
from storage.probe import DIRECTORY, LEFT_BEHIND, probe
from storage.registry import get_path_type
from storage.verification import verify
from tests.engine.kit import files_below
from tests.engine.remote import FaultyRemote
from tests.patience import Stopwatch

KEY = f"ssh-ed25519 SHA256:{'A' * 43}"
LABELS = {"server_ip": "Server IP Address", "port": "Port"}


def now() -> datetime:
    return datetime.now(UTC)


def nothing() -> Estimate | None:
    return None


class Remote(FaultyRemote):
    """The faulty path type with an account."""

    def account_words(self, parameters: Mapping[str, Any], store: Store | None) -> str:
        return "svc may log in."


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path / "far-away")


def lines(remote: FaultyRemote, **options: Any) -> list[tuple[str, str]]:
    """Return what was tried and how it ended; nothing may be left at the destination."""
    found = [(check.what, check.level) for check in checks(remote, **options)]
    assert files_below(remote.root) == []
    assert not (remote.root / DIRECTORY).exists()
    return found


def checks(remote: FaultyRemote, **options: Any) -> list[Check]:
    parameters = {"shared_path": "/srv/backup", **options.pop("parameters", {})}
    return list(verify(remote, parameters, {"password": "p"}, estimate=nothing, now=now, **options))


GOOD = [
    ("Authenticate", "ok"),
    ("Path", "ok"),
    ("Write, read, rename, delete", "ok"),
    ("Free space", "ok"),
    ("Clock", "ok"),
]


# --- The chain ------------------------------------------------------------------------------------------------------
def test_every_step_in_its_order(remote: Remote) -> None:
    assert lines(remote) == GOOD


def test_connections_are_closed(remote: Remote) -> None:
    lines(remote)
    until = time.monotonic() + 5
    while remote.open_connections and time.monotonic() < until:
        time.sleep(0.01)
    assert remote.open_connections == 0


def test_localdir_goes_the_same_way_with_fewer_steps(db: None, storage_path: Path) -> None:
    found = list(verify(get_path_type("LocalDir"), {"copies": 7}, {}, estimate=nothing, now=now))
    assert [(check.what, check.level) for check in found] == [
        line for line in GOOD if line[0] not in ("Authenticate", "Clock")
    ]
    assert f"{storage_path}/LocalBackup is there." == found[0].detail
    assert files_below(storage_path) == []


@pytest.mark.parametrize(
    ("place", "error", "expected"),
    [
        ("connect", AuthenticationFailed("Refused.", field="password"), [("Authenticate", "failed")]),
        ("connect", PathMissing("Not there.", field="shared_path"), [GOOD[0], ("Path", "failed")]),
        ("put", PermissionDenied("svc may not write."), [*GOOD[:2], (GOOD[2][0], "failed")]),
        ("write", Unreachable("Gone."), [*GOOD[:2], (GOOD[2][0], "failed")]),
        ("seal", Unreachable("Gone."), [*GOOD[:2], (GOOD[2][0], "failed")]),
        ("publish", Unreachable("Gone."), [*GOOD[:2], (GOOD[2][0], "failed")]),
        ("delete", PermissionDenied("svc may not delete."), [*GOOD[:2], (GOOD[2][0], "failed")]),
        ("free_space", Unreachable("Gone."), [*GOOD[:3], ("Free space", "failed")]),
    ],
)
def test_a_failure_ends_the_chain_and_leaves_nothing(
    remote: Remote, place: str, error: Exception, expected: list[tuple[str, str]]
) -> None:
    remote.faults[place] = [error]
    assert lines(remote) == expected


def test_the_probe_is_not_named_in_messages(remote: Remote) -> None:
    remote.faults["put"] = [PermissionDenied(f"svc may not write to /srv/backup/{DIRECTORY}/.probe-0a.partial. Ask.")]
    assert checks(remote)[-1].detail == "svc may not write to /srv/backup. Ask."


def test_what_nobody_foresaw_is_told_without_its_text(remote: Remote, caplog: pytest.LogCaptureFixture) -> None:
    remote.faults["put"] = [RuntimeError("the password is s3cret")]
    last = checks(remote)[-1]
    assert (last.level, last.what) == ("failed", "Write, read, rename, delete")
    assert "RuntimeError" in last.detail
    assert "s3cret" not in str(last) + caplog.text


# --- Limits ---------------------------------------------------------------------------------------------------------
def test_a_server_that_hangs_ends_within_the_limit(remote: Remote) -> None:
    let_go = threading.Event()

    def hang(parameters: Mapping[str, Any], secrets: Mapping[str, str]) -> Store:
        let_go.wait(20)
        raise Unreachable("Too late.")

    remote.connect = hang  # type: ignore[method-assign]
    began = Stopwatch()
    found = checks(remote, parameters={"server_ip": "10.0.0.9"}, whole=0.4)
    let_go.set()
    assert began.seconds < 5
    assert [(check.what, check.level) for check in found] == [("Authenticate", "failed")]
    assert found[0].detail.startswith("10.0.0.9 did not answer within")


def test_lines_come_as_the_steps_end(remote: Remote) -> None:
    go_on = threading.Event()
    original = remote.may

    def slow(what: str) -> None:
        if what == "put":
            go_on.wait(10)
        original(what)

    remote.may = slow  # type: ignore[method-assign]
    stream = verify(remote, {"shared_path": "/srv/backup"}, {}, estimate=nothing, now=now)
    assert [next(stream).what, next(stream).what] == ["Authenticate", "Path"]
    go_on.set()
    assert [check.what for check in stream] == ["Write, read, rename, delete", "Free space", "Clock"]


def test_who_leaves_early_ends_the_chain(remote: Remote) -> None:
    stream = verify(remote, {"shared_path": "/srv/backup"}, {}, estimate=nothing, now=now)
    next(stream)
    assert isinstance(stream, Iterator)
    stream.close()  # type: ignore[attr-defined]
    time.sleep(0.3)
    assert files_below(remote.root) == []


# --- Host keys ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "level", "label"),
    [(HostKeyUnknown, "warning", "Trust this key"), (HostKeyChanged, "failed", "Trust the new key")],
)
def test_an_unconfirmed_key_is_offered_and_ends_the_chain(
    remote: Remote, kind: type[HostKeyUnknown], level: str, label: str
) -> None:
    def identify(parameters: Mapping[str, Any]) -> Check | None:
        raise kind("Another key.", field="host_key", host_key=KEY)

    remote.identify = identify  # type: ignore[method-assign]
    (only,) = checks(remote)
    assert (only.what, only.level, only.code) == ("Identify", level, KEY)
    assert only.offer and (only.offer.value, only.offer.label) == (KEY, label)
    assert remote.passwords == []


# --- Judging --------------------------------------------------------------------------------------------------------
def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    check = dial("Connect", [Endpoint("127.0.0.1", port)], LABELS, 1)
    assert (check.level, check.field, check.detail) == ("failed", "port", f"Nothing listens on 127.0.0.1:{port}.")
    without = dial("Connect", [Endpoint("127.0.0.1", port)], {"server_ip": "Server IP Address"}, 1)
    assert without.field == "server_ip" and "Check Server IP Address" in without.cure


def test_one_of_two_is_enough_and_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        gone = taken.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        check = dial("Connect", [Endpoint("127.0.0.1", gone), Endpoint("127.0.0.1", port)], LABELS, 2)
    assert check.level == "warning"
    assert f"127.0.0.1:{port} answered in" in check.detail and f"Nothing listens on 127.0.0.1:{gone}." in check.detail


@pytest.mark.parametrize(
    ("free", "level", "words"),
    [
        (10**9, "ok", "1.00 GB free of 2.00 GB; 7 more sets need about 700 MB."),
        (5 * 10**8, "warning", "500 MB free of 2.00 GB; 7 more sets need about 700 MB."),
        (5 * 10**7, "failed", "50.0 MB free of 2.00 GB; 7 more sets need about 700 MB."),
    ],
)
def test_room_against_the_estimate(free: int, level: str, words: str) -> None:
    check = space_check("Free space", Space(free, 2 * 10**9), Estimate(10**8, 7))
    assert (check.level, check.detail) == (level, words)


def test_a_destination_that_does_not_tell_its_room() -> None:
    check = space_check("Free space", None, Estimate(10**8, 1))
    assert check.level == "warning" and "Look there whether 100 MB fit." in check.cure


@pytest.mark.parametrize(
    ("seconds", "level", "words"),
    [(0, "ok", "keep the same time"), (-47, "warning", "47 s behind"), (3600, "warning", "3,600 s ahead of")],
)
def test_clocks(seconds: int, level: str, words: str) -> None:
    check = clock_check("Clock", timedelta(seconds=seconds))
    assert check.level == level and words in check.detail
    assert ("NTP" in check.cure) == (level == "warning")


@pytest.mark.parametrize("seconds", [-47, 0, 60])
def test_the_clock_is_read_from_the_file(remote: Remote, seconds: int) -> None:
    """The console's clock is set apart from that of the disk, by as much as the server's would be."""
    with remote.connect({}, {}) as store:
        ahead = probe(store, "probe-1", lambda: now() - timedelta(seconds=seconds))
    assert abs(ahead - timedelta(seconds=seconds)) < timedelta(seconds=2)


def test_what_a_crash_left_goes_with_the_next_probe(remote: Remote) -> None:
    left = remote.root / DIRECTORY / "probe-0000"
    left.parent.mkdir(parents=True)
    left.write_text("x")
    with remote.connect({}, {}) as store:
        probe(store, "probe-1", lambda: now())
        assert left.exists(), "it may belong to somebody who verifies now"
        probe(store, "probe-2", lambda: now() + LEFT_BEHIND + timedelta(hours=1))
    assert not left.exists()
