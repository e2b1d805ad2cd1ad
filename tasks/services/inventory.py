"""Verbs on the inventory: clusters, their services, and the nodes of these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Model

from storage.checks import Check
from storage.errors import StoreError
from storage.judging import host_key_check
from storage.registry import get_path_type
from tasks import alarms, audit, permissions, scope, sources
from tasks.audit import Actor
from tasks.auditing.refusals import on_record_when_refused
from tasks.engine.archive.manifest import MANIFEST_NAME
from tasks.engine.restore import standing
from tasks.engine.snapshot import node_spec
from tasks.errors import EditConflict, Refused
from tasks.hosts.words import of_node
from tasks.iotdb.document import INVENTORY_NAME
from tasks.models import BackupTask, Cluster, Node, Restoration, Service
from tasks.naming import part_of_file_name
from tasks.services.asking import guard_password
from tasks.services.common import changes, require, values_of
from tasks.sources.base import Finding, NodeSpec
from tasks.states import Reach
from tasks.vault import KeyLost

_CLUSTER = ("name", "ip_mode", "note")
_SERVICE = ("name", "cluster", "session_user")
_NODE = (
    "name", "service", "config_node", "data_node", "home", "reach", "ssh_address", "ssh_port", "ssh_user", "host_key",
    "sudo_user", "control", "stop_data_node", "stop_config_node", "start_config_node", "start_data_node", "rpc_host",
    "rpc_port",
)  # fmt: skip
_SFTP = get_path_type("SFTP")
_MEMBERS = (INVENTORY_NAME.lower(), MANIFEST_NAME.lower())
Thing = TypeVar("Thing", bound=Model)


def save_cluster(actor: Actor, cluster: Cluster) -> Cluster:
    """Create or change a cluster; a new one gets its first service, *IoTDB*, and is in sight of who registered it.

    ``cluster.version`` is the one that the person read: raises ``EditConflict`` when somebody else saved it since.
    """
    fresh = cluster.pk is None
    require(actor, permissions.INVENTORY, "create cluster" if fresh else "change cluster", cluster)
    with transaction.atomic():
        if not fresh:
            same = Cluster.objects.select_for_update().filter(pk=cluster.pk, version=cluster.version)
            if not same.values_list("pk").first():
                raise EditConflict(f"{cluster.name} was changed by somebody else while you edited it.")
            cluster.version += 1
        _save(actor, cluster, _CLUSTER)
        if fresh:
            Service.objects.create(cluster=cluster, name="IoTDB")
            scope.include(actor.user, cluster)
    return cluster


def save_service(actor: Actor, service: Service, password: str | None = None) -> Service:
    """Create or change a service; raise ``Refused`` where its files would have the names of another one's.

    ``password`` is that of the IoTDB user; None leaves the stored one as it is, which is refused for another user.
    Without a user no password is kept.
    """
    require(actor, permissions.INVENTORY, "save service", service)
    others = service.cluster.services.exclude(pk=service.pk).values_list("name", flat=True)
    for other in others:
        if part_of_file_name(other) == part_of_file_name(service.name):
            raise Refused(
                f"The backup files of {service.name} would have the names of those of {other}.",
                cure="Choose a name that differs by more than capitals and by more than dots and hyphens at its ends.",
                field="name",
            )
    with transaction.atomic():
        old = Service.objects.select_for_update().filter(pk=service.pk).first() if service.pk else None
        if service.session_user and password is None and (old is None or old.session_user != service.session_user):
            raise Refused(f"The password of {service.session_user} is missing.", field="password")
        if not service.session_user:
            service.sealed_secrets = ""
        elif password is None and old is not None:
            service.sealed_secrets = old.sealed_secrets
        _save(actor, service, _SERVICE, {} if password is None else {"password": audit.MASK})
        if service.session_user and password is not None:
            service.set_secrets({"password": password})
            service.save(update_fields=("sealed_secrets",))
    return service


def save_node(actor: Actor, node: Node, typed: Mapping[str, str] | None = None) -> Node:
    """Create or change a node; raise ``Refused`` for a name that something else in an archive has.

    ``typed`` are the secrets of the SSH login that were given now; without any the stored ones stay, which is refused
    for another host or user. A node on this machine keeps none.
    """
    require(actor, permissions.INVENTORY, "save node", node)
    if node.name.lower() in _MEMBERS:
        raise Refused(
            f"A node cannot be called {node.name}: archives hold a file of that name.",
            cure="Choose a different name.",
            field="name",
        )
    with transaction.atomic():
        old = Node.objects.select_for_update().filter(pk=node.pk).first() if node.pk else None
        if node.reach == Reach.LOCAL:
            node.sealed_secrets = ""
        elif not typed:
            if old is None or not old.sealed_secrets or _login(old) != _login(node):
                raise Refused(f"The password or private key of {node.ssh_user} is missing.", field="password")
            node.sealed_secrets = old.sealed_secrets
        guard_password(actor, node)
        if old is not None and _identity(old) != _identity(node):
            # What was said of the host, or of its key, is not said of this one.
            alarms.clear_all_of([f"node {node.pk}"], actor.name)
        _save(actor, node, _NODE, dict.fromkeys(typed or {}, audit.MASK))
        if node.reach != Reach.LOCAL and typed:
            node.set_secrets(_SFTP.merge_secrets(_stored(old), typed))
            node.save(update_fields=("sealed_secrets",))
    return node


def verify_node(actor: Actor, node: Node, typed: Mapping[str, str]) -> Iterator[Check]:
    """Try a node as it stands in the form; stored secrets are used where none was typed.

    The form has seen to it that these go to the host and user only that they were given for.
    """
    require(actor, permissions.INVENTORY, "verify node", node)
    audit.record(actor, "verify node", node, after=values_of(node, _NODE))
    spec = node_spec(node)
    if node.reach != Reach.LOCAL:
        secrets = _SFTP.merge_secrets(_stored(node), typed)
        spec = replace(spec, host=replace(spec.host, secrets=secrets, problem=""))
    return _tried(spec)


def _tried(spec: NodeSpec) -> Iterator[Check]:
    host = spec.host
    if host.reach != Reach.LOCAL:
        place = {"server_ip": host.address, "port": host.port, "host_key": host.host_key}
        try:
            identified = _SFTP.identify(place)
        except StoreError as error:
            yield host_key_check("Host Key", of_node(error, spec.name))
            return
        if identified is not None:
            yield identified
    for found in sources.get("iotdb-metadata").check(spec):
        yield Check(found.level, found.what, found.detail, found.cure)


def _identity(node: Node) -> tuple[str, str, int, str]:
    return node.reach, node.ssh_address, node.ssh_port, node.host_key


def _login(node: Node) -> tuple[str, int, str]:
    return node.ssh_address, node.ssh_port, node.ssh_user


def _stored(node: Node | None) -> dict[str, str]:
    """Return the stored secrets; those that no key opens are as good as none."""
    try:
        return node.secrets() if node is not None and node.pk else {}
    except KeyLost:
        return {}


@on_record_when_refused("delete cluster")
def delete_cluster(actor: Actor, cluster: Cluster) -> None:
    """Remove a cluster that no task, not even a deleted one with history, refers to."""
    require(actor, permissions.INVENTORY, "delete cluster", cluster)
    names = list(cluster.tasks.values_list("name", flat=True)[:5])
    if names:
        raise Refused(f"{cluster.name} is the Backup Object of {', '.join(names)}.", cure="Delete these tasks first.")
    names = list(cluster.restorations.filter(deleted_at__isnull=True).values_list("name", flat=True)[:5])
    if names:
        raise Refused(f"{cluster.name} is the Recovery Object of {', '.join(names)}.", cure="Delete these tasks first.")
    if cluster.runs.exists():
        raise Refused(f"{cluster.name} has backup runs in its history, which stay. It cannot be deleted.")
    with transaction.atomic():
        # Tasks that were deleted and never ran hold nothing that is worth keeping the cluster for.
        BackupTask.all_tasks.filter(cluster=cluster).delete()
        Restoration.all_restorations.filter(cluster=cluster).delete()
        alarms.clear_all_of(list(cluster.alarms.values_list("subject", flat=True)), actor.name)
        _delete(actor, cluster, _CLUSTER)


@on_record_when_refused("delete service")
def delete_service(actor: Actor, service: Service) -> None:
    """Remove a service and its nodes, unless a task was assigned to it or it is the last one."""
    require(actor, permissions.INVENTORY, "delete service", service)
    names = list(service.tasks.filter(deleted_at__isnull=True).values_list("name", flat=True)[:5])
    if names:
        raise Refused(f"{service.name} is assigned to {', '.join(names)}.", cure="Configure these tasks first.")
    if service.cluster.services.count() == 1:
        raise Refused(f"{service.name} is the only service of {service.cluster.name}.", cure="Delete the cluster.")
    _require_settled(service.cluster)
    with transaction.atomic():
        alarms.clear_all_of([f"node {pk}" for pk in service.nodes.values_list("pk", flat=True)], actor.name)
        _delete(actor, service, _SERVICE)


@on_record_when_refused("delete node")
def delete_node(actor: Actor, node: Node) -> None:
    """Remove a node; its files are no longer backed up from the next run on."""
    require(actor, permissions.INVENTORY, "delete node", node)
    _require_settled(node.service.cluster)
    with transaction.atomic():
        guard_password(actor, node, goes=True)
        alarms.clear_all_of([f"node {node.pk}"], actor.name)
        _delete(actor, node, _NODE)


def _require_settled(cluster: Cluster) -> None:
    """Refuse while a restoration needs the nodes, for itself or for the way back."""
    run, unknown = standing.active(cluster.pk), standing.unsettled(cluster.pk)
    if run is not None:
        raise Refused(f"{cluster.name} is being restored by {run.thing.name}.", cure="Wait for its end.")
    if unknown is not None:
        raise Refused(
            f"Nobody knows how {cluster.name} stands after {unknown.name}.", cure=f"Roll {unknown.name} back."
        )


def check_node(actor: Actor, node: Node) -> list[Finding]:
    """Look at the node's IoTDB home and say what is there; changes nothing but the audit."""
    require(actor, permissions.INVENTORY, "check node", node)
    audit.record(actor, "check node", node, after={"home": node.home})
    return sources.get("iotdb-metadata").check(node_spec(node))


def _save(actor: Actor, thing: Thing, fields: tuple[str, ...], told: Mapping[str, Any] | None = None) -> Thing:
    """Save ``thing`` and write what changed to the audit, and what else it is ``told``."""
    noun = str(thing._meta.verbose_name)
    old = type(thing)._default_manager.filter(pk=thing.pk).first() if thing.pk else None
    thing.save()
    before, after = changes(values_of(old, fields) if old else {}, values_of(thing, fields))
    audit.record(
        actor, f"change {noun}" if old else f"create {noun}", thing, before=before, after={**after, **(told or {})}
    )
    return thing


def _delete(actor: Actor, thing: Model, fields: tuple[str, ...]) -> None:
    with transaction.atomic():
        audit.record(actor, f"delete {thing._meta.verbose_name}", thing, before=values_of(thing, fields))
        thing.delete()
