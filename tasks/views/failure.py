"""The pages of last resort."""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from tasks.dbaway import AWAY
from tasks.logcontext import request_number


def failed(request: HttpRequest) -> HttpResponse:
    """Say that the console failed, and by which number its log knows the request; nothing else is needed for it.

    A database that is gone, or locked for too long, is told from a mistake of the console: the answer is then 503.
    """
    # Django calls this while it handles what was raised.
    status = 503 if isinstance(sys.exc_info()[1], AWAY) else 500
    said = {"number": request_number(), "entered": request.method == "POST"}
    return HttpResponse(render_to_string(f"{status}.html", said), status=status)
