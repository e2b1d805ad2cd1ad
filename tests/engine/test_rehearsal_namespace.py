"""The walls of a rehearsal, tried from inside: nothing outside can be written, hidden is hidden, no network is there.

They run as whoever runs the tests: as root in the privileged way, and in the unprivileged way as root and as another
account. Where the kernel forbids one of the ways its tests are left out, loudly, with CI=true as well: that is not a
property of this product. With CI=true at least one way has to work, or nothing of rehearsals would be tested.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.conf import settings

from tasks.rehearsal import machine, outside
from tests.engine.rehearsal_kit import as_nobody
from tests.lacks import leave_out

pytestmark = pytest.mark.process
_PROBE = """
import json, os, socket, sys
sys.path.insert(0, {root!r})
from tasks.rehearsal import network, system
from tasks.rehearsal.isolation import isolate
given = json.loads(sys.argv[1])
network.make([given["addresses"]])
names = [(name, network.name_address(number, True)) for number, name in enumerate(given["names"])]
isolate(given["scratch"], names, given["hidden"], given["keep"])
system.give_up_rights()
def tried(work):
    try:
        return work() or "done"
    except OSError as error:
        return os.strerror(error.errno)
def write(path):
    with open(path, "w") as file:
        file.write("x")
def listen(host):
    with socket.create_server((socket.getaddrinfo(host, 7000)[0][4][0], 0),
                              family=socket.AF_INET6 if ":" in host else socket.AF_INET) as server:
        return server.getsockname()[0]
print(json.dumps({{
    "written": {{path: tried(lambda: write(path)) for path in given["write"]}},
    "listed": {{path: tried(lambda: ",".join(sorted(os.listdir(path))) or "empty") for path in given["list"]}},
    "heard": {{host: tried(lambda: listen(host)) for host in given["addresses"] + given["names"]}},
    "outside": tried(lambda: socket.create_connection(("192.0.2.1", 80), 2)),
    "remount": tried(lambda: system.mount("", "/", flags=system.MS_REMOUNT | system.MS_BIND)),
    "unmount": system._libc.umount2(given["hidden"][0].encode(), 2),
    "raw": tried(lambda: os.mknod(given["scratch"] + "/disk", 0o60600, os.makedev(8, 0))),
    "pids": sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()),
    "sysctl": tried(lambda: write("/proc/sys/kernel/hostname")),
}}))
"""


def way(words: str) -> tuple[str, ...]:
    """Return the command that makes namespaces in one way; leave the test out where the kernel forbids it."""
    reason = machine._try(outside.WAYS[words], scratch_of("trial"))
    if reason:
        leave_out(f"this kernel makes no namespaces {words}: {reason}")
    return outside.WAYS[words]


def scratch_of(name: str) -> str:
    path = Path(settings.DATA_DIR) / "namespace-tests" / name
    path.mkdir(parents=True, exist_ok=True)
    return str(path.resolve())


def inside(command: tuple[str, ...], **given: Any) -> dict[str, Any]:
    """Run the probe in namespaces and return what it could do."""
    code = _PROBE.format(root=str(settings.BASE_DIR))
    done = subprocess.run(
        [*command, sys.executable, "-c", code, json.dumps(given)],
        capture_output=True,
        text=True,
        env=outside.environment(),
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout))


def test_the_machine_says_how_it_makes_namespaces_or_why_it_cannot() -> None:
    machine.forget()
    trial = machine.namespaces(scratch_of("trial"))
    if not trial.command:
        leave_out(f"this kernel makes no namespaces: {trial.words}")
    assert trial.words == ("as root" if os.geteuid() == 0 else "as an unprivileged user")
    assert os.listdir(scratch_of("trial")) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_another_account_closes_itself_in_without_privileges() -> None:
    way("as an unprivileged user")
    with as_nobody() as (prefix, place):
        command = [*prefix, *outside.WAYS["as an unprivileged user"], sys.executable, *outside.INSIDE, place]
        done = subprocess.run(command, cwd=outside.ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("words", list(outside.WAYS))
def test_nothing_outside_of_the_scratch_directory_can_be_written(words: str, tmp_path: Path) -> None:
    command = way(words)
    live, data = tmp_path / "live", tmp_path / "data"
    scratch = data / "spool" / "run-1-rehearsal"
    for directory in (live / "lib", scratch):
        directory.mkdir(parents=True)
    (live / "data").write_text("live")
    (live / "lib" / "a.jar").write_text("jar")
    (data / "secrets-key").write_text("secret")
    places = [tmp_path / "new", live / "data", live / "lib" / "a.jar", Path("/etc/new"), Path("/tmp/rehearsal-new")]
    places += [data / "secrets-key", Path("/dev/shm/rehearsal-new"), Path("/dev/rehearsal-new")]
    found = inside(
        command,
        scratch=str(scratch),
        addresses=["203.0.113.7", "fd00::7"],
        names=["iotdb-1.example", "iotdb-2.example"],
        hidden=[str(live), str(data)],
        keep=[str(live / "lib"), sys.prefix, sys.base_prefix],
        write=[*map(str, places), str(scratch / "own"), "/dev/null"],
        list=[str(live), str(live / "lib"), str(data), "/dev"],
    )
    written = found["written"]
    assert {written.pop(str(scratch / "own")), written.pop("/dev/null")} == {"done"}
    assert "done" not in written.values(), written
    assert (scratch / "own").read_text() == "x"
    assert found["listed"][str(live)] == "lib"
    assert found["listed"][str(live / "lib")] == "a.jar"
    assert found["listed"][str(data)] == "spool"
    assert found["listed"]["/dev"] == "full,null,random,urandom,zero"
    assert (live / "data").read_text() == "live"
    assert found["heard"]["203.0.113.7"] == "203.0.113.7"
    assert found["heard"]["fd00::7"] == "fd00::7"
    assert found["heard"]["iotdb-1.example"] != found["heard"]["iotdb-2.example"]
    assert found["outside"] != "done"
    assert found["remount"] == found["raw"] == "Operation not permitted"
    assert found["unmount"] == -1
    assert found["pids"] == [1]
    assert found["sysctl"] != "done"


@pytest.mark.parametrize("words", list(outside.WAYS))
def test_everything_inside_ends_with_the_process_that_made_it(words: str) -> None:
    """A kill -9 of the worker: the kernel ends its child, and the child's namespace with it."""
    command = way(words)
    loop = "import subprocess, time; subprocess.Popen(['sleep', '300']); print('up', flush=True); time.sleep(300)"
    worker = (
        "import subprocess, sys, time; from tasks.rehearsal import system\n"
        f"process = subprocess.Popen({[*command, sys.executable, '-c', loop]!r}, stdout=subprocess.PIPE,"
        " preexec_fn=system.end_with_parent, start_new_session=True)\n"
        "print(process.stdout.readline().decode(), process.pid, flush=True); time.sleep(300)"
    )
    process = subprocess.Popen([sys.executable, "-c", worker], cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "up"
    maker = psutil.Process(int(process.stdout.readline()))
    below = [maker, *maker.children(recursive=True)]
    assert len(below) >= 3
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(below, 10)
    assert alive == []
