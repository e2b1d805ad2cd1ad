"""A database server that takes connections and says nothing: what hangs longest."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ASK = """
import json, os, django
django.setup()
from django.conf import settings
from django.test import RequestFactory
from backupconsole.monitoring.probes import metrics, readyz
request = RequestFactory(SERVER_NAME="localhost").get("/")
answers = [(answer.status_code, answer.content.decode()) for answer in (readyz(request), metrics(request))]
print(json.dumps({"options": settings.DATABASES["default"]["OPTIONS"], "answers": answers}))
"""
OPTIONS = "from backupconsole import settings; print(settings.DATABASES['default']['OPTIONS'])"


def python(code: str, url: str, data: Path) -> str:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "backupconsole.settings", "DATABASE_URL": url}
    environment["DATA_DIR"] = str(data)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_silent_database_is_known_within_its_limit(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgres://console:hunter2hunter2@127.0.0.1:{silent.getsockname()[1]}/console?connect_timeout=2"
        said = python(ASK, url, tmp_path)
    found = json.loads(said)
    assert found["options"]["connect_timeout"] == 2, "what the address says counts"
    assert [status for status, _ in found["answers"]] == [503, 503]
    assert [check["state"] for check in json.loads(found["answers"][0][1])["checks"]] == ["failed"] * 3
    assert "hunter2" not in str(found["answers"])


def test_the_limit_is_five_seconds_where_nothing_is_said(tmp_path: Path) -> None:
    assert (
        python(OPTIONS, "postgres://console:x@127.0.0.1/console", tmp_path)
        .strip()
        .startswith("{'connect_timeout': 5, ")
    )
