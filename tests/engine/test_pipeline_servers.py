"""Runs to the real servers, from click to result, and what an administrator reads when one fails."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.urls import reverse

from storage.registry import get_path_type
from tasks.engine import spool
from tasks.engine.watches import clocks
from tasks.models import BackupTask, Node, Run
from tasks.permissions import seed_roles
from tasks.states import RunState
from tests.conftest import Login
from tests.engine.kit import check_now, log_of, run_now
from tests.servers import openssh as sshd
from tests.servers import samba as smbd
from tests.servers.openssh import OpenSSH, openssh
from tests.servers.samba import Samba, samba
from tests.servers.unixkit import free_port
from tests.web.taskform_kit import text_of

if TYPE_CHECKING:
    from tests.servers.hdfs import HDFS
    from tests.servers.nfs import Ganesha

__all__ = ["openssh", "samba"]
pytest_plugins = ["tests.servers.nfs", "tests.servers.hdfs"]
pytestmark = [pytest.mark.server, pytest.mark.django_db(transaction=True)]

NAMES = [
    pytest.param("SFTP", marks=pytest.mark.xdist_group("openssh")),
    pytest.param("CIFS", marks=pytest.mark.xdist_group("samba")),
    pytest.param("NFS", marks=pytest.mark.xdist_group("nfs")),
    pytest.param("RemoteHDFS", marks=pytest.mark.xdist_group("hdfs")),
]
SERVERS = {"SFTP": "openssh", "CIFS": "samba", "NFS": "nfs_server", "RemoteHDFS": "hdfs_server"}
SECRETS = {"SFTP": {"password": sshd.PASSWORD}, "CIFS": {"password": smbd.PASSWORD}}


@pytest.fixture(autouse=True)
def console(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The roles are there, and new tries follow at once."""
    seed_roles(apps)
    monkeypatch.setattr(spool, "PAUSES", (0.0, 0.0))


@pytest.fixture
def make_far(node: Node, storage_path: Any, make_task: Any, request: pytest.FixtureRequest) -> Any:
    """Return a function that makes a task whose destination is a real server, but for ``changes``."""

    def make(name: str, secrets: dict[str, str] | None = None, **changes: Any) -> BackupTask:
        server: OpenSSH | Samba | Ganesha | HDFS = request.getfixturevalue(SERVERS[name])
        destination = server.parameters() | changes
        destination.pop("copies", None)
        task: BackupTask = make_task(f"to-{name.lower()}", path_type=name, destination=destination, copies=1)
        task.set_secrets(secrets or SECRETS.get(name, {}))
        task.save()
        return task

    return make


@pytest.fixture
def clean(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave nothing on the server, by its own protocol."""
    yield
    for task in BackupTask.all_tasks.all():
        with get_path_type(task.path_type).connect(task.destination, task.secrets()) as store:
            for entry in store.list(task.directory):
                store.delete(task.directory, entry.name)


@pytest.mark.parametrize("read_back", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_a_whole_run(make_far: Any, clean: None, name: str, read_back: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    clock: list[timedelta] = []
    monkeypatch.setattr(clocks, "of_destination", lambda task, server, ahead, now: clock.append(ahead))
    task = make_far(name, read_back=read_back)
    first, second = run_now(task), run_now(task)
    assert len(clock) == 2 and all(abs(ahead) < timedelta(seconds=5) for ahead in clock), "it is this machine's"
    assert [run.state for run in (first, second)] == [RunState.SUCCESSFUL] * 2, log_of(first) + log_of(second)
    assert ("Read back and checked" in log_of(second)) == read_back
    assert ("Size at the destination compared" in log_of(second)) == (not read_back)
    assert second.verified_at
    file = second.files.get()
    with get_path_type(name).connect(task.destination, task.secrets()) as store:
        # One copy is kept: the archive of the second run, and its manifest.
        assert [entry.name for entry in store.list(task.directory)] == [file.name, f"{file.name}.manifest.json"]
        with store.open(task.directory, file.name) as stored:
            content = stored.read()
    assert len(content) == file.size
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as tar:
        assert [name for name in tar.getnames() if "MANIFEST" in name] == tar.getnames()[-1:]
        assert len(tar.getnames()) == file.members + 1


def reason_on_page(login: Login, run: Run) -> str:
    """Return what an Operator reads on the history page of the run's task."""
    assert run.state == RunState.FAILED, log_of(run)
    page = text_of(login("Operator").get(reverse("task-history", args=[run.task_id])))
    log = text_of(login("Operator").get(reverse("run-log", args=[run.pk])))
    assert run.reason in log.replace("&quot;", '"')
    return page


WRONG = [
    ("SFTP", {}, {"password": "wrong"}, "refused the user name or password of", "authentication"),
    ("SFTP", {"host_key": f"ssh-ed25519 SHA256:{'A' * 43}"}, {}, "has changed: it shows", "host-key-changed"),
    ("SFTP", {"host_key": ""}, {}, "is not confirmed yet", "host-key-unknown"),
    ("SFTP", {"shared_path": "/missing"}, {}, "/missing does not exist on 127.0.0.1.", "path-missing"),
    ("SFTP", {"shared_path": "/readable"}, {}, "has no permission on", "permission-denied"),
    ("CIFS", {}, {"password": "wrong"}, "refused the user name or password of", "authentication"),
    ("CIFS", {"shared_path": "/no-share/x"}, {}, "Share no-share does not exist on 127.0.0.1.", "path-missing"),
    ("CIFS", {"shared_path": "/ro"}, {}, "has no permission on", "permission-denied"),
    ("NFS", {"shared_path": "/export/root-owned"}, {}, "belongs to 0:0, not to nobody:nobody.", "bad-path"),
    ("RemoteHDFS", {"target_path": "/backup/missing"}, {}, "does not exist.", "path-missing"),
    ("RemoteHDFS", {"rpc_port": 1}, {}, "can be reached:", "unreachable"),
]


@pytest.mark.parametrize(("name", "changes", "secrets", "words", "code"), WRONG)
def test_what_is_wrong_is_read_on_the_page(
    make_far: Any,
    login: Login,
    name: str,
    changes: dict[str, Any],
    secrets: dict[str, str],
    words: str,
    code: str,
) -> None:
    run = run_now(make_far(name, secrets, **changes))
    assert run.error_code == code, run.reason
    assert words in reason_on_page(login, run)
    assert "wrong" not in run.reason.split()


@pytest.mark.parametrize("name", NAMES)
def test_verify_on_the_page(make_far: Any, login: Login, name: str) -> None:
    task = make_far(name)
    response = login("Operator").post(reverse("task-verify", args=[task.pk]))
    assert response.streaming
    page = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    for what in ("Resolve and connect", "Path", "Write, read, rename, delete", "Free space", "Clock"):
        assert what in page
    assert ">Failed<" not in page


# --- Checks of what lies there ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NAMES)
def test_a_set_on_a_server_is_checked_and_a_flipped_bit_is_found(name: str, make_far: Any, clean: None) -> None:
    task = make_far(name)
    run = run_now(task)
    assert check_now(run).state == RunState.SUCCESSFUL
    run.refresh_from_db()
    assert run.checked_at is not None
    file = run.files.get()
    with get_path_type(name).connect(task.destination, task.secrets()) as store:
        with store.open(file.directory, file.name) as reader:
            data = bytearray(b"".join(iter(lambda: reader.read(1 << 16), b"")))
        data[len(data) // 2] ^= 1
        store.delete(file.directory, file.name)
        upload = store.put(file.directory, file.name, ".fresh.partial-0")
        upload.write(bytes(data))
        upload.seal(len(data))
        upload.publish()
        entries = {(entry.name, entry.size, entry.modified) for entry in store.list(file.directory)}
    check = check_now(run)
    run.refresh_from_db()
    assert (check.state, check.error_code) == (RunState.FAILED, "corrupt"), log_of(check)
    assert run.damaged_at is not None and "the archive is damaged" in run.damage
    with get_path_type(name).connect(task.destination, task.secrets()) as store:
        after = {(entry.name, entry.size, entry.modified) for entry in store.list(file.directory)}
        assert after == entries, "a check changed something on the server"
        store.delete(file.directory, file.name)
    assert "is not there any more" in check_now(run).reason


@pytest.mark.parametrize("name", NAMES[:1])
def test_a_server_that_is_gone_is_no_damage(name: str, make_far: Any, clean: None) -> None:
    task = make_far(name)
    run = run_now(task)
    right = dict(task.destination)
    gone = right | {"port": free_port()}
    Run.objects.filter(pk=run.pk).update(parameters=run.parameters | {"destination": gone})
    BackupTask.objects.filter(pk=task.pk).update(destination=gone)
    check = check_now(run)
    run.refresh_from_db()
    assert (check.state, check.error_code, run.damaged_at) == (RunState.FAILED, "unreachable", None)
    assert "could not be proven" in BackupTask.objects.get().proof_problem
    BackupTask.objects.filter(pk=task.pk).update(destination=right)
