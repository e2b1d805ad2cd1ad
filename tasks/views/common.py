"""What all pages share: who may see them, where to go back to, and how a refusal is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.db.models import Manager, Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme

from storage.errors import ConsoleError
from tasks.models import Cluster
from tasks.scope import narrowed

Row = TypeVar("Row", bound=Model)
View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def needs(permission: str) -> Callable[[View], View]:
    """Return a decorator that lets only people with ``permission`` in; everybody else gets the page for 403."""
    decorator: Callable[[View], View] = permission_required(permission, raise_exception=True)
    return decorator


def row_or_404(request: HttpRequest, rows: Manager[Row] | QuerySet[Row], pk: int, path: str = "cluster") -> Row:
    """Return the row; 404 where it is not there, and where the person may not see its cluster (``tasks.scope``)."""
    return get_object_or_404(narrowed(rows.all(), request.user, path), pk=pk)


def clusters_of(request: HttpRequest) -> QuerySet[Cluster]:
    """Return the clusters that the person may see, by name."""
    return narrowed(Cluster.objects.order_by("name"), request.user, "pk")


def wanted_next(request: HttpRequest) -> str:
    """Return the page named by ``next``; empty where that is missing or leads away from the console."""
    target = request.POST.get("next", "") or request.GET.get("next", "")
    hosts = {request.get_host()}
    return target if url_has_allowed_host_and_scheme(target, hosts, require_https=request.is_secure()) else ""


def back_to(request: HttpRequest, fallback: str, *args: Any) -> HttpResponseRedirect:
    """Redirect to the page named by ``next``, or to ``fallback``."""
    return HttpResponseRedirect(wanted_next(request) or resolve_url(fallback, *args))


def by_htmx(request: HttpRequest) -> bool:
    """Tell whether htmx asks, and so wants a part of a page."""
    return bool(getattr(request, "htmx", False))


def tell_refusal(request: HttpRequest, error: ConsoleError) -> None:
    """Leave the reason of a refusal as a notice for the next page."""
    messages.error(request, str(error))


def do(request: HttpRequest, verb: Callable[[], str], fallback: str, *args: Any) -> HttpResponse:
    """Do ``verb`` and say what came of it; htmx is told to refresh its rows, a browser goes back to its page."""
    try:
        messages.success(request, verb())
    except ConsoleError as error:
        tell_refusal(request, error)
    return leave(request, fallback, *args)


def leave(request: HttpRequest, fallback: str, *args: Any) -> HttpResponse:
    """Go back to the page that asked, or to ``fallback``; htmx is sent what was said, and told to refresh its rows."""
    if not by_htmx(request):
        return back_to(request, fallback, *args)
    response = render(request, "shell/_messages_oob.html", {"oob": True})
    response.headers["HX-Trigger"] = "refresh-now"
    return response
