"""One service of a set in its rehearsal: unpacked into a scratch home, started, asked, and compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings

from storage.errors import ConsoleError
from tasks.engine import rehearsable
from tasks.engine.archive import Listing, Verified, unpack
from tasks.engine.fetching import Archive
from tasks.engine.steps import Steps
from tasks.errors import Unreadable
from tasks.iotdb.base import COUNTS, Summary
from tasks.iotdb.compare import compared, not_compared, unequal
from tasks.models import Node, Run, Service
from tasks.rehearsal import outside, scratch
from tasks.rehearsal.installation import of_version
from tasks.rehearsal.plan import Answer, Login, Plan
from tasks.rehearsal.planning import Given, Unplannable, make_plan, node_facts
from tasks.rehearsal.servers import roles_of
from tasks.states import Reach
from tasks.units import format_duration, format_size
from tasks.vault import KeyLost

DEFAULT_LOGIN = Login("root", "root", "root with IoTDB's default password")
ACCOUNT_CURE = "Give the service an IoTDB user and its password that were there when the set was made."
START_CURE = (
    "Raise REHEARSAL_SECONDS where this machine is slow. Otherwise run the task again and rehearse the new set; "
    "restore from another set meanwhile."
)
ERRORS_SHOWN = 3
NOT_COMPARED = "counts were not compared because the set has no inventory"
COUNTS_CURE = "Look at what differs, run the task again and rehearse the new set; restore from another set meanwhile."


class Unrestorable(ConsoleError):
    """The archive is whole, but no IoTDB came back from it as it was."""

    code = "rehearsal-failed"


class Undecided(ConsoleError):
    """The rehearsal came to no end for a reason that says nothing about the set."""

    code = "rehearsal-undecided"


class RehearsedService:
    """The rehearsal of the service of ``version`` that ``archive`` holds, in ``root``; ``words`` say how it went.

    ``alone`` tells that the set has no other service, so that its name need not be said.
    """

    def __init__(
        self,
        archive: Archive,
        version: str,
        subject: Run,
        root: Path,
        alone: bool,
        steps: Steps,
        info: Callable[[str], None],
    ) -> None:
        self.archive = archive
        self.version = version
        self.name = archive.recorded.service
        self.prefix = "" if alone else f"{self.name}: "
        self.subject = subject
        self.root = (root / self.name).resolve()
        self.steps = steps
        self.info = info
        self.words = ""

    def rehearse(self, verified: Verified, listing: Listing, check: Callable[[], None]) -> None:
        """Go from the archive to equal counts. Raises Unrestorable, Undecided, Lacking."""
        try:
            nodes = node_facts(verified.facts)
            means = rehearsable.means(self.version, _roles(nodes))
            self.unpack(verified, listing, check)
            plan = make_plan(str(self.root), verified.facts, self.given(means))
        except Unplannable as reason:
            text = f"The set of {self.name} cannot be rehearsed: {reason}."
            raise Undecided(text, cure="Check the set instead; it reads every byte.") from reason
        except OSError as error:
            raise Unreadable(
                f"The scratch home cannot be written: {error.strerror or type(error).__name__}."
            ) from error
        answer = self.start(plan, means.namespaces, check)
        self.compare(answer)
        scratch.remove(self.root)

    def unpack(self, verified: Verified, listing: Listing, check: Callable[[], None]) -> None:
        """Write the members below ``root``, each compared again with what was verified."""
        self.steps.begin("unpack", self.prefix.removesuffix(": "))
        self.steps.tell(of=verified.source_bytes)
        self.root.mkdir(mode=0o700)
        with self.archive.open() as reader:
            members = unpack(reader, listing, sha256=verified.sha256, check=check)
            scratch.fill(self.root, members, verified.source_bytes, lambda done: self.steps.tell(done=done))
        self.steps.done(f"{self.prefix}{verified.members:,} members, {format_size(verified.source_bytes)}.")

    def given(self, means: rehearsable.Means) -> Given:
        """Return what the plan needs besides the archive."""
        installation = of_version(means.installations, self.version)
        assert installation is not None  # means() looked for it
        homes = Node.objects.filter(reach=Reach.LOCAL).values_list("home", flat=True)
        return Given(
            lib=installation.lib,
            java=means.java,
            logins=self.logins(),
            hidden=(*homes, str(settings.DATA_DIR), str(settings.DATA_STORAGE_PATH)),
            heap_mb=settings.REHEARSAL_HEAP_MB,
            seconds=settings.REHEARSAL_SECONDS,
        )

    def logins(self) -> tuple[Login, ...]:
        """Return the account of the service as it is now, where there is one, then IoTDB's own."""
        service = Service.objects.filter(cluster_id=self.subject.cluster_id, name=self.name).first()
        if service is None or not service.session_user:
            return (DEFAULT_LOGIN,)
        try:
            password = service.secrets().get("password", "")
        except KeyLost:
            return (DEFAULT_LOGIN,)
        return (
            Login(service.session_user, password, f"{service.session_user}, the account of the service"),
            DEFAULT_LOGIN,
        )

    def start(self, plan: Plan, namespaces: tuple[str, ...], check: Callable[[], None]) -> Answer:
        """Start the nodes, wait for health and take the inventory; every process is gone afterwards."""
        count = len(plan.nodes)
        self.steps.begin("start", f"{self.prefix}{count} {'node' if count == 1 else 'nodes'}, version {self.version}.")
        try:
            answer = outside.rehearse(plan, namespaces, check, self.phase)
        except outside.Failed as failure:
            raise self.broken(failure) from failure
        self.steps.tell(f"{self.prefix}{answer.health}")
        self.info(
            f"{self.name}: IoTDB {answer.version} started from the set and was healthy after "
            f"{format_duration(answer.started)}. {answer.health} Asked as {answer.login}. Its processes held up to "
            f"{format_size(answer.peak)} of memory."
        )
        return answer

    def phase(self, key: str, text: str) -> None:
        """Note that the next step began inside of the namespace."""
        self.steps.begin(key, f"{self.prefix}{text}".removesuffix(": "))

    def broken(self, failure: outside.Failed) -> ConsoleError:
        """Return the error for a service that gave no answer."""
        if failure.code == "isolation":
            return rehearsable.Lacking(
                f"This machine cannot rehearse the set. {failure}.",
                cure="Look at what a rehearsal needs, under System.",
            )
        if failure.code == "login":
            text = f"{self.name} started from the set, but nobody could ask it: {failure}."
            return Undecided(text, cure=ACCOUNT_CURE)
        if failure.code == "start":
            return Unrestorable(f"{self.name} did not come back from the set. {failure}", cure=START_CURE)
        return Undecided(
            f"The rehearsal of {self.name} was broken off: {failure}.",
            cure="Free memory where it lacks, and try again.",
        )

    def compare(self, answer: Answer) -> None:
        """Hold what the started service holds against what was recorded when the set was made."""
        stored = self.subject.inventory.get(self.name)
        series = f"{answer.series or 0:,} time series"
        if not stored:
            began = "Started" if not self.prefix else f"{self.name} started"
            self.words = f"{began} and healthy, {series}; {NOT_COMPARED}."
            self.steps.done(self.words)
            return
        if answer.summary is None:
            text = f"{self.name} started and was healthy, but its counts could not be taken: {answer.missing}"
            raise Undecided(text, cure="Rehearse the set again; raise REHEARSAL_SECONDS where the time was too short.")
        expected, found = Summary.of(stored), Summary.of(answer.summary)
        differing = [*unequal(expected, found), *_lost(expected, found, answer.login)]
        if differing:
            text = f"{self.name} came back from the set with other counts than were recorded. {' '.join(differing)}"
            raise Unrestorable(text, cure=COUNTS_CURE)
        whose = f" of {self.name}" if self.prefix else ""
        self.words = f"All {compared(expected, found)} counts{whose} equal, {series}."
        unknown = [label.lower() for label in not_compared(expected, found)]
        if unknown:
            self.words += f" Not compared, as they were not recorded: {', '.join(unknown)}."
        self.steps.done(self.words)
        self.info(f"{self.words} {_figures(found)}")


def _roles(nodes: list[Any]) -> tuple[str, ...]:
    return tuple(role for node in nodes for role in roles_of(bool(node["config_node"]), bool(node["data_node"])))


def _lost(expected: Summary, found: Summary, login: str) -> list[str]:
    """Return a sentence on what was counted when the set was made and cannot be counted now."""
    lost = [label.lower() for kind, label in COUNTS.items() if kind in expected.counts and kind not in found.counts]
    if not lost:
        return []
    said = "; ".join(f"{statement}: {error}" for statement, error in list(found.errors.items())[:ERRORS_SHOWN])
    return [f"{login} could not count {', '.join(lost)}{f' ({said})' if said else ''}."]


def _figures(summary: Summary) -> str:
    known = (kind for kind in COUNTS if kind in summary.counts)
    return ", ".join(f"{COUNTS[kind].lower()} {summary.counts[kind]:,}" for kind in known) + "."
