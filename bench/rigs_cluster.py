"""NFS and HDFS in the benchmark of stores. Their files are not touched behind the server's back: each command leaves a
mark of the file's size instead, when the server says that the file is there."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.servers import nfs as ganesha
from tests.servers import unixkit
from tests.servers.hdfs import HDFS, TARGET, USER
from tests.servers.hdfs_layout import Unavailable, distribution

from .measure import Command, quoted
from .rigs import PEER_NAME, Lacking, Rig, console

BLOCK = 128 << 20
"""Bytes of a block of HDFS, as Hadoop has it by default."""


def _marked(command: Command, source: Path, mark: Path) -> Command:
    """Return a command that leaves ``mark``, of the size of ``source``, when it succeeds."""
    line = f"{command.line} && ln -f {quoted(source)} {quoted(mark)}"
    return Command(command.name, line, command.needs, command.reports)


def _rig(name: str, ours: Command, peer: Command, source: Path, scratch: Path) -> Rig:
    # These stores ask the settings for the account.
    settings = f"DJANGO_SETTINGS_MODULE=backupconsole.settings DATA_DIR={quoted(scratch / 'data')}"
    ours = Command(ours.name, f"{settings} {ours.line}", ours.needs, ours.reports)
    marks = scratch / f"{name}-ours", scratch / f"{name}-peer"
    return Rig(name, _marked(ours, source, marks[0]), _marked(peer, source, marks[1]), *marks)


@contextmanager
def nfs(source: Path, scratch: Path) -> Iterator[Rig]:
    """NFS-Ganesha, in turn with nfs-cp of libnfs, which speaks NFS 3."""
    if reason := unixkit.lack(["ganesha.nfsd", "rpcbind", "nfs-cp"], f"{ganesha.PACKAGES} libnfs-utils"):
        raise Lacking(reason)
    with ExitStack() as stack:
        stack.enter_context(ganesha.portmapped(scratch / "rpcbind.log"))
        server = stack.enter_context(ganesha.running())
        ports = f"version=3&nfsport={server.port}&mountport={server.mount_port}&uid=65534&gid=65534"
        # It does not overwrite: each time it gets a name with the number of its process.
        url = f'"nfs://127.0.0.1/export/backup/$$-{PEER_NAME}?{ports}"'
        ours = console("NFS", server.parameters(), {}, source, scratch)
        yield _rig("NFS", ours, Command("nfs-cp", f"nfs-cp {quoted(source)} {url} >&2", ("nfs-cp",)), source, scratch)


@contextmanager
def _hdfs(transport: str, source: Path, scratch: Path) -> Iterator[Rig]:
    """Apache Hadoop with one DataNode, in turn with ``hdfs dfs -put``, whose Java has to start each time."""
    try:
        distribution()
    except Unavailable as lack:
        raise Lacking(str(lack)) from lack
    root = Path(tempfile.mkdtemp(prefix="hdfs-", dir=scratch))
    server = HDFS(root, block=BLOCK)
    try:
        server.start()
        ours = console("RemoteHDFS", server.parameters(transport=transport), {}, source, scratch)
        put = server.shell_command("-put", "-f", str(source), f"{TARGET}/{PEER_NAME}")
        line = f"HADOOP_USER_NAME={USER} {shlex.join(put)} >&2"
        yield _rig(f"HDFS {transport}", ours, Command("hdfs dfs -put", line, ("java",)), source, scratch)
    finally:
        server.stop()
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def hdfs(source: Path, scratch: Path) -> Iterator[Rig]:
    """HDFS by RPC."""
    with _hdfs("rpc", source, scratch) as rig:
        yield rig


@contextmanager
def webhdfs(source: Path, scratch: Path) -> Iterator[Rig]:
    """HDFS by WebHDFS."""
    with _hdfs("webhdfs", source, scratch) as rig:
        yield rig
