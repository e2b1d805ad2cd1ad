"""Which clusters a person sees, and the second guard: every verb refuses what belongs to another cluster."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied

from storage.registry import get_path_type
from tasks import services
from tasks.audit import CONSOLE, Actor
from tasks.errors import Refused
from tasks.findsets import FoundSet, Index, Named, SourcePath
from tasks.models import (
    Alarm,
    AuditEvent,
    BackupFile,
    BackupTask,
    Cluster,
    LogLine,
    ManagementNodes,
    Node,
    Restoration,
    Run,
    SafetyCopy,
    Service,
)
from tasks.permissions import ADMINISTRATOR
from tasks.scope import cluster_of, covers, include, limits_of, narrowed
from tasks.services.sight import sight_of
from tests.conftest import MakeRun, MakeTask, Person
from tests.unit.test_services import draft
from tests.web.scope_kit import limit, make_world

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 24, 1, 0, 30, tzinfo=UTC)


@pytest.fixture
def other(cluster: Cluster, make_task: MakeTask, make_run: MakeRun) -> dict[str, int]:
    """A cluster that the person may not see, with one of each thing."""
    return make_world(Cluster.objects.create(name="elsewhere"), "elsewhere", make_task, make_run)


@pytest.fixture
def limited(cluster: Cluster, person: Person) -> User:
    """Somebody who may do everything, on ``cluster``."""
    return limit(person(ADMINISTRATOR), cluster)


# --- Who sees what ----------------------------------------------------------------------------------------------------
def test_without_limits_everything_is_seen(viewer: User, other: dict[str, int]) -> None:
    assert limits_of(viewer) is None
    assert narrowed(Cluster.objects.all(), viewer, "pk").count() == 2
    assert covers(viewer, other["cluster"])


def test_a_limited_person_sees_only_those_clusters(limited: User, cluster: Cluster, other: dict[str, int]) -> None:
    assert limits_of(limited) == {cluster.pk}
    assert list(narrowed(Cluster.objects.all(), limited, "pk")) == [cluster]
    assert not narrowed(Node.objects.all(), limited, "service__cluster").exists()
    assert not narrowed(BackupTask.objects.all(), limited).exists()
    assert covers(limited, cluster.pk) and covers(limited, None) and not covers(limited, other["cluster"])


def test_what_belongs_to_no_cluster_is_for_everybody(limited: User, other: dict[str, int]) -> None:
    common = Alarm.objects.create(code="x", subject="x", severity="major", name="x", cause="x")
    assert list(narrowed(Alarm.objects.all(), limited)) == [common]


def test_who_lost_the_last_cluster_sees_nothing_instead_of_everything(limited: User, cluster: Cluster) -> None:
    cluster.delete()
    Cluster.objects.create(name="new")
    again = User.objects.get(pk=limited.pk)
    assert limits_of(again) == frozenset()
    assert not narrowed(Cluster.objects.all(), again, "pk").exists()


def test_a_superuser_is_never_limited(limited: User, other: dict[str, int]) -> None:
    User.objects.filter(pk=limited.pk).update(is_superuser=True)
    assert limits_of(User.objects.get(pk=limited.pk)) is None


def test_a_stranger_sees_nothing(cluster: Cluster) -> None:
    assert not narrowed(Cluster.objects.all(), AnonymousUser(), "pk").exists()


def test_limits_are_asked_once(limited: User, cluster: Cluster, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(3):
        list(narrowed(Cluster.objects.all(), limited, "pk"))
    with django_assert_num_queries(1):
        list(narrowed(BackupTask.objects.all(), limited))


def test_a_cluster_that_a_limited_person_registers_is_in_sight(limited: User, viewer: User) -> None:
    made = services.save_cluster(Actor("a", limited), Cluster(name="made"))
    assert covers(limited, made.pk)
    include(viewer, made)
    assert limits_of(viewer) is None
    include(None, made)


def test_the_cluster_of_each_thing(cluster: Cluster, other: dict[str, int], make_task: MakeTask) -> None:
    key = other["cluster"]
    for model in (Cluster, Service, Node, BackupTask, Run, Restoration, SafetyCopy, Alarm, BackupFile, LogLine):
        things = model._default_manager.all()
        assert {cluster_of(thing) for thing in things} <= {key, cluster.pk}
        assert key in {cluster_of(thing) for thing in things}, model
    assert cluster_of(ManagementNodes.load()) is None
    assert cluster_of(Cluster(name="not saved")) is None
    assert cluster_of(Node(service=Service(cluster=cluster))) == cluster.pk


# --- The second guard -------------------------------------------------------------------------------------------------
def _search(world: dict[str, int]) -> services.Search:
    return services.Search("mine", Cluster.objects.get(pk=world["cluster"]), "LocalDir", {}, SourcePath(""))


def _draft(world: dict[str, int], task: BackupTask) -> services.DestinationDraft:
    several = list(Service.objects.filter(pk=world["service"]))
    return services.DestinationDraft(task, get_path_type("LocalDir"), {}, 1, several)


def _restoration_draft(world: dict[str, int]) -> services.RestorationDraft:
    return services.RestorationDraft("mine", Cluster.objects.get(pk=world["cluster"]), "LocalDir", [{}], NOW)


Verb = Callable[[Actor, dict[str, int]], Any]


def _task(world: dict[str, int]) -> BackupTask:
    return BackupTask.objects.get(pk=world["task"])


def _run(world: dict[str, int], name: str = "run") -> Run:
    return Run.objects.get(pk=world[name])


def _restoration(world: dict[str, int]) -> Restoration:
    return Restoration.objects.get(pk=world["restoration"])


def _get(model: Any, world: dict[str, int]) -> Any:
    return model.objects.get(pk=world[model.__name__.lower()])


def _draft_of(world: dict[str, int]) -> services.TaskDraft:
    return draft(_get(Cluster, world), name="mine")


VERBS: dict[str, Verb] = {
    "acknowledge_alarm": lambda actor, world: services.acknowledge_alarm(actor, _get(Alarm, world), "seen", NOW),
    "acknowledge_alarms": lambda actor, world: services.acknowledge_alarms(actor, [_get(Alarm, world)], "seen", NOW),
    "take_back_acknowledgement": lambda actor, world: services.take_back_acknowledgement(actor, _get(Alarm, world)),
    "back_up_now": lambda actor, world: services.back_up_now(actor, _task(world), NOW),
    "begin_search": lambda actor, world: services.begin_search(actor, _search(world)),
    "check_node": lambda actor, world: services.check_node(actor, _get(Node, world)),
    "check_service": lambda actor, world: services.check_service(actor, _get(Service, world)),
    "check_set": lambda actor, world: services.check_set(actor, _run(world), NOW),
    "clear_alarm": lambda actor, world: services.clear_alarm(actor, _get(Alarm, world), NOW),
    "configure_task": lambda actor, world: services.configure_task(actor, _task(world), 1, _draft_of(world), NOW),
    "confirm_restoration": lambda actor, world: services.confirm_restoration(
        actor, _run(world, "restored"), "elsewhere", NOW
    ),
    "create_restoration": lambda actor, world: services.create_restoration(actor, _restoration_draft(world), NOW),
    "create_task": lambda actor, world: services.create_task(actor, _draft_of(world), NOW),
    "delete_cluster": lambda actor, world: services.delete_cluster(actor, _get(Cluster, world)),
    "delete_node": lambda actor, world: services.delete_node(actor, _get(Node, world)),
    "delete_restoration": lambda actor, world: services.delete_restoration(actor, _restoration(world), NOW),
    "delete_service": lambda actor, world: services.delete_service(actor, _get(Service, world)),
    "delete_task": lambda actor, world: services.delete_task(actor, _task(world), NOW),
    "find_sets": lambda actor, world: services.find_sets(actor, _search(world)),
    "rehearse": lambda actor, world: services.rehearse(actor, _run(world), NOW),
    "remove_safety_copies": lambda actor, world: services.remove_safety_copies(
        actor, _run(world, "restored"), "elsewhere", NOW
    ),
    "restore_found": lambda actor, world: services.restore_found(actor, _search(world), "a/b", "mine", NOW),
    "restore_from_run": lambda actor, world: services.restore_from_run(actor, _run(world), NOW),
    "resume_task": lambda actor, world: services.resume_task(actor, _task(world), NOW),
    "roll_back": lambda actor, world: services.roll_back(actor, _restoration(world), NOW),
    "salvage_set": lambda actor, world: services.salvage_set(actor, _run(world), "IoTDB"),
    "save_cluster": lambda actor, world: services.save_cluster(actor, _get(Cluster, world)),
    "save_node": lambda actor, world: services.save_node(actor, _get(Node, world)),
    "save_service": lambda actor, world: services.save_service(actor, _get(Service, world)),
    "start_restoration": lambda actor, world: services.start_restoration(actor, _restoration(world), NOW),
    "stop_run": lambda actor, world: services.stop_run(actor, _run(world), NOW),
    "suspend_task": lambda actor, world: services.suspend_task(actor, _task(world), NOW),
    "verify_destination": lambda actor, world: services.verify_destination(actor, _task(world)),
    "verify_draft": lambda actor, world: services.verify_draft(actor, _draft(world, BackupTask(name="mine"))),
    "verify_node": lambda actor, world: services.verify_node(actor, _get(Node, world), {}),
    "verify_source": lambda actor, world: services.verify_source(actor, _search(world)),
}
# Verbs on what belongs to no cluster: the switch, and people, whose rules tests/unit/test_people_verbs.py tries; and
# the one that refuses task by task, as the tests of it show.
OF_NO_CLUSTER = {"set_maintenance", "change_maintenance", "end_maintenance", "do_in_bulk"} | {
    "create_person", "change_person", "set_one_time_password", "disable_person", "enable_person",
    "change_own_profile", "change_own_password", "end_session", "end_sessions",
    "end_lockout", "end_lockouts",
}  # fmt: skip


def test_every_verb_is_tried() -> None:
    verbs = {name for name in services.__all__ if not isinstance(getattr(services, name), type)}
    assert verbs == set(VERBS) | OF_NO_CLUSTER, "say here how the new verb is asked for a thing of a foreign cluster"


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_refuse_what_belongs_to_another_cluster(verb: str, limited: User, other: dict[str, int]) -> None:
    with pytest.raises(PermissionDenied):
        VERBS[verb](Actor(limited.username, limited), other)
    event = AuditEvent.objects.first()
    assert event is not None
    assert (event.result, event.note) == ("refused", "the cluster is not one of theirs")
    assert event.cluster_id == other["cluster"]


def test_services_of_another_cluster_cannot_be_assigned(cluster: Cluster, other: dict[str, int]) -> None:
    foreign = tuple(Service.objects.filter(pk=other["service"]))
    wanted = draft(cluster, all_services=False, services=foreign)
    with pytest.raises(Refused) as refusal:
        services.create_task(CONSOLE, wanted, NOW)
    assert refusal.value.field == "services"


# --- Sets that lie in a destination ----------------------------------------------------------------------------------
def _found(cluster: str) -> FoundSet:
    return FoundSet("a/1", "a", "a", cluster, "", NOW, ())


def test_sets_of_other_clusters_are_out_of_sight(limited: User, other: dict[str, int], make_task: MakeTask) -> None:
    mine, theirs = make_task().directory, _task(other).directory
    sight = sight_of(Actor("a", limited))
    index = Index(tuple(Named(name, "1", (), ()) for name in (mine, theirs, "unknown_20261124020000")), 0)
    assert [one.directory for one in sight.within(index).sets] == [mine, "unknown_20261124020000"]
    found = [_found("plant"), _found("elsewhere"), _found("of another console"), _found("")]
    assert [one.cluster for one in sight.shown(found)] == ["plant", "of another console", ""]


def test_who_sees_all_clusters_sees_all_sets(viewer: User, other: dict[str, int]) -> None:
    for actor in (CONSOLE, Actor("a", viewer)):
        assert sight_of(actor).shown([_found("elsewhere")])
        assert not sight_of(actor).directories


def test_a_set_of_another_cluster_is_neither_found_nor_taken(
    limited: User, cluster: Cluster, other: dict[str, int], storage_path: Path
) -> None:
    """By its directory, by its key, and by the path of its archive: nothing tells that it is there."""
    file = BackupFile.objects.get(pk=other["file"])
    place = storage_path / "LocalBackup" / file.directory
    place.mkdir(parents=True)
    (place / file.name).write_bytes(b"x")
    key = f"{file.directory}/{file.name[-21:-7]}"
    actor, local = Actor("a", limited), ("LocalDir", {})
    everywhere = services.Search("mine", cluster, *local, SourcePath(""))
    assert services.find_sets(CONSOLE, everywhere).total == 1
    assert services.find_sets(actor, everywhere).total == 0
    there = services.Search("mine", cluster, *local, SourcePath("", file.directory))
    gone = services.Search("mine", cluster, *local, SourcePath("", "nothing_20261124020000"))
    answers = []
    for search in (there, gone):
        with pytest.raises(Exception, match="is not there") as refusal:
            services.find_sets(actor, search)
        answers.append((type(refusal.value), str(refusal.value).replace(search.source.directory, "")))
    assert answers[0] == answers[1]
    with pytest.raises(Refused, match="The set is gone"):
        services.restore_found(actor, everywhere, key, "mine", NOW)
    with pytest.raises(Refused, match="There is no backup file"):
        archive = services.Search("mine", cluster, *local, SourcePath("", file.directory, file.name))
        services.restore_found(actor, archive, "", "mine", NOW)
