"""Each kind of host: this machine, and a real OpenSSH server as an account of its own and by sudo."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.hosts import Host, HostSpec, connect
from tests.servers.sshaccounts import Accounts


@pytest.fixture(params=["local", "ssh", "sudo", "sudo with a password"], name="reached")
def reached_host(request: pytest.FixtureRequest, tmp_path: Path, accounts: Accounts) -> Iterator[tuple[Host, Path]]:
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


@pytest.fixture(name="host")
def host_that_is_reached(reached: tuple[Host, Path]) -> Host:
    return reached[0]


@pytest.fixture(name="place")
def place_on_the_host(reached: tuple[Host, Path]) -> Path:
    return reached[1]


def number_of(error: pytest.ExceptionInfo[OSError]) -> int | None:
    assert error.value.filename
    return error.value.errno
