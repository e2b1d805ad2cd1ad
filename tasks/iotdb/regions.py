"""The data regions that an IoTDB knows, asked over an open Session in the child process."""

from __future__ import annotations

import time
from typing import Any

from tasks.iotdb.base import Endpoint
from tasks.iotdb.link import LoginRefused, NotAnswered, StatementRefused, connect

SHOW_REGIONS = "SHOW REGIONS"
DATA_REGION = "DataRegion"


def ask(request: dict[str, Any]) -> dict[str, Any]:
    """Return ``regions``, the numbers of all data regions as the first endpoint that answers tells them; or ``why``."""
    failures = []
    endpoints = [Endpoint(*pair) for pair in request["endpoints"]]
    for number, endpoint in enumerate(endpoints):
        now = time.monotonic()
        until = now + (request["until"] - now) / (len(endpoints) - number)
        try:
            link = connect(endpoint, request["user"], request["password"], until)
        except (LoginRefused, NotAnswered) as failure:
            failures.append(str(failure))
            continue
        try:
            rows = list(link.rows(SHOW_REGIONS))
            return {"regions": sorted({int(row["regionid"]) for row in rows if row["type"] == DATA_REGION})}
        except (NotAnswered, StatementRefused, KeyError, ValueError) as failure:
            failures.append(f"{SHOW_REGIONS} was not answered ({failure})")
        finally:
            link.close()
    return {"why": f"{'; '.join(failures) or 'No DataNode is known to ask'}."}
