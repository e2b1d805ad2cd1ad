"""Proof of a published archive that trusts nothing the console remembers: the file is read anew from the disk."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.errors import ConsoleError
from tasks.engine.archive import verify_archive
from tasks.models import BackupFile
from tasks.naming import manifest_name

_TAR_LIMIT_SECONDS = 3600


class NotProven(Exception):
    """The archive is not what it should be; the text says in what."""


@dataclass(frozen=True)
class Proof:
    """What was found: the archive, the names of its members, and one sentence for each thing that was compared."""

    path: Path
    names: tuple[str, ...]
    checks: tuple[str, ...]


def prove(file: BackupFile) -> Proof:
    """Read a published archive back and compare it with everything that is known of it; raise ``NotProven``.

    Four witnesses: the file's size and SHA-256 against the database, the same against the manifest beside it, every
    member against the manifest inside, and GNU tar, where it is there, as a reader that is not the console's.
    """
    path = Path(file.path)
    if not path.is_file():
        raise NotProven(f"{path} is not there.")
    size, sha256 = path.stat().st_size, _digest(path)
    if (size, sha256) != (file.size, file.sha256):
        raise NotProven(f"{path} has {size} bytes and SHA-256 {sha256}, recorded were {file.size} and {file.sha256}.")
    about = _beside(path)
    if (about["name"], about["size"], about["sha256"]) != (path.name, size, sha256):
        raise NotProven(f"The manifest beside {path} speaks of another archive: {about}.")
    try:
        with open(path, "rb") as reader:
            verified = verify_archive(reader, sha256=sha256)
    except ConsoleError as error:
        raise NotProven(str(error)) from error
    if verified.members != file.members:
        raise NotProven(f"{path} has {verified.members} members, recorded were {file.members}.")
    checks = [
        "SHA-256 is the one in the database and in the manifest beside the archive",
        "every member is as the manifest inside says: size and SHA-256",
    ]
    names = _listed_by_tar(path)
    if names:
        checks.append("GNU tar reads it to its end")
    return Proof(path, names or _listed_by_manifest(path), tuple(checks))


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _beside(path: Path) -> dict[str, Any]:
    """Return what the manifest beside an archive says of the archive."""
    return dict(_manifest(path)["archive"])


def _manifest(path: Path) -> dict[str, Any]:
    beside = path.with_name(manifest_name(path.name))
    try:
        content: dict[str, Any] = json.loads(beside.read_bytes())
    except (OSError, ValueError) as error:
        raise NotProven(f"The manifest {beside} cannot be read: {error}.") from error
    return content


def _listed_by_tar(path: Path) -> tuple[str, ...]:
    """Return the names of the members as GNU tar lists them; nothing where there is no tar."""
    tar = shutil.which("tar")
    if tar is None:
        return ()
    done = subprocess.run(
        [tar, "-tzf", str(path)], capture_output=True, text=True, errors="replace", timeout=_TAR_LIMIT_SECONDS
    )
    if done.returncode:
        raise NotProven(f"tar cannot read {path}: {done.stderr.strip()}")
    return tuple(done.stdout.splitlines())


def _listed_by_manifest(path: Path) -> tuple[str, ...]:
    return tuple(member["name"] for member in _manifest(path)["members"])
