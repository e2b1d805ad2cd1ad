"""A process of the console for the benchmark ``web``: ``python -m bench.webrunner prepare`` or ``serve``.

``prepare`` prints what is to be asked for, by whom, and how many queries each answer takes, as JSON. ``serve`` prints
the port and becomes the console's own web server.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import django


def prepare() -> dict[str, Any]:
    """Ask for every page once as every person; return cookies, pages, queries, and what was not answered by a page."""
    from django.conf import settings
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from . import visits

    cluster = visits.smallest_cluster()
    asked = visits.visits(cluster)
    found: dict[str, Any] = {"people": {}, "pages": asked}
    for title, user in visits.people(cluster).items():
        client = Client(SERVER_NAME="127.0.0.1")
        client.force_login(user)
        queries, seconds, other = [], [], {}
        for page, url in asked:
            client.get(url)
            with CaptureQueriesContext(connection) as captured:
                status = client.get(url).status_code
            if status != 200:
                other[page] = status
            queries.append(len(captured))
            seconds.append(sum(float(query["time"]) for query in captured.captured_queries))
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        found["people"][title] = {"cookie": cookie, "queries": queries, "sql": seconds, "other": other}
    found["cookie_name"] = settings.SESSION_COOKIE_NAME
    return found


def serve() -> None:
    """Listen on a free port, print it, and become gunicorn as ``runconsole`` starts it."""
    from backupconsole.console import listen, web_command

    os.environ["PORT"] = "0"
    listener = listen()
    listener.set_inheritable(True)
    print(listener.getsockname()[1], flush=True)
    command = web_command(listener)
    os.execv(command[0], command)


if __name__ == "__main__":
    django.setup()
    if sys.argv[1] == "serve":
        serve()
    print(json.dumps(prepare()))
