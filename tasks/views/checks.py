"""Check: what is found at a node's IoTDB home, and what the IoTDB of a service answers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_POST

from tasks import permissions, services
from tasks.audit import actor_of
from tasks.models import Cluster, Node, Service
from tasks.sources.base import Finding
from tasks.views.common import needs, row_or_404

RESULTS = {"ok": "OK", "warning": "Warning", "failed": "Failed"}
_MANY = {"ok": "OK", "warning": "warnings", "failed": "failed"}


@needs(permissions.INVENTORY)
@require_POST
def node_check(request: HttpRequest, pk: int) -> HttpResponse:
    """Look at a node's IoTDB home now, and say what is there."""
    node = row_or_404(request, Node.objects.select_related("service__cluster"), pk, "service__cluster")
    return _page(request, node, node.service.cluster, services.check_node(actor_of(request), node))


@needs(permissions.INVENTORY)
@require_POST
def service_check(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the IoTDB of a service now, and say what it answers."""
    service = row_or_404(request, Service.objects.select_related("cluster"), pk)
    return _page(request, service, service.cluster, services.check_service(actor_of(request), service))


def _page(request: HttpRequest, thing: Service | Node, cluster: Cluster, found: list[Finding]) -> HttpResponse:
    """Show what a check found, within the page of the cluster or, without script, on a page of its own."""
    context = {"thing": thing, "noun": str(thing._meta.verbose_name), "checked_at": timezone.now(), **shown(found)}
    if getattr(request, "htmx", False):
        return render(request, "inventory/_checks.html", context)
    return render(request, "inventory/check.html", {"cluster": cluster, **context})


def shown(found: list[Finding]) -> dict[str, Any]:
    """Return what a list of findings shows: each with its word, and totals such as ``3 OK, 1 warning, 0 failed``."""
    counts: Counter[str] = Counter(finding.level for finding in found)
    return {
        "findings": [(finding, RESULTS[finding.level]) for finding in found],
        "totals": ", ".join(f"{counts[level]} {_counted(level, counts[level])}" for level in RESULTS),
    }


def _counted(level: str, number: int) -> str:
    """Return the word for ``number`` results of a level: only warnings have a plural."""
    return "warning" if level == "warning" and number == 1 else _MANY[level]
