"""The parts of NFS that need no server: what faults mean, and which part of a path is mounted."""

from __future__ import annotations

import nfs_rs
import pytest

from storage.errors import (
    AlreadyExists,
    BadPath,
    NoSpace,
    PathMissing,
    PermissionDenied,
    StoreError,
    StoreFault,
    Unreachable,
)
from storage.nfs.dial import Target
from storage.nfs.faults import Place, cannot_link, is_uncertain, translate

PLACE = Place("10.0.0.1", "/export/iotdb", 30)
LIBRARY = "words of the library"


def fault(kind: type[nfs_rs.NfsError], **facts: object) -> nfs_rs.NfsError:
    return kind(**({"message": LIBRARY} | facts))  # type: ignore[arg-type]


FAULTS: list[tuple[BaseException, type[StoreError], bool]] = [
    (fault(nfs_rs.NfsTimeoutError), Unreachable, True),
    (fault(nfs_rs.NfsFileCloseError), Unreachable, True),
    (fault(nfs_rs.NfsConnectionError, errno=111), Unreachable, True),
    (fault(nfs_rs.NfsConnectionError, errno=113), Unreachable, True),
    (fault(nfs_rs.NfsRpcError), Unreachable, True),
    (fault(nfs_rs.NfsRpcError, message="RPC error: request rejected"), Unreachable, True),
    (fault(nfs_rs.NfsOSError, errno=28), NoSpace, False),
    (fault(nfs_rs.NfsOSError, errno=122), NoSpace, False),
    (fault(nfs_rs.NfsOSError, errno=30), PermissionDenied, False),
    (fault(nfs_rs.NfsPermissionError, errno=13), PermissionDenied, False),
    (fault(nfs_rs.NfsMountError), PathMissing, False),
    (fault(nfs_rs.NfsNotFoundError, errno=2), PathMissing, False),
    (fault(nfs_rs.NfsAlreadyExistsError, errno=17), AlreadyExists, False),
    (fault(nfs_rs.NfsNotADirectoryError, errno=20), BadPath, False),
    (fault(nfs_rs.NfsProtocolError, code=70, code_name="NFS4ERR_STALE"), StoreFault, True),
    (fault(nfs_rs.NfsStateLostError), StoreFault, True),
    (fault(nfs_rs.NfsOSError, errno=5, code_name="NFS4ERR_IO"), StoreFault, True),
    (ValueError(LIBRARY), StoreFault, True),
]


@pytest.mark.parametrize(("met", "kind", "retryable"), FAULTS)
def test_faults_are_told_by_their_class(met: BaseException, kind: type[StoreError], retryable: bool) -> None:
    error = translate(met, PLACE, "d/x")
    assert type(error) is kind
    assert error.retryable is retryable
    assert error.cure
    assert LIBRARY not in str(error)
    assert "10.0.0.1" in error.message


def test_what_servers_without_hard_links_say() -> None:
    assert cannot_link(fault(nfs_rs.NfsProtocolError, code=10004))
    assert cannot_link(fault(nfs_rs.NfsUnsupportedError))
    assert not cannot_link(fault(nfs_rs.NfsAlreadyExistsError, errno=17))


def test_which_outcomes_are_looked_up() -> None:
    assert is_uncertain(fault(nfs_rs.NfsUncertainOutcomeError))
    assert is_uncertain(fault(nfs_rs.NfsOSError, outcome="uncertain"))
    assert not is_uncertain(fault(nfs_rs.NfsOSError, errno=28))


@pytest.mark.parametrize(
    ("shared", "mounted", "below"),
    [
        ("/export/iotdb", "/export/iotdb", ""),
        ("/export/a b/c", "/export", "a b/c"),
        ("/été", "/", "été"),
        ("/export/100%", "/export", "100%"),
    ],
)
def test_names_that_no_address_takes_are_looked_up_below_the_mount(shared: str, mounted: str, below: str) -> None:
    assert Target("10.0.0.1", shared).split() == (mounted, below)


def test_ipv6_addresses_stand_in_brackets() -> None:
    assert Target("fd12::9", "/export").server == "[fd12::9]"
    assert Target("fd12::9", "/export").place.on_server == "[fd12::9]:/export"
