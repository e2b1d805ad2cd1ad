"""The one place where what HDFS or its two clients say becomes an error of the console.

A fault is told by its Java class, which the client of RPC hides in a text and that of WebHDFS gives; Java's words and
stack never pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from hdfs.util import HdfsError  # type: ignore[import-untyped]

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
from storage.remotehdfs.target import Target

FAULTS = (OSError, RuntimeError, ValueError, HdfsError)
"""Everything that a call of one of the clients raises; ``requests`` raises OSError."""

_RPC_ERROR = re.compile(r'(?:Fatal)?RPCError\("(?P<java>[\w.$]+)", "(?P<text>.*)', re.DOTALL)
_NAMED = re.compile(r"(?:[\w.$]+\.)?(?P<java>\w+Exception)")

_FULL = {"DSQuotaExceededException", "NSQuotaExceededException", "QuotaExceededException", "QuotaByStorageTypeExceeded"}
_NO_ACTIVE = {"StandbyException", "RetriableException", "NoRouteToHostException"}
_EXISTS = {"FileAlreadyExistsException", "AlreadyBeingCreatedException"}
_BAD_NAMES = {"InvalidPathException", "HadoopIllegalArgumentException", "PathComponentTooLongException"}
_BAD_PARENTS = {"ParentNotDirectoryException"}
_NO_FILE = {"FileNotFoundException"}
_BROKEN_OFF = ("DataTransferError(", "All datanodes ")
_NO_NODES = ("could only be written to", "could only be replicated to", "not enough space")
# An InvalidPathException in RPC; over WebHDFS the NameNode checks names by a pattern of its own.
_SIMPLE = ("SIMPLE authentication is not enabled",)


def java_class(fault: BaseException) -> str:
    """Return the short name of the Java class behind a fault, empty where there is none."""
    if isinstance(fault, HdfsError):
        name = str(fault.exception or "")
        named = _NAMED.search(fault.message or "") if name in ("", "RemoteException", "IOException") else None
        return named["java"] if named else name.rpartition(".")[2]
    found = _RPC_ERROR.match(str(fault)) if isinstance(fault, RuntimeError) else None
    return found["java"].rpartition(".")[2].rpartition("$")[2] if found else ""


@contextmanager
def translated(target: Target, path: str) -> Iterator[None]:
    """Turn every fault of the block into an error of the console; ``path`` is what it concerns."""
    try:
        yield
    except StoreError:
        raise
    except FAULTS as fault:
        raise translate(fault, target, path) from fault


def translate(fault: BaseException, target: Target, path: str) -> StoreError:
    """Return the console's word for ``fault``."""
    java = java_class(fault)
    return (
        _of_directory(fault, java, target, path)
        or _of_file(fault, java, target, path)
        or _of_connection(fault, java, target)
        or StoreFault(
            f"The HDFS {target.name_service} failed at {target.url(path)} ({java or type(fault).__name__}).",
            cure="Look at the logs of its NameNode and DataNodes.",
        )
    )


def _of_directory(fault: BaseException, java: str, target: Target, path: str) -> StoreError | None:
    text = str(fault)
    if any(mark in text for mark in _SIMPLE):
        return AuthenticationFailed(
            f"The HDFS {target.name_service} asks for Kerberos, which is not offered.",
            cure="Give an HDFS with simple authentication, or another Path Type.",
            field="name_service",
        )
    if java == "AccessControlException" or isinstance(fault, PermissionError):
        return PermissionDenied(
            f"HDFS does not let the user {target.user} write to {target.url(path)}.",
            cure=f"Give Target Path to that user (hdfs dfs -chown {target.user} {target.path}), or change HDFS User.",
            field="target_path",
        )
    if java in _FULL:
        kind = "names" if java.startswith("NS") else "space"
        return NoSpace(
            f"The quota of {kind} of {target.url(target.path)} is used up. HDFS counts a whole block for each replica "
            f"of a file that is being written.",
            cure="Raise the quota or keep fewer copies.",
            field="target_path",
        )
    if any(mark in text for mark in _NO_NODES):
        return NoSpace(
            f"No DataNode of {target.name_service} takes the file: they are full or down.",
            cure="Free space in that HDFS, or bring its DataNodes back.",
        )
    if java == "SafeModeException":
        return StoreFault(
            f"The HDFS {target.name_service} is in safe mode and takes no files.",
            cure="Wait until it has started, or leave safe mode: hdfs dfsadmin -safemode leave",
        )
    return None


def _of_file(fault: BaseException, java: str, target: Target, path: str) -> StoreError | None:
    if isinstance(fault, FileExistsError) or java in _EXISTS:
        return AlreadyExists(f"{target.url(path)} is there already and is not overwritten.", cure="Run the task again.")
    if isinstance(fault, FileNotFoundError) or java in _NO_FILE:
        return PathMissing(f"{target.url(path)} does not exist.", cure="Check Target Path.", field="target_path")
    if java in _BAD_NAMES or java in _BAD_PARENTS:
        return BadPath(
            f"HDFS does not take {target.url(path)} as a path.",
            cure="Give a path that consists of directories of your own.",
            field="target_path",
        )
    if java == "LeaseExpiredException":
        return StoreFault(f"{target.url(path)} was removed while it was written.", cure="Run the task again.")
    return None


def _of_connection(fault: BaseException, java: str, target: Target) -> StoreError | None:
    if java in _NO_ACTIVE:
        return Unreachable(
            f"No NameNode of {target.name_service} is active.",
            cure="Wait for the failover of the HDFS to end, then run the task again.",
            field="active_ip",
        )
    if isinstance(fault, RuntimeError | HdfsError) and any(mark in str(fault) for mark in _BROKEN_OFF):
        return StoreFault(
            f"A DataNode of {target.name_service} broke off the transfer.",
            cure="Run the task again; the reason stands in the log of the DataNode.",
        )
    if isinstance(fault, TimeoutError | requests.Timeout):
        return Unreachable(
            f"The HDFS {target.name_service} did not answer for {target.silence:g} s.",
            cure="Check that its NameNodes and DataNodes run and that no firewall is in between.",
            field="active_ip",
        )
    if isinstance(fault, OSError):
        return Unreachable(
            f"The connection to a NameNode or DataNode of {target.name_service} was refused or broke.",
            cure="Check that all DataNodes run and can be reached from this machine, then run the task again.",
            field="active_ip",
        )
    return None
