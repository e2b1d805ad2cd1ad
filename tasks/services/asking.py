"""Asking the IoTDB of a service, for a person who looks after it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tasks import audit, permissions
from tasks.audit import Actor
from tasks.engine.snapshot import endpoint, scratch_directory, service_spec
from tasks.iotdb.client import NotAsked, ask_health, take_inventory
from tasks.iotdb.findings import no_account, of_health, of_inventory
from tasks.models import Node, Service
from tasks.services.common import require
from tasks.sources.base import Finding

HEALTH_SECONDS = 15.0
INVENTORY_SECONDS = 20.0


def guard_password(actor: Actor, node: Node, *, goes: bool = False) -> None:
    """Forget the password of a service's IoTDB user where ``node`` would have it sent elsewhere than it was given for.

    That is a DataNode at an RPC address that no DataNode of the service has, and the removal of the last one
    (``goes``): whoever may change an address need not know the password. Call it in the transaction that changes the
    node, before.
    """
    service = Service.objects.select_for_update().get(pk=node.service_id)
    others = service.nodes.filter(data_node=True)
    if goes:
        elsewhere = node.data_node and not others.exclude(pk=node.pk).exists()
    else:
        known = {endpoint(other) for other in others}
        elsewhere = node.data_node and bool(known) and endpoint(node) not in known
    if elsewhere and service.sealed_secrets:
        Service.objects.filter(pk=service.pk).update(sealed_secrets="")
        host, port = endpoint(node)
        why = "was removed" if goes else f"is asked at {host}:{port} now"
        audit.record(actor, "forget password", service, note=f"{node.name} {why}")


def check_service(actor: Actor, service: Service) -> list[Finding]:
    """Ask the IoTDB of a service for its health and its counts; changes nothing but the audit."""
    require(actor, permissions.INVENTORY, "check service", service)
    audit.record(actor, "check service", service, after={"session_user": service.session_user})
    spec = service_spec(service)
    if spec.account is None:
        return [no_account(spec.account_problem)]
    health = ask_health(spec.account, spec.endpoints, seconds=HEALTH_SECONDS)
    # A service that cannot count its series keeps every other list waiting as well.
    if health.series is None:
        return [of_health(health, spec.account.user)]
    with tempfile.TemporaryDirectory(dir=scratch_directory()) as place:
        try:
            summary = take_inventory(
                spec.account, spec.endpoints, Path(place) / "counts", seconds=INVENTORY_SECONDS, series_limit=0
            )
        except NotAsked as failure:
            return [of_health(health, spec.account.user), Finding("failed", "Inventory", failure.message, failure.cure)]
    return [of_health(health, spec.account.user), *of_inventory(summary, spec.account.user)]
