"""Names of directories and files, to the letter of the seed (admin_guide_000350, last step).

Pure: values in, values out. Times are written as 14 digits ``yyyyMMddHHmmss`` in the console's zone.
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo

NAME_LIMIT = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")
# Names that Windows servers keep for devices; a CIFS share refuses them, also with an extension.
_DEVICES = re.compile(r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?\Z")


def name_problem(name: str) -> str | None:
    """Return why ``name`` cannot be the name of a task, or None when it can.

    A name becomes part of a directory's name on every kind of destination, so it is limited to letters, digits, dot,
    underscore and hyphen (design.md, decision 17).
    """
    if not name:
        return "Give the task a name."
    if len(name) > NAME_LIMIT:
        return f"The name has {len(name)} characters. Use at most {NAME_LIMIT}."
    if not _NAME.match(name):
        return "Use letters, digits, dot, underscore and hyphen only, and begin with a letter or a digit."
    if name.endswith("."):
        return "The name ends with a dot. Leave it out: some servers drop it from directory names."
    if _DEVICES.match(name):
        return f"{name} is a name that Windows servers keep for devices. Choose a different name."
    return None


def stamp(moment: datetime, zone: tzinfo) -> str:
    """Return ``moment`` as 14 digits in ``zone``."""
    return moment.astimezone(zone).strftime("%Y%m%d%H%M%S")


def directory_name(task_name: str, created: datetime, zone: tzinfo) -> str:
    """Return *Backup task name* ``_`` *Task creation time*."""
    return f"{task_name}_{stamp(created, zone)}"


def file_name(version: str, data_source: str, executed: datetime, zone: tzinfo) -> str:
    """Return *Version* ``_`` *Data source* ``_`` *Task execution time* ``.tar.gz``.

    Version and data source come from outside; what is not safe in a file name becomes a hyphen, and so does the
    underscore, which parts the three.
    """
    return f"{_safe(version, 'unknown')}_{_safe(data_source, 'IoTDB')}_{stamp(executed, zone)}.tar.gz"


def part_of_file_name(data_source: str) -> str:
    """Return what tells the files of one data source from those of another, also where capitals make no difference."""
    return _safe(data_source, "IoTDB").lower()


def manifest_name(archive_name: str) -> str:
    """Return the name of the manifest beside an archive."""
    return f"{archive_name}.manifest.json"


def partial_name(final_name: str, run_id: int, attempt: int = 1) -> str:
    """Return the hidden name under which a file is written until it is whole; each attempt has a name of its own."""
    return f".{final_name}.partial-{run_id}" + (f"-{attempt}" if attempt > 1 else "")


_PARTIAL = re.compile(r"\..+\.partial-(\d+)(-\d+)?\Z")


def partial_owner(name: str) -> int | None:
    """Return the run that wrote the partial file ``name``, or None when it is not a partial file."""
    match = _PARTIAL.match(name)
    return int(match.group(1)) if match else None


def _safe(text: str, otherwise: str) -> str:
    # 255 bytes is what file systems bear for a name, the manifest's and the hidden one's longer forms included.
    return _UNSAFE.sub("-", text)[:64].strip("-.") or otherwise
