"""What a run works with: the task as it was when the run began, in values that cannot change under it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from storage.base import Store
from storage.registry import get_path_type
from tasks import sources
from tasks.errors import NothingToBackUp
from tasks.hosts.base import HostSpec
from tasks.iotdb.base import Account, Endpoint
from tasks.models import BackupTask, Node, Run, Service
from tasks.naming import file_name
from tasks.sources.base import NodeSpec, ServiceSpec, Source
from tasks.states import Reach
from tasks.vault import KeyLost


@dataclass(frozen=True)
class Snapshot:
    """One run's parameters. ``started`` is the task execution time of the file names."""

    run_id: int
    task_id: int
    task_name: str
    cluster: str
    directory: str
    path_type: str
    destination: dict[str, Any]
    copies: int
    data_source: str
    services: tuple[ServiceSpec, ...]
    started: datetime
    secrets: dict[str, str] = field(repr=False)

    @property
    def source(self) -> Source:
        """The data source that knows how to read the services."""
        return sources.get(self.data_source)

    def connect(self) -> Store:
        """Open the destination."""
        return get_path_type(self.path_type).connect(self.destination, self.secrets)

    @property
    def reads_back(self) -> bool:
        """Whether archives are read back from the destination and compared."""
        return get_path_type(self.path_type).reads_back(self.destination)

    def archive_name(self, service: ServiceSpec, version: str) -> str:
        """Return the seed's file name for the archive of ``service``."""
        return file_name(version, service.name, self.started, timezone.get_default_timezone())

    def as_json(self) -> dict[str, Any]:
        """Return what is kept with the run; secrets are not in it."""
        return {
            "directory": self.directory,
            "path_type": self.path_type,
            "destination": self.destination,
            "copies": self.copies,
            "read_back": get_path_type(self.path_type).reads_back(self.destination),
            "services": [service.name for service in self.services],
        }


def node_spec(node: Node) -> NodeSpec:
    """Return a node as a data source sees it."""
    roles = node.config_node, node.data_node
    return NodeSpec(node.name, node.home, *roles, node.rpc_host, node.rpc_port, host_spec(node))


def host_spec(node: Node) -> HostSpec:
    """Return how the machine of a node is reached; secrets that are lost are told of when it is."""
    if node.reach == Reach.LOCAL:
        return HostSpec(sudo_user=node.sudo_user)
    secrets, problem = {}, ""
    try:
        secrets = node.secrets()
    except KeyLost:
        problem = "The stored password or key cannot be decrypted: the console's key for secrets is another one now."
    return HostSpec(
        node.reach, node.ssh_address, node.ssh_port, node.ssh_user, node.host_key, node.sudo_user, secrets, problem
    )


def service_spec(service: Service) -> ServiceSpec:
    """Return a service as a data source sees it; a password that is lost is no error here (``account_problem``)."""
    nodes = list(service.nodes.all())
    account, problem = None, ""
    if service.session_user:
        again = f"Edit {service.name} on the page of the cluster and type the password of {service.session_user} again."
        try:
            account = Account(service.session_user, service.secrets()["password"])
        except KeyLost as error:
            problem = f"{error.message} {again}"
        except KeyError:
            problem = f"The password was given for other RPC addresses. {again}"
    return ServiceSpec(
        service.cluster.name,
        service.name,
        tuple(node_spec(node) for node in nodes),
        account,
        problem,
        tuple(endpoint(node) for node in nodes if node.data_node),
    )


def endpoint(node: Node) -> Endpoint:
    """Return where the DataNode of ``node`` takes Sessions: at its RPC address, else where its files are reached."""
    return Endpoint(
        node.rpc_host or (node.ssh_address if node.reach == Reach.SSH else "") or "127.0.0.1", node.rpc_port
    )


def take(run: Run) -> Snapshot:
    """Read the task of ``run`` as it is now. Raises ``NothingToBackUp`` where no node is left to back up."""
    task = BackupTask.all_tasks.select_related("cluster").get(pk=run.task_id or 0)
    services = tuple(map(service_spec, task.chosen_services()))
    if not services:
        raise NothingToBackUp(
            f"None of the services assigned to {task.name} exists any more.", cure="Configure the task."
        )
    for service in services:
        if not service.nodes:
            raise NothingToBackUp(
                f"Service {service.name} of {task.cluster.name} has no nodes.",
                cure="Add its nodes on the page of the cluster, or leave the service out of the task.",
            )
    return Snapshot(
        run_id=run.pk,
        task_id=task.pk,
        task_name=task.name,
        cluster=task.cluster.name,
        directory=task.directory,
        path_type=task.path_type,
        # With what may change meanwhile looked up now: leftovers are swept where they were written.
        destination=get_path_type(task.path_type).prepare(task.destination),
        copies=task.copies,
        data_source=task.data_source,
        services=services,
        started=run.started_at or timezone.now(),
        secrets=task.secrets(),
    )


def spool_path(run_id: int, name: str) -> Path:
    """Return where a file of a run waits for its upload."""
    return Path(scratch_directory()) / f"run-{run_id}-{name}"


def scratch_directory() -> str:
    """Return the directory for temporary files of runs, made where it is missing."""
    path = settings.DATA_DIR / "spool"
    path.mkdir(mode=0o700, exist_ok=True)
    return str(path)
