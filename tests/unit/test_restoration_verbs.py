"""The verbs on restoration tasks: who may, when it is refused and in which words, and what is on record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from tasks import permissions, services
from tasks.audit import Actor
from tasks.engine.record import Outcome, finish
from tasks.engine.steps import Steps
from tasks.errors import Refused
from tasks.models import AuditEvent, BackupTask, Cluster, Node, Restoration, Run, SafetyCopy
from tasks.states import Kind, RunState
from tests.conftest import MakeRun, MakeTask, Person

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
SFTP = {"server_ip": "10.0.0.5", "port": 22, "username": "backup", "shared_path": "/store"}


@pytest.fixture
def restorer(person: Person) -> Actor:
    user = person(permissions.RESTORE_ADMINISTRATOR)
    return Actor(user.username, user)


@pytest.fixture
def made(task: BackupTask, make_run: MakeRun) -> Run:
    """A good run with its set."""
    return make_run(task, parameters={"path_type": "LocalDir", "destination": {}, "directory": task.directory})


@pytest.fixture
def restoration(restorer: Actor, made: Run) -> Restoration:
    return services.restore_from_run(restorer, made, NOW)


def running(run: Run, **fields: Any) -> Run:
    lease = {"lease_token": "0" * 32, "lease_until": NOW + timedelta(minutes=1), "started_at": NOW}
    Run.objects.filter(pk=run.pk).update(state=RunState.RUNNING, **lease, **fields)
    run.refresh_from_db()
    return run


def ended(run: Run, state: RunState) -> None:
    assert finish(running(run).pk, Outcome(state, "Because."), NOW)


def olga() -> Actor:
    """Return somebody who may do everything."""
    return Actor("olga")


def events() -> list[tuple[str, str]]:
    return list(AuditEvent.objects.order_by("pk").values_list("verb", "result"))


# --- Create -----------------------------------------------------------------------------------------------------------
def test_one_click_takes_over_what_the_run_recorded(restoration: Restoration, made: Run) -> None:
    file = made.files.get()
    assert restoration.name == f"restore-{made.thing.name}-20260601050000"
    assert (restoration.cluster, restoration.source_run, restoration.taken_at) == (made.cluster, made, made.began)
    assert restoration.files == [
        {
            "service": "IoTDB",
            "directory": file.directory,
            "name": file.name,
            "size": file.size,
            "sha256": file.sha256,
        }
    ]
    assert events() == [("create restoration", "successful")]
    assert not restoration.runs.exists()


def test_the_same_set_twice_has_two_names(restorer: Actor, restoration: Restoration, made: Run) -> None:
    assert services.restore_from_run(restorer, made, NOW).name == f"{restoration.name}-2"
    with pytest.raises(Refused, match="already called") as refusal:
        services.restore_from_run(restorer, made, NOW, name=restoration.name)
    assert refusal.value.field == "name"


def test_a_password_goes_along_only_to_whom_it_was_given(
    restorer: Actor, make_task: MakeTask, make_run: MakeRun
) -> None:
    task = make_task(path_type="SFTP", destination=SFTP)
    task.set_secrets({"password": "very-secret"})
    task.save()
    run = make_run(task, parameters={"path_type": "SFTP", "destination": SFTP, "directory": task.directory})
    restoration = services.restore_from_run(restorer, run, NOW)
    assert restoration.secrets() == {"password": "very-secret"}
    assert "very-secret" not in str(list(AuditEvent.objects.values()))
    task.destination = SFTP | {"server_ip": "10.0.0.6"}
    task.save()
    with pytest.raises(Refused, match="another server or account"):
        services.restore_from_run(restorer, Run.objects.get(pk=run.pk), NOW)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"set_removed_at": NOW}, "was removed"),
        ({"damaged_at": NOW, "damage": "It ends too early."}, "damaged. It ends too early"),
        ({"verified_at": None}, "gave no set"),
    ],
)
def test_a_set_that_cannot_serve_is_refused(restorer: Actor, made: Run, fields: dict[str, Any], why: str) -> None:
    Run.objects.filter(pk=made.pk).update(**fields)
    with pytest.raises(Refused, match=why):
        services.restore_from_run(restorer, Run.objects.get(pk=made.pk), NOW)


def test_a_set_that_was_found_is_restored_without_a_run(restorer: Actor, cluster: Cluster) -> None:
    files = [{"service": "IoTDB", "directory": "d", "name": "a.tar.gz", "size": 9, "sha256": "ab"}]
    draft = services.RestorationDraft("back", cluster, "SFTP", files, NOW, SFTP, {"password": "very-secret"})
    restoration = services.create_restoration(restorer, draft, NOW)
    assert (restoration.source_run, restoration.secrets()) == (None, {"password": "very-secret"})
    bad = services.RestorationDraft("a b", cluster, "SFTP", files, NOW)
    with pytest.raises(Refused, match="letters, digits") as refusal:
        services.create_restoration(restorer, bad, NOW)
    assert refusal.value.field == "name"


@pytest.mark.parametrize("role", [permissions.VIEWER, permissions.OPERATOR, permissions.BACKUP_ADMINISTRATOR])
def test_restoring_has_a_permission_of_its_own(person: Person, role: str, made: Run, restoration: Restoration) -> None:
    user = person(role)
    actor = Actor(user.username, user)
    run = Run.objects.create(kind=Kind.RESTORE, restoration=restoration, cluster=made.cluster, trigger="person")
    for verb in (
        lambda: services.restore_from_run(actor, made, NOW),
        lambda: services.start_restoration(actor, restoration, NOW),
        lambda: services.roll_back(actor, restoration, NOW),
        lambda: services.delete_restoration(actor, restoration, NOW),
        lambda: services.confirm_restoration(actor, run, "plant", NOW),
        lambda: services.remove_safety_copies(actor, run, "plant", NOW),
        lambda: services.stop_run(actor, run, NOW),
    ):
        with pytest.raises(PermissionDenied):
            verb()
    assert [result for _, result in events()].count("refused") == 7


# --- Start, confirm, stop ---------------------------------------------------------------------------------------------
def test_start_waits_in_the_line_of_its_cluster(restorer: Actor, restoration: Restoration) -> None:
    run = services.start_restoration(restorer, restoration, NOW)
    restoration.refresh_from_db()
    assert (run.kind, run.state, run.who) == (Kind.RESTORE, RunState.WAITING, restorer.name)
    assert (restoration.last_run, restoration.last_state) == (run, RunState.WAITING)
    with pytest.raises(Refused, match=f"{restoration.name} is waiting. It was started at .* by {restorer.name}"):
        services.start_restoration(restorer, restoration, NOW)


def test_backup_and_restoration_refuse_each_other(restorer: Actor, restoration: Restoration, task: BackupTask) -> None:
    backup = services.back_up_now(olga(), task, NOW)
    with pytest.raises(Refused, match=f"backup task {task.name} of this cluster is waiting. It was started .* by olga"):
        services.start_restoration(restorer, restoration, NOW)
    ended(backup, RunState.FAILED)
    services.start_restoration(restorer, restoration, NOW)
    with pytest.raises(Refused, match=f"waiting to be restored: {restoration.name}, started at .* by {restorer.name}"):
        services.back_up_now(olga(), task, NOW)


def test_not_again_after_success_but_after_a_failure(restorer: Actor, restoration: Restoration) -> None:
    ended(services.start_restoration(restorer, restoration, NOW), RunState.FAILED)
    ended(services.start_restoration(restorer, restoration, NOW), RunState.WARNINGS)
    with pytest.raises(Refused, match="cannot run again"):
        services.start_restoration(restorer, restoration, NOW)


def test_nothing_is_restored_over_what_nobody_knows(restorer: Actor, restoration: Restoration, made: Run) -> None:
    other = services.restore_from_run(restorer, made, NOW)
    with pytest.raises(Refused, match="nothing to roll back"):
        services.roll_back(restorer, restoration, NOW)
    ended(services.start_restoration(restorer, restoration, NOW), RunState.UNKNOWN)
    for one in (restoration, other):
        with pytest.raises(Refused, match=f"Nobody knows how plant stands after {restoration.name}"):
            services.start_restoration(restorer, one, NOW)
    with pytest.raises(Refused, match="Nobody knows"):
        services.delete_restoration(restorer, restoration, NOW)
    back = services.roll_back(restorer, restoration, NOW)
    assert back.kind == Kind.ROLLBACK
    with pytest.raises(Refused, match="rollback cannot be stopped"):
        services.stop_run(restorer, back, NOW)
    ended(back, RunState.ROLLED_BACK)
    services.start_restoration(restorer, other, NOW)


def test_only_the_name_to_the_letter_confirms_and_only_in_its_step(restorer: Actor, restoration: Restoration) -> None:
    run = services.start_restoration(restorer, restoration, NOW)
    steps = Steps({"match": "Match", "confirm": "Confirm"})
    steps.begin("match")
    running(run, steps=steps.as_json())
    with pytest.raises(Refused, match="does not wait"):
        services.confirm_restoration(restorer, run, "plant", NOW)
    steps.begin("confirm")
    Run.objects.filter(pk=run.pk).update(steps=steps.as_json())
    for typed in ("", "Plant", "plant ", "other"):
        with pytest.raises(Refused) as refusal:
            services.confirm_restoration(restorer, run, typed, NOW)
        assert refusal.value.field == "typed"
    services.confirm_restoration(restorer, run, "plant", NOW)
    run.refresh_from_db()
    assert (run.confirmed_at, run.confirmed_by) == (NOW, restorer.name)
    with pytest.raises(Refused, match="does not wait"):
        services.confirm_restoration(restorer, run, "plant", NOW)
    assert ("confirm restoration", "successful") in events()


# --- Delete, safety copies --------------------------------------------------------------------------------------------
def test_delete_hides_the_task_and_frees_its_name(restorer: Actor, restoration: Restoration, made: Run) -> None:
    run = services.start_restoration(restorer, restoration, NOW)
    with pytest.raises(Refused, match="is active"):
        services.delete_restoration(restorer, restoration, NOW)
    ended(run, RunState.SUCCESSFUL)
    services.delete_restoration(restorer, restoration, NOW)
    assert not Restoration.objects.exists()
    assert Run.objects.get(pk=run.pk).restoration == restoration
    with pytest.raises(Refused, match="deleted meanwhile"):
        services.delete_restoration(restorer, restoration, NOW)
    assert services.restore_from_run(restorer, made, NOW).name == restoration.name


def test_safety_copies_go_when_somebody_types_the_name(restorer: Actor, restoration: Restoration) -> None:
    run = services.start_restoration(restorer, restoration, NOW)
    ended(run, RunState.SUCCESSFUL)
    with pytest.raises(Refused, match="no safety copy"):
        services.remove_safety_copies(restorer, run, "plant", NOW)
    copy = SafetyCopy.objects.create(
        restoration=restoration, run=run, cluster=run.cluster, node_name="n", original="/a", path="/a.x", made_at=NOW
    )
    with pytest.raises(Refused) as refusal:
        services.remove_safety_copies(restorer, run, "plnat", NOW)
    assert refusal.value.field == "typed"
    services.remove_safety_copies(restorer, run, "plant", NOW)
    copy.refresh_from_db()
    assert (copy.keep_until, copy.kept) == (NOW, True)


def test_a_safety_copy_that_may_be_needed_stays(restorer: Actor, restoration: Restoration) -> None:
    run = services.start_restoration(restorer, restoration, NOW)
    SafetyCopy.objects.create(
        restoration=restoration, run=run, cluster=run.cluster, node_name="n", original="/a", path="/a.x", made_at=NOW
    )
    ended(run, RunState.UNKNOWN)
    with pytest.raises(Refused, match="may still be needed"):
        services.remove_safety_copies(restorer, run, "plant", NOW)


def test_what_the_way_back_needs_is_not_deleted(restorer: Actor, restoration: Restoration, node: Node) -> None:
    with pytest.raises(Refused, match=f"Recovery Object of {restoration.name}"):
        delete_cluster_without_tasks(restoration.cluster)
    run = services.start_restoration(restorer, restoration, NOW)
    with pytest.raises(Refused, match="being restored"):
        services.delete_node(olga(), node)
    ended(run, RunState.UNKNOWN)
    with pytest.raises(Refused, match="Nobody knows how plant stands"):
        services.delete_node(olga(), node)


def delete_cluster_without_tasks(cluster: Cluster) -> None:
    """Delete a cluster whose tasks were deleted before."""
    BackupTask.objects.update(deleted_at=NOW)
    services.delete_cluster(olga(), cluster)
