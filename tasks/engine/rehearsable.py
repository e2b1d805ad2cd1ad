"""Whether this machine can rehearse a set: what it has to have, what lacks, and how that is cured."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from tasks.engine.snapshot import scratch_directory
from tasks.errors import Refused
from tasks.models import Node, Run
from tasks.rehearsal import machine
from tasks.rehearsal.installation import Installation, find
from tasks.rehearsal.servers import memory_needed, roles_of
from tasks.sources.base import Finding
from tasks.states import Reach

CODE = "rehearsal-lacking"


class Lacking(Refused):
    """This machine lacks something that a rehearsal needs; nothing is said about the set."""

    code = CODE


@dataclass(frozen=True)
class Means:
    """What a rehearsal runs with."""

    namespaces: tuple[str, ...]
    java: str
    installations: tuple[Installation, ...]


def installations() -> list[Installation]:
    """Return the installations of IoTDB on this machine: those of the setting, then those of local nodes."""
    homes = Node.objects.filter(reach=Reach.LOCAL).order_by("pk").values_list("home", flat=True)
    return find([*settings.IOTDB_INSTALLATIONS, *homes])


def findings(version: str = "", roles: tuple[str, ...] = ()) -> list[Finding]:
    """Return a line for each thing that a rehearsal needs, good or not, with its cure.

    ``version`` is that of the set, empty for any; ``roles`` are the processes to start, one of each where none is said.
    """
    needed = memory_needed(list(roles) or roles_of(True, True), settings.REHEARSAL_HEAP_MB)
    return machine.look(machine.namespaces(scratch_directory()), machine.java(), installations(), version, needed)


def versions_of(run: Run) -> list[str]:
    """Return the versions of IoTDB in the set of a run, each once."""
    return sorted(set(run.files.filter(removed_at__isnull=True).values_list("version", flat=True)))


def lacking(version: str = "", roles: tuple[str, ...] = ()) -> list[Finding]:
    """Return only what lacks."""
    return [finding for finding in findings(version, roles) if finding.level == "failed"]


def lacking_for(run: Run) -> list[Finding]:
    """Return what lacks for a rehearsal of the set of a run, each once."""
    lines = [finding for version in versions_of(run) or [""] for finding in lacking(version)]
    return list(dict.fromkeys(lines))


def refusal(lines: list[Finding]) -> Lacking | None:
    """Return the refusal to rehearse for the things that lack, or None where there are none."""
    if not lines:
        return None
    what = " ".join(f"{line.what}: {line.detail}" for line in lines)
    cure = " ".join(dict.fromkeys(line.cure for line in lines if line.cure))
    return Lacking(f"This machine cannot rehearse the set. {what}", cure=cure)


def means(version: str, roles: tuple[str, ...]) -> Means:
    """Return what a rehearsal of ``version`` runs with. Raises Lacking."""
    refused = refusal(lacking(version, roles))
    if refused is not None:
        raise refused
    return Means(machine.namespaces(scratch_directory()).command, machine.java().path, tuple(installations()))
