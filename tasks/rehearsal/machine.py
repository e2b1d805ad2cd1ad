"""What a rehearsal needs of this machine, tried and not guessed: namespaces, Java, jars, memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar, cast

import psutil

from tasks.rehearsal.installation import Installation, of_version
from tasks.rehearsal.outside import INSIDE, ROOT, WAYS, environment
from tasks.sources.base import Finding
from tasks.units import format_size

_TRIED_FOR = 60  # seconds for which the answer of a trial counts
_TRIAL_SECONDS = 20
_TEXT = 200
NAMESPACES, JAVA, INSTALLATION, MEMORY = "Namespaces", "Java", "IoTDB installation", "Memory"
PLACES_CURE = (
    "Unpack the release of IoTDB on this machine and name its directory in IOTDB_INSTALLATIONS (several with colons); "
    "its jars are expected in lib."
)
_NAMESPACES_CURE = (
    "Run the workers as root, or let users make namespaces: user.max_user_namespaces above 0, "
    "kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0 where the kernel has them. "
    "A container needs them allowed as well."
)
T = TypeVar("T")
_trials: dict[tuple[str, ...], tuple[float, object]] = {}


class Trial(NamedTuple):
    """How namespaces are made here: the words and the command; without a command the words say why not."""

    words: str
    command: tuple[str, ...]


class Java(NamedTuple):
    """The Java that would run IoTDB; without a path there is none, and ``version`` says why."""

    path: str
    version: str


def namespaces(scratch: str) -> Trial:
    """Return how namespaces can be made here, found by making them and closing a process into ``scratch``."""
    return _for_a_while(("namespaces", scratch), lambda: _try_namespaces(scratch))


def java() -> Java:
    """Return the Java of JAVA_HOME, or else of the PATH."""
    home = os.environ.get("JAVA_HOME", "")
    path = shutil.which("java", path=os.path.join(home, "bin")) if home else None
    path = path or shutil.which("java")
    if not path:
        return Java("", "There is no java in JAVA_HOME or on the PATH of the workers.")
    return _for_a_while(("java", path), lambda: _ask_java(os.path.realpath(path)))


def look(trial: Trial, found: Java, installations: Sequence[Installation], version: str, memory: int) -> list[Finding]:
    """Return a line for each thing that is needed; ``version`` is that of the set, empty for any.

    ``memory`` is what the servers may need, in bytes.
    """
    lines = [_namespaces_line(trial), _java_line(found)]
    lines += _installation_lines(installations, version)
    free = psutil.virtual_memory().available
    if free < memory:
        text = f"{format_size(free)} are available now, and a rehearsal may need {format_size(memory)}."
        lines.append(Finding("failed", MEMORY, text, "Free memory, or lower REHEARSAL_HEAP_MB."))
    else:
        text = f"{format_size(free)} are available now; a rehearsal may need {format_size(memory)}."
        lines.append(Finding("ok", MEMORY, text))
    return lines


def _namespaces_line(trial: Trial) -> Finding:
    if trial.command:
        text = f"Network, mounts and processes can be made {trial.words}."
        return Finding("ok", NAMESPACES, text)
    return Finding("failed", NAMESPACES, f"They cannot be made here: {trial.words}.", _NAMESPACES_CURE)


def _java_line(found: Java) -> Finding:
    if found.path:
        return Finding("ok", JAVA, f"{found.version}: {found.path}")
    return Finding("failed", JAVA, found.version, "Install a Java that this IoTDB runs on (17 is known to serve).")


def _installation_lines(installations: Sequence[Installation], version: str) -> list[Finding]:
    if version and of_version(installations, version) is None:
        others = ", ".join(sorted({one.version for one in installations}))
        text = f"None of version {version} was found on this machine{f'; there is {others}' if others else ''}."
        return [Finding("failed", INSTALLATION, text, PLACES_CURE)]
    if not installations:
        return [Finding("failed", INSTALLATION, "None was found on this machine.", PLACES_CURE)]
    wanted = [one for one in installations if version in ("", one.version)]
    return [Finding("ok", INSTALLATION, f"{one.version} in {one.lib}") for one in wanted]


def _try_namespaces(scratch: str) -> Trial:
    if not shutil.which("unshare"):
        return Trial("the command unshare (util-linux) is not on the PATH of the workers", ())
    reasons = []
    for words, command in WAYS.items():
        with tempfile.TemporaryDirectory(prefix="trial-", dir=scratch) as place:
            reason = _try(command, os.path.realpath(place))
        if not reason:
            return Trial(words, command)
        reasons.append(f"{words}: {reason}")
    return Trial("; ".join(reasons), ())


def _try(command: tuple[str, ...], place: str) -> str:
    """Return why namespaces cannot be made in this way; empty where they can."""
    try:
        done = subprocess.run(
            [*command, sys.executable, *INSIDE, place],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TRIAL_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return type(error).__name__
    if done.returncode == 0:
        return ""
    return " ".join((done.stdout or done.stderr).decode("utf-8", "replace").split())[:_TEXT] or "it ended at once"


def _ask_java(path: str) -> Java:
    try:
        done = subprocess.run([path, "-version"], env=environment(), capture_output=True, timeout=_TRIAL_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return Java("", f"{path} does not run.")
    lines = (done.stderr or done.stdout).decode("utf-8", "replace").splitlines()
    if done.returncode or not lines:
        return Java("", f"{path} does not run.")
    return Java(path, lines[0].strip()[:_TEXT])


def _for_a_while(key: tuple[str, ...], work: Callable[[], T]) -> T:
    now = time.monotonic()
    tried = _trials.get(key)
    if tried is None or now - tried[0] > _TRIED_FOR:
        tried = _trials[key] = (now, work())
    return cast(T, tried[1])


def forget() -> None:
    """Try everything anew at the next look."""
    _trials.clear()
