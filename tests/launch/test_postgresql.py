"""What depends on the database holds on PostgreSQL as well: locks, keys, plans, and SQL that is kept."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench.postgresql import NoPostgreSQL, programs
from tests.lacks import leave_out
from tests.live import ROOT

pytestmark = pytest.mark.process
_UNIT = (
    "alarms", "audit_chain", "audit_protection", "bulk", "dblock", "dispatch", "keptsql", "lease", "lockout",
    "manyrows", "offers", "races", "restoration_verbs", "scope", "searchtext", "totals",
)  # fmt: skip
_WEB = (
    "history", "home", "home_alarms", "home_figures", "home_kept_queries", "home_scope", "home_untold", "list",
    "sessions",
)  # fmt: skip


def test_what_depends_on_the_database_holds_on_postgresql() -> None:
    try:
        programs()
    except NoPostgreSQL as lack:
        leave_out(str(lack))
    files = [*(f"tests/unit/test_{name}.py" for name in _UNIT), *(f"tests/web/test_{name}.py" for name in _WEB)]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    tests = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-m", "not (server or browser or process)", *files]
    done = subprocess.run(
        [sys.executable, "scripts/on-postgresql", *tests],
        cwd=ROOT,
        env=own,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
