"""``/livez``, ``/readyz`` and ``/metrics``.

They are answered before everything else: a monitor comes with an address for a host name, over plain HTTP where
browsers are sent to HTTPS, without a session, and its answer must not depend on any of that, nor cost a query.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from isal import igzip
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, gzip_accepted

from backupconsole.monitoring.access import may_read
from backupconsole.monitoring.collector import REGISTRY
from backupconsole.monitoring.exposition import text_of
from backupconsole.monitoring.health import checks

log = logging.getLogger(__name__)
_REFUSED = (
    "Give METRICS_TOKEN as bearer token, or add the network of this monitor to METRICS_NETWORKS. "
    "Behind a proxy networks count only where TRUSTED_PROXY is set.\n"
)


class ProbesMiddleware:
    """Answers the probes and lets every other request through."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a probe itself; nothing else sees it."""
        # Exactly these: a proxy that keeps one of them to itself keeps all of it.
        probe = PROBES.get(request.path_info)
        if probe is None:
            return self.get_response(request)
        if request.method not in ("GET", "HEAD"):
            response = HttpResponse("Use GET.\n", status=405, content_type="text/plain", headers={"Allow": "GET, HEAD"})
        else:
            response = probe(request)
        response.headers["Content-Length"] = str(len(response.content))
        if request.method == "HEAD":
            response.content = b""
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def livez(request: HttpRequest) -> HttpResponse:
    """Tell that the process answers; the database is not asked."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """Tell whether all checks hold, by 200 or 503; their details only to who may read the metrics."""
    found, details = checks(timezone.now()), may_read(request)
    ready = all(check.ok for check in found)
    listed = [
        {"name": check.name, "state": "ok" if check.ok else "failed"} | ({"detail": check.detail} if details else {})
        for check in found
    ]
    body = {"status": "ok" if ready else "failed", "checks": listed}
    return JsonResponse(body, status=200 if ready else 503)


def metrics(request: HttpRequest) -> HttpResponse:
    """Return all figures as text for Prometheus, packed where the caller takes that; refuse strangers."""
    if not may_read(request):
        headers = {"WWW-Authenticate": 'Bearer realm="metrics"'}
        return HttpResponse(_REFUSED, status=401, content_type="text/plain; charset=utf-8", headers=headers)
    try:
        body = text_of(REGISTRY)
    except (DatabaseError, InterfaceError) as error:
        log.warning("no metrics: the database does not answer (%s)", type(error).__name__)
        return HttpResponse("The database does not answer.\n", status=503, content_type="text/plain; charset=utf-8")
    packed = gzip_accepted(request.headers.get("Accept-Encoding", ""))
    response = HttpResponse(igzip.compress(body, 1) if packed else body, content_type=CONTENT_TYPE_PLAIN_0_0_4)
    response.headers["Vary"] = "Accept-Encoding"
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    return response


PROBES: dict[str, Callable[[HttpRequest], HttpResponse]] = {"/livez": livez, "/readyz": readyz, "/metrics": metrics}
