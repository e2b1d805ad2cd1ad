"""The page of last resort."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from tasks.logcontext import request_number


def failed(request: HttpRequest) -> HttpResponse:
    """Say that the console failed, and by which number its log knows the request; nothing else is needed for it."""
    return HttpResponse(render_to_string("500.html", {"number": request_number()}), status=500)
