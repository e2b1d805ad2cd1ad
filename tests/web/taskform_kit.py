"""What the tests of the task form share: a good post, and how a page is read."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from django.test import Client

from tasks.models import BackupTask, Cluster
from tests.web.list_kit import without_help

# Monday, 08:41:58 in Berlin.
NOW = datetime(2026, 11, 23, 7, 41, 58, tzinfo=UTC)
NEW = "/backups/new/"
HOST_KEY = f"ssh-ed25519 SHA256:{'Q' * 43}"
ONLY_FULL = (
    "Incremental backup is not supported when component metadata is backed up. "
    "Only Full backup every time is supported."
)


def values(cluster: Cluster, /, **changes: Any) -> dict[str, Any]:
    """Return what a browser sends for a good periodic task, but for ``changes``; None leaves a field out."""
    data = {
        "name": "plant-daily",
        "cluster": cluster.pk,
        "mode": "periodic",
        "zone": "Europe/Berlin",
        "started": "2026-11-24T02:00",
        "period": 1,
        "period_unit": "days",
        "policy": "full",
        "sources": ["iotdb-metadata"],
        "assign": "all",
        "path_type": "LocalDir",
        "shown_type": "LocalDir",
        "copies": 7,
        "check_after_days": 7,
        "rehearse_after_days": "",
    }
    return {name: value for name, value in (data | changes).items() if value is not None}


SFTP: dict[str, Any] = {
    "path_type": "SFTP",
    "shown_type": "SFTP",
    "ip_mode": "ipv4",
    "server_ip": "10.20.4.18",
    "port": 22,
    "username": "iotdb-backup",
    "password": "s3cret",
    "shared_path": "/srv/backup/iotdb",
    "host_key": f"{HOST_KEY} 10.20.4.18 22",
}


def text_of(response: Any) -> str:
    """Return a page's text without markup, blanks made one."""
    page = re.sub(r"<svg.*?</svg>|<[^>]+>", " ", without_help(response.content.decode()), flags=re.DOTALL)
    return re.sub(r"\s+", " ", page.replace("&#x27;", "'").replace("&lt;", "<").replace("&gt;", ">"))


def refused(client: Client, data: dict[str, Any]) -> str:
    """Send the form, which has to be refused, and return the page."""
    response = client.post(NEW, data)
    assert response.status_code == 200
    page = response.content.decode()
    assert "<title>Error: " in page
    assert not BackupTask.objects.filter(name=data.get("name", "")).filter(created_by="backup-administrator").exists()
    return page
