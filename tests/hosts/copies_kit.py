"""Homes on a real OpenSSH server, and their archives."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest

from tasks import sources
from tasks.engine.archive import ArchiveWriter
from tasks.hosts import HostSpec
from tasks.sources import NodeSpec, ServiceSpec
from tests.engine.iotdb_source_kit import FileSink
from tests.servers.sshaccounts import Accounts
from tests.unit.source_home import SCHEMA_GROUP, Journal

SAMPLE = Path(__file__).parents[2] / "sample" / "iotdb-home"
SOURCE = sources.get("iotdb-metadata")
GROUP = f"{SCHEMA_GROUP}0"


@pytest.fixture(name="far")
def what_is_frozen(openssh: Any) -> Any:
    """What is frozen."""
    return type("Far", (), {"server": openssh})


@pytest.fixture(name="sudo")
def account_by_sudo(accounts: Accounts) -> HostSpec:
    return accounts.spec(accounts.free, sudo_user=accounts.iotdb)


def node(name: str, home: Path | str, host: HostSpec, **roles: bool) -> NodeSpec:
    both = {"config_node": True, "data_node": True} | roles
    return NodeSpec(name, str(home), both["config_node"], both["data_node"], "127.0.0.1", 1, host)


def service(*nodes: NodeSpec) -> ServiceSpec:
    return ServiceSpec("plant", "IoTDB", nodes)


def members(path: Path) -> dict[str, tuple[Any, ...]]:
    """Return all that an archive says of its members, but for their owners."""
    with tarfile.open(path) as tar:
        return {
            one.name: (one.type, one.mode, int(one.mtime), one.size, one.linkname, content(tar, one))
            for one in tar
            if one.name != "MANIFEST.json"
        }


def content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member) if member.isfile() else None
    return file.read() if file else b""


def copy(service: ServiceSpec, archive: Any, log: Journal) -> None:
    SOURCE.copy(service, SOURCE.survey(service), archive, log)


def archived(service: ServiceSpec, path: Path) -> dict[str, Any]:
    """Archive a service whose small homes have no more than the names of one; return the facts."""
    sink = FileSink(path)
    try:
        with ArchiveWriter(sink, scratch=path.parent) as archive:
            facts = SOURCE.copy(service, SOURCE.survey(service), archive, Journal())
            archive.finish(facts)
    finally:
        sink.close()
    return facts
