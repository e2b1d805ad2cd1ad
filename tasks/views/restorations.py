"""Restoration Management: the list, and the page of a restoration task."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from tasks import permissions, restoration_page, restorations
from tasks.models import Restoration
from tasks.selectors import PAGE_SIZE, number_in
from tasks.views.common import clusters_of, needs, row_or_404


@require_GET
@needs(permissions.VIEW)
def restoration_list(request: HttpRequest) -> HttpResponse:
    """Show the restoration tasks, newest first, and the safety copies of all of them."""
    before, cluster = number_in(request.GET.get("before", "")), number_in(request.GET.get("cluster", ""))
    page = restorations.page_of(request.user, before, cluster)
    context: dict[str, Any] = {
        "page": page,
        "rows": page.rows,
        "before": before,
        "cluster": cluster,
        "clusters": list(clusters_of(request)),
        "copies": restorations.all_safety_copies(request.user),
        "here": request.get_full_path(),
    }
    if page.rows:
        context |= restorations.refresh(page.rows)
    else:
        context["empty"] = not (before or cluster)
        context["sets_exist"] = bool(restorations.restorable_sets(request.user, None, None)[0])
    return render(request, "restorations/list.html", context)


@require_GET
@needs(permissions.VIEW)
def cells(request: HttpRequest) -> HttpResponse:
    """Send the rows named by ``ids`` for htmx to put into their places."""
    numbers = [number_in(part) for part in request.GET.get("ids", "").split(",")]
    ids = [pk for pk in numbers if pk is not None][:PAGE_SIZE]
    found = {one.pk: one for one in restorations.restorations(request.user).filter(pk__in=ids)}
    rows = restorations.rows_of(found[pk] for pk in ids if pk in found)
    gone = [pk for pk in ids if pk not in found]
    context = {
        "rows": rows,
        "gone": gone,
        "copies": restorations.all_safety_copies(request.user),
        **restorations.refresh(rows),
    }
    return render(request, "restorations/_cells.html", context)


def _restoration(request: HttpRequest, pk: int) -> Restoration:
    """Return a restoration task, also a deleted one: its history stays."""
    rows = Restoration.all_restorations.select_related("cluster", "last_run", "source_run")
    return row_or_404(request, rows, pk)


@require_GET
@needs(permissions.VIEW)
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a restoration task: its set, its steps, what is lost, its safety copies and its history."""
    restoration = _restoration(request, pk)
    context = restoration_page.whole(restoration, timezone.now(), number_in(request.GET.get("before", "")))
    return render(request, "restorations/detail.html", context)


@require_GET
@needs(permissions.VIEW)
def news(request: HttpRequest, pk: int) -> HttpResponse:
    """Send what changed on the page of a restoration task, for htmx."""
    query = request.GET
    seen = restoration_page.Seen(
        steps=number_in(query.get("steps", "")) or 0,
        newest=number_in(query.get("newest", "")) or 0,
        state=query.get("state", ""),
        line=number_in(query.get("after", "")) if "after" in query else None,
    )
    context = restoration_page.news(_restoration(request, pk), timezone.now(), seen)
    return render(request, "restorations/_news.html", context)
