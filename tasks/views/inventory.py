"""Clusters, their services and the nodes of these: looking at them, and looking after them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.db.models import Prefetch
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from tasks import clusterlist, permissions, services
from tasks.audit import actor_of
from tasks.errors import EditConflict, Refused
from tasks.forms.editor import focus_first, problems_of
from tasks.forms.inventory import ClusterForm
from tasks.forms.service import ServiceForm
from tasks.models import Cluster, Node, Service
from tasks.views.common import clusters_of, needs, row_or_404, tell_refusal


# --- Looking --------------------------------------------------------------------------------------------------------
@needs(permissions.VIEW)
@require_GET
def cluster_list(request: HttpRequest) -> HttpResponse:
    """Show a page of the clusters."""
    state = clusterlist.ClusterState.of(request.GET)
    return render(request, "inventory/clusters.html", clusterlist.whole(state, clusters_of(request)))


@needs(permissions.VIEW)
@require_GET
def cluster_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a cluster with its services, nodes and backup tasks."""
    return _cluster_page(request, pk)


def _cluster_page(request: HttpRequest, pk: int, **more: Any) -> HttpResponse:
    nodes = Prefetch("nodes", Node.objects.order_by("name"))
    cluster = row_or_404(request, Cluster.objects, pk, "pk")
    context = {
        "cluster": cluster,
        "services": cluster.services.order_by("name").prefetch_related(nodes),
        "tasks": cluster.tasks.filter(deleted_at__isnull=True).order_by("name")[:50],
        **more,
    }
    return render(request, "inventory/cluster.html", context)


# --- Clusters -------------------------------------------------------------------------------------------------------
@needs(permissions.INVENTORY)
@require_http_methods(["GET", "POST"])
def cluster_new(request: HttpRequest) -> HttpResponse:
    """Register a cluster, and go on to its first node."""
    form = ClusterForm(request.POST or None)
    page = {"heading": "Register a cluster", "noun": "cluster", "back": redirect("clusters").url}
    if request.method == "GET" or not _saved(form, lambda: services.save_cluster(actor_of(request), form.instance)):
        return _form_page(request, form, page)
    first = form.instance.services.get()
    messages.success(request, f"Cluster {form.instance.name} registered. Now add the first node of {first.name}.")
    return redirect("node-new", first.pk)


@needs(permissions.INVENTORY)
@require_http_methods(["GET", "POST"])
def cluster_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a cluster unless somebody else did meanwhile."""
    cluster = row_or_404(request, Cluster.objects, pk, "pk")
    form = ClusterForm(request.POST or None, instance=cluster)
    page = {"heading": f"Edit {cluster.name}", "noun": "cluster", "cluster": cluster}
    page["back"] = redirect("cluster", pk).url
    if request.method == "GET" or "keep_editing" in request.POST:
        return _form_page(request, _again(form), page)
    try:
        if not _saved(form, lambda: services.save_cluster(actor_of(request), form.save_version())):
            return _form_page(request, form, page)
    except EditConflict as conflict:
        return _cluster_conflict(request, form, conflict)
    messages.success(request, f"Cluster {cluster.name} saved.")
    return redirect("cluster", pk)


def _again(form: ClusterForm) -> ClusterForm:
    """Return a posted form unjudged, or a fresh one as it is."""
    if form.is_bound:
        form.is_valid()
        form.errors.clear()
    return form


def _cluster_conflict(request: HttpRequest, form: ClusterForm, conflict: EditConflict) -> HttpResponse:
    """Show both values of each field, and let the person choose."""
    current = Cluster.objects.get(pk=form.instance.pk)
    rows = []
    for name in form.Meta.fields:
        shown = [getattr(thing, f"get_{name}_display", lambda: None)() for thing in (form.instance, current)]
        yours, saved = (
            word or getattr(thing, name) or "Empty" for word, thing in zip(shown, (form.instance, current), strict=True)
        )
        rows.append({"label": form.fields[name].label, "yours": yours, "saved": saved, "differs": yours != saved})
    hidden = [(name, request.POST.get(name, "")) for name in form.Meta.fields]
    context = {
        "cluster": current,
        "reason": conflict.message,
        "rows": rows,
        "hidden": [*hidden, ("version", current.version)],
    }
    return render(request, "inventory/conflict.html", context, status=409)


@needs(permissions.INVENTORY)
@require_http_methods(["GET", "POST"])
def cluster_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, and take a cluster out of the inventory."""
    cluster = row_or_404(request, Cluster.objects, pk, "pk")
    if request.method == "GET":
        goes = Node.objects.filter(service__cluster=cluster).select_related("service").order_by("service", "name")
        return _confirm_page(request, cluster, "cluster", cluster, list(goes), redirect("cluster", pk).url)
    return _delete(request, lambda: services.delete_cluster(actor_of(request), cluster), cluster, None)


# --- Services -------------------------------------------------------------------------------------------------------
@needs(permissions.INVENTORY)
@require_http_methods(["GET", "POST"])
def service_new(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a service to a cluster, and go on to its first node."""
    cluster = row_or_404(request, Cluster.objects, pk, "pk")
    service = Service(cluster=cluster, name=_free_service_name(cluster))
    form = ServiceForm(request.POST or None, instance=service)
    page = {"heading": f"Add a service to {cluster.name}", "noun": "service", "cluster": cluster}
    page["back"] = redirect("cluster", pk).url
    if request.method == "GET" or not _saved(form, lambda: _save_service(request, form)):
        return _form_page(request, form, page)
    messages.success(request, f"Service {service.name} added. Now add its first node.")
    return redirect("node-new", service.pk)


@needs(permissions.INVENTORY)
@require_http_methods(["GET", "POST"])
def service_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a service: its name, and the account by which its IoTDB is asked."""
    service = row_or_404(request, Service.objects.select_related("cluster"), pk)
    form = ServiceForm(request.POST or None, instance=service)
    page = {"heading": f"Edit {service.name}", "noun": "service", "cluster": service.cluster}
    page["back"] = redirect("cluster", service.cluster_id).url
    if request.method == "GET" or not _saved(form, lambda: _save_service(request, form)):
        return _form_page(request, form, page)
    messages.success(request, f"Service {service.name} saved.")
    return redirect("cluster", service.cluster_id)


def _save_service(request: HttpRequest, form: ServiceForm) -> Service:
    return services.save_service(actor_of(request), form.instance, form.typed_password)


@needs(permissions.INVENTORY)
@require_http_methods(["GET", "POST"])
def service_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, and remove a service with its nodes."""
    service = row_or_404(request, Service.objects.select_related("cluster"), pk)
    if request.method == "GET":
        back = redirect("cluster", service.cluster_id).url
        return _confirm_page(request, service, "service", service.cluster, list(service.nodes.all()), back)
    return _delete(request, lambda: services.delete_service(actor_of(request), service), service, service.cluster_id)


# --- Nodes ----------------------------------------------------------------------------------------------------------
@needs(permissions.INVENTORY)
@require_http_methods(["GET", "POST"])
def node_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask, and remove a node."""
    node = row_or_404(request, Node.objects.select_related("service__cluster"), pk, "service__cluster")
    cluster = node.service.cluster
    if request.method == "GET":
        return _confirm_page(request, node, "node", cluster, [], redirect("cluster", cluster.pk).url)
    return _delete(request, lambda: services.delete_node(actor_of(request), node), node, cluster.pk)


# --- What all of them share -----------------------------------------------------------------------------------------
def _saved(form: ModelForm[Any], save: Callable[[], object]) -> bool:
    """Save a posted form by ``save``; return False, with the reason at its field, where that cannot be."""
    if not form.is_valid():
        return False
    try:
        with transaction.atomic():
            save()
    except Refused as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return False
    except IntegrityError:
        # Somebody else took the name between the check and the insert.
        form.add_error("name", "The name was given to another one just now. Choose a different name.")
        return False
    return True


def _form_page(request: HttpRequest, form: ModelForm[Any], page: dict[str, Any]) -> HttpResponse:
    problems = problems_of(form) if form.is_bound else []
    focus_first(form)
    return render(request, "inventory/form.html", {"form": form, "problems": problems, **page})


def _confirm_page(
    request: HttpRequest, thing: Cluster | Service | Node, noun: str, cluster: Cluster, goes: list[Node], back: str
) -> HttpResponse:
    needed_by = [] if isinstance(thing, Node) else list(thing.tasks.filter(deleted_at__isnull=True).order_by("name"))
    context = {"thing": thing, "noun": noun, "cluster": cluster, "goes": goes, "back": back, "needed_by": needed_by}
    return render(request, "inventory/confirm.html", context)


def _delete(
    request: HttpRequest, delete: Callable[[], None], thing: Cluster | Service | Node, cluster_pk: int | None
) -> HttpResponse:
    """Do it, say so, and go to the cluster, or to the list where the cluster itself was meant."""
    pk, noun = thing.pk, str(thing._meta.verbose_name)
    try:
        delete()
    except Refused as refusal:
        tell_refusal(request, refusal)
        return redirect("cluster", cluster_pk or pk)
    messages.success(
        request, f"{noun.capitalize()} {thing.name} deleted. Its files and all backup files stay where they are."
    )
    return redirect("cluster", cluster_pk) if cluster_pk else redirect("clusters")


def _free_service_name(cluster: Cluster) -> str:
    """Return IoTDB, IoTDB-1, IoTDB-2 …: the first that the cluster does not have."""
    taken = set(cluster.services.values_list("name", flat=True))
    tries = ["IoTDB", *(f"IoTDB-{number}" for number in range(1, len(taken) + 2))]
    return next(name for name in tries if name not in taken)
