"""The data regions that an IoTDB knows, asked over an open Session in the child process."""

from __future__ import annotations

from typing import Any

from tasks.iotdb.base import Endpoint
from tasks.iotdb.link import LoginRefused, NotAnswered, StatementRefused, connect, in_turn

SHOW_REGIONS = "SHOW REGIONS"
DATA_REGION = "DataRegion"


def ask(request: dict[str, Any]) -> dict[str, Any]:
    """Return ``regions``, the numbers of all data regions as the first endpoint that answers tells them; or ``why``.

    Each dialect shows the regions of its own databases only (2.0.1-beta), so that both are asked. Where one is not
    answered nothing is told: whoever knows half of the regions takes the others for orphans.
    """
    failures = []
    for endpoint, until in in_turn(request):
        try:
            found = _regions(endpoint, request, until, "tree") | _regions(endpoint, request, until, "table")
            return {"regions": sorted(found)}
        except (LoginRefused, NotAnswered, StatementRefused, KeyError, ValueError) as failure:
            failures.append(f"{SHOW_REGIONS} was not answered ({failure})")
    return {"why": f"{'; '.join(failures) or 'No DataNode is known to ask'}."}


def _regions(endpoint: Endpoint, request: dict[str, Any], until: float, dialect: str) -> set[int]:
    link = connect(endpoint, request["user"], request["password"], until, dialect)
    try:
        return {int(row["regionid"]) for row in link.rows(SHOW_REGIONS) if row["type"] == DATA_REGION}
    finally:
        link.close()
