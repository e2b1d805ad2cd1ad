"""Audit: who did what, to find and to take along."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from tasks import permissions
from tasks.audit import actor_of
from tasks.auditing import archive, listing, search
from tasks.auditing.export import FORMATS, record_export
from tasks.auditing.search import Cursor
from tasks.forms.audit import AuditFilterForm
from tasks.models import AuditEvent
from tasks.scope import limits_of
from tasks.views.common import by_htmx, clusters_of, needs


@require_GET
@needs(permissions.AUDIT)
def audit(request: HttpRequest) -> HttpResponse:
    """Show a page of events; filters, date and page are in the URL."""
    form = AuditFilterForm(request.GET)
    before = Cursor.read(request.GET.get("before", ""))
    valid = form.is_valid()
    pairs = form.query()
    context: dict[str, Any] = {
        "form": form,
        "choices": listing.choices(request.user),
        "clusters": list(clusters_of(request)),
        "limited": limits_of(request.user) is not None,
        "dates": listing.dates(form.period),
        "chain": listing.chain_state(),
        "before": before,
        "query": urlencode(pairs),
        "without_date": urlencode({name: value for name, value in pairs.items() if name != "date"}),
        "filters": pairs,
    }
    if valid:
        found = search.find(form.search, request.user, before)
        context |= {"found": found, "rows": found.events}
    return render(request, "audit/list.html", context)


@require_GET
@needs(permissions.AUDIT)
def event(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one event: what it changed, and whether its link of the chain holds; unfolded in the list by htmx."""
    found = get_object_or_404(AuditEvent.objects.filter(search.seen_by(request.user)), pk=pk)
    context = {
        "event": found,
        "row": listing.row_of(found),
        "fits": listing.fits(found),
        "same": listing.same(found),
    }
    return render(request, "audit/_detail.html" if by_htmx(request) else "audit/event.html", context)


@require_POST
@needs(permissions.AUDIT)
def export(request: HttpRequest) -> HttpResponseBase:
    """Send everything that the filters let through as a file, however much that is; the export is on record first."""
    form, wanted = AuditFilterForm(request.POST), request.POST.get("format", "")
    if wanted not in FORMATS or not form.is_valid():
        return render(request, "400.html", status=400)
    record = record_export(actor_of(request), wanted, form.search.told())
    batches = archive.in_order_of_time(search.whole(form.search, request.user).filter(pk__lt=record.pk))
    zone = timezone.get_current_timezone()
    content = archive.as_csv(batches, zone) if wanted == "csv" else archive.as_json_lines(batches)
    stem = f"audit_{timezone.localtime():%Y%m%d%H%M%S}"
    kind = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}[wanted]
    headers = {"Content-Disposition": f'attachment; filename="{stem}.{wanted}"'}
    return StreamingHttpResponse(content, content_type=kind, headers=headers)
