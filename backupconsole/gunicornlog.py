"""The web server's own log, and its log of requests, in the console's format."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

from gunicorn import glogging

from backupconsole.logformat import chosen, formatter
from tasks.addresses import address_in
from tasks.logcontext import ContextFilter


class GunicornLogger(glogging.Logger):
    """Writes gunicorn's lines as all others are written, to standard error."""

    def setup(self, cfg: Any) -> None:
        """Set gunicorn's logs up, and change what it set up."""
        super().setup(cfg)
        for handler in (*self.error_log.handlers, *self.access_log.handlers):
            handler.setFormatter(formatter(chosen()))
            handler.addFilter(ContextFilter())
        for handler in self.access_log.handlers:
            handler.setStream(sys.stderr)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Write one line about a request: its method, path, status, size and time, from where, and its number.

        What was searched for (the query) is nobody's business.
        """
        if not self.access_log_enabled:
            return
        atoms = self.atoms(resp, req, environ, request_time)
        access = {
            "method": atoms["m"],
            "path": atoms["U"],
            "status": int(atoms["s"]),
            "bytes": atoms["B"],
            "seconds": round(request_time.total_seconds(), 6),
            "address": address_in(environ),
        }
        text = "%(method)s %(path)r %(status)d, %(bytes)s bytes in %(seconds).3f s for %(address)s"
        extra = {"request": atoms.get("{x-request-id}o", ""), "access": access}
        self.access_log.info(text, access, extra=extra)
