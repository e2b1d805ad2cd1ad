"""Compare two sets of a task: what IoTDB counted when each was taken."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from tasks import permissions
from tasks.differences import choices, compared, pick
from tasks.models import Run
from tasks.selectors import number_in
from tasks.views.common import needs
from tasks.views.runs import task_of


@require_GET
@needs(permissions.VIEW)
def compare(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the differences of the sets ``before`` and ``now``, by default of the two newest."""
    task = task_of(request, pk)
    runs = choices(task.pk)
    before, now = pick(runs, number_in(request.GET.get("before", "")), number_in(request.GET.get("now", "")))
    sick = [run for run in (before, now) if run is not None and run.healthy is False]
    context = {"task": task, "runs": runs, "before": before, "now": now, "sick": sick}
    if before is not None and now is not None:
        stored = dict(Run.objects.filter(pk__in=(before.pk, now.pk)).values_list("pk", "inventory"))
        context["differences"] = compared(stored[before.pk], stored[now.pk])
    return render(request, "tasks/compare.html", context)
