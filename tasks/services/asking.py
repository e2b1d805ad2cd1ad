"""Asking the IoTDB of a service, for a person who looks after it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tasks import audit, permissions
from tasks.audit import Actor
from tasks.engine.snapshot import scratch_directory, service_spec
from tasks.iotdb.client import NotAsked, ask_health, take_inventory
from tasks.iotdb.findings import no_account, of_health, of_inventory
from tasks.models import Service
from tasks.services.common import require
from tasks.sources.base import Finding

HEALTH_SECONDS = 15.0
INVENTORY_SECONDS = 30.0


def check_service(actor: Actor, service: Service) -> list[Finding]:
    """Ask the IoTDB of a service for its health and its counts; changes nothing but the audit."""
    require(actor, permissions.INVENTORY, "check service", service)
    audit.record(actor, "check service", service, after={"session_user": service.session_user})
    spec = service_spec(service)
    if spec.account is None:
        return [no_account(spec.account_problem)]
    health = ask_health(spec.account, spec.endpoints, seconds=HEALTH_SECONDS)
    if not health.version:
        return [of_health(health, spec.account.user)]
    with tempfile.TemporaryDirectory(dir=scratch_directory()) as place:
        try:
            summary = take_inventory(
                spec.account, spec.endpoints, Path(place) / "counts", seconds=INVENTORY_SECONDS, series_limit=0
            )
        except NotAsked as failure:
            return [of_health(health, spec.account.user), Finding("failed", "Inventory", failure.message, failure.cure)]
    return [of_health(health, spec.account.user), *of_inventory(summary, spec.account.user)]
