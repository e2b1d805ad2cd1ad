"""The page of a node's form, and Verify on it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from storage.checks import Check
from storage.registry import get_path_type
from tasks import permissions, services
from tasks.audit import actor_of
from tasks.errors import Refused
from tasks.forms.editor import unjudged
from tasks.forms.node import NodeEditor, NodeForm, SSHForm
from tasks.models import Node, Service
from tasks.views.common import needs, row_or_404
from tasks.views.verify import Report, answer, wrong_fields


class NodeReport(Report):
    """What Verify says of a node, with the names of the fields of its form."""

    confirmed_first = "The host key has to be confirmed before the node can be saved."
    known_fields = {**NodeForm.base_fields, **SSHForm.base_fields}


@needs(permissions.INVENTORY)
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a node to a service."""
    return _page_of(request, _new(request, pk))


@needs(permissions.INVENTORY)
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a node."""
    return _page_of(request, _old(request, pk))


@needs(permissions.INVENTORY)
@require_POST
def verify_new(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Try a node that is being added."""
    return _verified(request, _new(request, pk))


@needs(permissions.INVENTORY)
@require_POST
def verify_edit(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Try a node as it stands in the form."""
    return _verified(request, _old(request, pk))


def _new(request: HttpRequest, pk: int) -> Node:
    return Node(service=row_or_404(request, Service.objects.select_related("cluster"), pk))


def _old(request: HttpRequest, pk: int) -> Node:
    return row_or_404(request, Node.objects.select_related("service__cluster"), pk, "service__cluster")


def _page_of(request: HttpRequest, node: Node) -> HttpResponse:
    cluster = node.service.cluster
    if request.method == "GET":
        return _page(request, NodeEditor(node))
    editor = NodeEditor(node, request.POST)
    if not editor.is_valid() or not _saved(request, editor):
        return _page(request, editor)
    messages.success(request, f"Node {node.name} saved. Choose Check to see what is found at its IoTDB home.")
    return redirect("cluster", cluster.pk)


def _saved(request: HttpRequest, editor: NodeEditor) -> bool:
    """Save what holds; return False, with the reason at its field, where that cannot be."""
    try:
        with transaction.atomic():
            services.save_node(actor_of(request), editor.node, editor.fill())
    except Refused as refusal:
        form = editor.ssh if refusal.field in editor.ssh.fields else editor.form
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return False
    except IntegrityError:
        # Somebody else took the name between the check and the insert.
        editor.form.add_error("name", "The name was given to another one just now. Choose a different name.")
        return False
    return True


def _verified(request: HttpRequest, node: Node) -> HttpResponseBase:
    editor = NodeEditor(node, request.POST)
    editor.is_valid()
    typed = editor.fill()
    report = NodeReport(request, get_path_type("SFTP"), _place(node), _verify_address(node))
    report.typed_secrets = bool(typed)
    wrong = list(_wrong(editor))
    checks = iter(wrong) if wrong else services.verify_node(actor_of(request), node, typed)
    return answer(request, report, checks, partial(_page, request, editor, judged=False))


def _wrong(editor: NodeEditor) -> Iterator[Check]:
    yield from wrong_fields(editor.form)
    if editor.over_ssh:
        yield from wrong_fields(editor.ssh)


def _place(node: Node) -> dict[str, Any]:
    return {"server_ip": node.ssh_address, "port": node.ssh_port, "host_key": node.host_key}


def _verify_address(node: Node) -> str:
    return (
        reverse("node-edit-verify", args=[node.pk]) if node.pk else reverse("node-new-verify", args=[node.service_id])
    )


def _page(request: HttpRequest, editor: NodeEditor, *, judged: bool = True, **more: Any) -> HttpResponse:
    """Return the page; what was sent only to be verified is shown again ``judged`` by nobody."""
    problems = editor.problems() if editor.form.is_bound and judged else []
    if not judged:
        unjudged(editor.form)
        unjudged(editor.ssh)
    node = editor.node
    name = Node.objects.values_list("name", flat=True).get(pk=node.pk) if node.pk else ""
    context = {
        "editor": editor,
        "form": editor.form,
        "problems": problems,
        "cluster": node.service.cluster,
        "heading": f"Edit {name}" if name else f"Add a node to {node.service.name}",
        "noun": "node",
        "verify_address": _verify_address(node),
        "path_type": {"name": "As it stands in the form"},
        **more,
    }
    return render(request, "inventory/node.html", context)
